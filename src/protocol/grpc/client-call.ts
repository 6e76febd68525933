import { Metadata } from "../../base/metadata.js";
import { textOf } from "../../base/thrown.js";
import type { Attempt } from "../../call/attempt.js";
import type { RequestSender } from "../../call/call-stream.js";
import type { MessageSupply } from "../../call/message-queue.js";
import { messages } from "../../error/messages.js";
import { type ErrorDetail, type Executed, RpcError, type RpcErrorOptions } from "../../error/rpc-error.js";
import { Status, toStatusCode } from "../../error/status.js";
import { Reader } from "../../protobuf/reader.js";
import type { ResponseHandler } from "../http2/client-session.js";
import type { Http2Stream, StreamFailure } from "../http2/stream.js";
import { ErrorCode } from "../http2/wire/frame.js";
import { type HeaderField, HeaderKind, type HeaderList } from "../http2/wire/header-field.js";
import { isGrpc } from "./content-type.js";
import { codeOfHttp, codeOfReset } from "./http-status.js";
import {
  endMessage,
  MessageBody,
  type MessageBodyOwner,
  prefixBytes,
  wholeMessage,
  writeMessage,
} from "./message-body.js";
import { executedField, metadataOf, turnedAwayField } from "./metadata-fields.js";
import { decodeStatusDetails } from "./status-details.js";
import { decodeStatusMessage } from "./status-message.js";

/** One for all connections: nothing else happens while a reply is decoded. */
const replyReader = new Reader();

/** What a call needs from its connection. */
export interface GrpcClientPort {
  readonly bodyMaxBytes: number;
  readonly gzip: boolean;
  /** When bytes last arrived. */
  readonly nowMs: number;
  /** The connection accepts no more calls, and may be closed. */
  readonly ending: boolean;
  /** The connection is gone. */
  readonly closed: boolean;
  /** Little waits to be sent to the server, on all streams. */
  readonly takesMore: boolean;
  /** A response has begun: the server works. */
  onAnswered(): void;
  /** The server serves this caller on no connection. */
  onTurnedAway(reason: string): void;
  /** The connection is lost for the call: it fails when the session handles that. */
  lose(attempt: Attempt, error: RpcError): void;
}

/** An attempt on a gRPC connection: the handler of its HTTP/2 stream and, where it streams, both ends of its messages. */
export class GrpcClientCall implements ResponseHandler, MessageBodyOwner, RequestSender, MessageSupply {
  readonly #attempt: Attempt;
  readonly #port: GrpcClientPort;
  /** The outcome was delivered, or is not needed any more. */
  #over = false;
  #metadata: Metadata | undefined;
  #encoding = "identity";
  #body: MessageBody | undefined;
  #received = false;
  #message: unknown;
  /** The trailers, until all messages of the body were passed on. */
  #ending: (() => void) | undefined;
  #failed: RpcError | undefined;
  #partBytes = 0;
  #wake: (() => void) | undefined;
  #full = false;
  stream: Http2Stream | undefined = undefined;

  constructor(attempt: Attempt, port: GrpcClientPort) {
    this.#attempt = attempt;
    this.#port = port;
    const replies = attempt.stream?.replies;
    if (replies !== undefined) replies.supply = this;
  }

  // --- the response ---

  onResponse(stream: Http2Stream, headers: HeaderList, endStream: boolean): void {
    this.#port.onAnswered();
    if (this.#over) {
      // A oneway call, or one that was given up: others of the channel must know.
      if (endStream && isTurnedAway(headers)) this.#port.onTurnedAway(reasonIn(headers));
      return;
    }
    if (endStream) {
      this.#end(stream, headers);
      return;
    }
    let status = "200";
    let contentType = "";
    let grpc = false;
    for (let i = 0; i < headers.count; i++) {
      const field = headers.fields[i] as HeaderField;
      if (field.kind === HeaderKind.STATUS) status = field.value;
      else if (field.kind === HeaderKind.CONTENT_TYPE) {
        contentType = field.value;
        field.resolved ??= isGrpc(contentType);
        grpc = field.resolved as boolean;
      } else if (field.kind === HeaderKind.GRPC_ENCODING) this.#encoding = field.value;
    }
    if (status !== "200" || !grpc) {
      this.#notGrpc(stream, status, contentType);
      return;
    }
    const metadata = metadataOf(headers);
    if (typeof metadata !== "string") this.#metadata = metadata;
    this.#attempt.stream?.onProgress(true, this.#metadata);
    this.#attempt.stream?.onActivity();
  }

  #notGrpc(stream: Http2Stream, status: string, contentType: string): void {
    const code = status === "200" ? Status.UNKNOWN : codeOfHttp(status);
    this.#abort(stream, new RpcError(code, messages.grpcHttpStatus(status, contentType || "(none)")));
  }

  onData(stream: Http2Stream, bytes: Buffer, start: number, end: number, endStream: boolean): void {
    if (this.#over) {
      stream.consumed(end - start);
      return;
    }
    const streams = this.#attempt.stream?.replies !== undefined;
    if (this.#body === undefined && (streams || !this.#received)) {
      const size = wholeMessage(bytes, start, end);
      if (size >= 0 && size <= this.#port.bodyMaxBytes) {
        if (!streams) stream.consumed(end - start);
        this.onMessage(bytes, start + prefixBytes, end, true);
        if (endStream) this.#withoutStatus(stream);
        return;
      }
    }
    this.#body ??= new MessageBody(this, this.#port.bodyMaxBytes, this.#encoding);
    this.#partBytes += end - start;
    if (end > start) this.#body.add(bytes, start, end);
    const queue = this.#attempt.stream?.replies;
    if (queue === undefined || queue.wanted || this.#over) this.#giveBack();
    if (endStream) this.#withoutStatus(stream);
  }

  #withoutStatus(stream: Http2Stream): void {
    this.#abort(stream, new RpcError(Status.UNKNOWN, messages.grpcNoStatus));
  }

  #giveBack(): void {
    if (this.#partBytes === 0) return;
    this.stream?.consumed(this.#partBytes);
    this.#partBytes = 0;
  }

  onMessage(buffer: Buffer, start: number, end: number, shared: boolean): void {
    if (this.#over) return;
    const attempt = this.#attempt;
    const queue = attempt.stream?.replies;
    if (queue !== undefined) {
      const cost = end - start + prefixBytes;
      this.#partBytes = Math.max(0, this.#partBytes - cost);
      attempt.stream?.onActivity();
      queue.push(buffer, start, end, cost, shared);
      return;
    }
    const { output, fullName } = attempt.method;
    if (this.#received) {
      this.#failed ??= new RpcError(Status.INTERNAL, messages.grpcSecondReply(fullName));
      return;
    }
    this.#received = true;
    try {
      this.#message = output.decode(replyReader.reset(buffer, start, end, shared), end);
      if (!shared) replyReader.release();
    } catch (error) {
      const text = messages.replyUndecodable(output.typeName, textOf(error));
      this.#failed ??= new RpcError(Status.INTERNAL, text, { executed: "yes", cause: error });
    }
  }

  onBodyFailure(error: RpcError): void {
    if (this.stream !== undefined) this.#abort(this.stream, error.with({}, "yes"));
  }

  onBodyEnd(): void {
    const ending = this.#ending;
    this.#ending = undefined;
    ending?.();
  }

  onTrailers(stream: Http2Stream, headers: HeaderList): void {
    if (this.#over) return;
    if (this.#body === undefined) {
      this.#end(stream, headers);
      return;
    }
    // Compressed messages may still be decoding.
    const outcome = this.#outcomeOf(headers);
    this.#ending = () => this.#settle(stream, outcome);
    this.#body.end();
  }

  /** The last header block has arrived, with the outcome. */
  #end(stream: Http2Stream, headers: HeaderList): void {
    if (this.#over) return;
    const outcome = this.#outcomeOf(headers);
    if (outcome instanceof RpcError && isTurnedAway(headers)) {
      this.#finish();
      this.#port.onTurnedAway(outcome.rawMessage);
      this.#port.lose(this.#attempt, outcome);
    } else this.#settle(stream, outcome);
  }

  /** A failure, or the trailers of a reply. */
  #outcomeOf(headers: HeaderList): RpcError | Metadata | undefined {
    const code = headers.valueOf(HeaderKind.GRPC_STATUS);
    const found = metadataOf(headers);
    const trailers = typeof found === "string" ? undefined : found;
    if (code === "0") return trailers;
    return this.#failureOf(headers, code, trailers, headers.has(HeaderKind.STATUS));
  }

  #settle(stream: Http2Stream, outcome: RpcError | Metadata | undefined): void {
    if (this.#over) return;
    if (!stream.localEnded || stream.queuedBytes > 0) stream.reset(ErrorCode.NO_ERROR);
    this.#finish();
    const attempt = this.#attempt;
    if (outcome instanceof RpcError) attempt.onFailure(outcome, true);
    else if (this.#failed !== undefined) attempt.onFailure(this.#failed, false);
    else if (attempt.stream?.replies === undefined && !this.#received) {
      const text = messages.grpcNoReply(attempt.method.fullName);
      attempt.onFailure(new RpcError(Status.INTERNAL, text, { executed: "yes" }), false);
    } else {
      attempt.repliedMs = this.#port.nowMs;
      attempt.onReply(this.#message, this.#metadata, outcome);
    }
  }

  #failureOf(
    headers: HeaderList,
    code: string | undefined,
    trailers: Metadata | undefined,
    trailersOnly: boolean,
  ): RpcError {
    if (code === undefined) {
      const status = headers.valueOf(HeaderKind.STATUS) ?? "200";
      const type = headers.valueOf(HeaderKind.CONTENT_TYPE) ?? "(none)";
      return status === "200"
        ? new RpcError(Status.UNKNOWN, messages.grpcNoStatus)
        : new RpcError(codeOfHttp(status), messages.grpcHttpStatus(status, type));
    }
    const number = /^\d{1,9}$/.test(code) ? Number(code) : Status.UNKNOWN;
    const details = headers.valueOf(HeaderKind.GRPC_STATUS_DETAILS);
    const options: RpcErrorOptions = { executed: executedOf(headers.get(executedField)) };
    const decoded: ErrorDetail[] | undefined =
      details === undefined ? undefined : decodeStatusDetails(details);
    if (decoded !== undefined && decoded.length > 0) options.details = decoded;
    // A response with only trailers: its fields are both initial metadata and trailers.
    const metadata = trailersOnly ? (this.#metadata ?? trailers) : this.#metadata;
    if (metadata !== undefined) options.metadata = metadata;
    if (trailers !== undefined && !trailersOnly) options.trailers = trailers;
    else if (trailers !== undefined) options.trailers = new Metadata(trailers);
    const text = reasonIn(headers);
    const known = toStatusCode(number);
    return new RpcError(known === Status.OK ? Status.UNKNOWN : known, text, options);
  }

  onReset(_stream: Http2Stream, { code, remote, unprocessed, reason }: StreamFailure): void {
    if (this.#over) return;
    this.#finish();
    const attempt = this.#attempt;
    if (unprocessed) {
      const error = new RpcError(Status.UNAVAILABLE, reason, { executed: "never" });
      if (this.#port.ending) this.#port.lose(attempt, error);
      else attempt.onFailure(error, remote);
    } else if (this.#port.closed) {
      this.#port.lose(attempt, new RpcError(Status.UNAVAILABLE, messages.connectionLost(reason)));
    } else {
      const status = remote ? codeOfReset(code) : Status.INTERNAL;
      attempt.onFailure(new RpcError(status, messages.grpcReset(reason)));
    }
  }

  /** The response is malformed: the call fails, and the stream is reset. */
  #abort(stream: Http2Stream, error: RpcError): void {
    if (this.#over) return;
    stream.reset(ErrorCode.CANCEL);
    this.#finish();
    this.#attempt.onFailure(error);
  }

  #finish(): void {
    this.#over = true;
    this.#body?.stop();
    const replies = this.#attempt.stream?.replies;
    if (replies?.supply === this) replies.supply = undefined;
    this.#wakeAll();
  }

  /** Gives the call up. True: the request was incomplete, so it never ran. */
  abandon(): boolean {
    const { stream } = this;
    if (this.#over) return false;
    this.#finish();
    if (stream === undefined) return true;
    const unsent = this.#attempt.stream?.sendsMany !== true && stream.queuedBytes > 0;
    stream.reset(ErrorCode.CANCEL);
    return unsent;
  }

  /** A oneway call: the response is discarded. */
  ignore(): void {
    this.#over = true;
  }

  // --- replies that stream ---

  onTaken(costBytes: number, empty: boolean): void {
    this.stream?.consumed(costBytes);
    if (empty) this.#giveBack();
  }

  onWanted(): void {
    this.#giveBack();
  }

  // --- requests that stream ---

  get hasRoom(): boolean {
    return !this.#over && !this.#full && this.stream?.closed === false;
  }

  room(): Promise<void> {
    if (this.#over || this.hasRoom) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  whole(): Promise<void> {
    return Promise.resolve();
  }

  onWritable(): void {
    this.#full = false;
    this.#wakeAll();
  }

  #wakeAll(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  send(message: unknown): number {
    const stream = this.stream as Http2Stream;
    const { bodyMaxBytes, gzip } = this.#port;
    let size: number;
    try {
      size = writeMessage(stream, this.#attempt.method.input, message, bodyMaxBytes, gzip);
    } catch (error) {
      if (error instanceof RpcError) throw error;
      const text = messages.streamMessageUnencodable(textOf(error));
      throw new RpcError(Status.INTERNAL, text, { cause: error });
    }
    this.#full = !endMessage(stream, this.#port.takesMore);
    return size + prefixBytes;
  }

  sendEncoded(bytes: Buffer): number {
    const stream = this.stream as Http2Stream;
    const size = writeMessage(stream, encodedType, bytes, this.#port.bodyMaxBytes, this.#port.gzip);
    this.#full = !endMessage(stream, this.#port.takesMore);
    return size + prefixBytes;
  }

  end(): void {
    if (!this.#over) this.stream?.write(Buffer.alloc(0), true);
  }
}

/** Messages that are bytes already. */
const encodedType = {
  typeName: "bytes",
  create: () => Buffer.alloc(0),
  encode: (bytes: unknown, writer: { raw(bytes: Uint8Array): unknown }) => {
    writer.raw(bytes as Buffer);
  },
  decode: () => Buffer.alloc(0),
};

function isTurnedAway(headers: HeaderList): boolean {
  return headers.get(turnedAwayField) !== undefined;
}

function reasonIn(headers: HeaderList): string {
  return decodeStatusMessage(headers.valueOf(HeaderKind.GRPC_MESSAGE) ?? "");
}

function executedOf(value: string | undefined): Executed {
  return value === "never" || value === "yes" ? value : "maybe";
}
