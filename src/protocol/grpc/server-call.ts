import { Metadata, type UnreadMetadata } from "../../base/metadata.js";
import { textOf } from "../../base/thrown.js";
import type { MessageSender } from "../../call/message-pump.js";
import { MessageQueue, type MessageQueueOwner, type MessageSupply } from "../../call/message-queue.js";
import {
  type BoundMethod,
  builtinRequestMaxBytes,
  type ReplySender,
  type ServerCallHost,
} from "../../call/server-call.js";
import { ServerStreamCall, type ServerStreamPorts } from "../../call/server-stream-call.js";
import { messages } from "../../error/messages.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import { Reader } from "../../protobuf/reader.js";
import { CallerAgain, type CallerWait, waitingOverheadBytes } from "../caller-wait.js";
import type { Http2Stream, StreamFailure, StreamHandler } from "../http2/stream.js";
import { ErrorCode } from "../http2/wire/frame.js";
import type { OutgoingField } from "../http2/wire/hpack-encoder.js";
import type { ArrivingCall } from "./arriving-calls.js";
import { type MessageFormat, typeIn } from "./content-type.js";
import { EarlyBody, type EarlyBodyOwner } from "./early-body.js";
import {
  endMessage,
  MessageBody,
  type MessageBodyOwner,
  prefixBytes,
  wholeMessage,
  writeMessage,
} from "./message-body.js";
import { appendMetadata } from "./metadata-fields.js";
import type { GrpcCallPort, GrpcRequestHead, UnreadBudget } from "./server-call-port.js";
import { failureFields } from "./status-fields.js";

/** So much of a stream's next message is kept even when no memory is left: its stream has been let in. */
const streamPartMinBytes = 16 * 1024;
/** One for all connections: nothing else happens while a request is decoded. */
const requestReader = new Reader();

/** A call that came over gRPC: the handler of its HTTP/2 stream and, where it streams, both ends of its messages. */
export class GrpcServerCall
  extends ServerStreamCall
  implements
    StreamHandler,
    MessageBodyOwner,
    EarlyBodyOwner,
    MessageQueueOwner,
    MessageSender,
    MessageSupply,
    ServerStreamPorts,
    ArrivingCall
{
  readonly stream: Http2Stream;
  /** The head of the response has been sent. */
  headSent = false;
  /** Its handler still runs although the call has ended, so the stream still counts. */
  detached = false;
  /** What the header of its request counts, bytes. */
  readonly headBytes: number;
  /** Memory for its unread bytes. */
  memory: UnreadBudget | undefined = undefined;
  /** The requests, where the caller streams. */
  requests: MessageQueue | undefined = undefined;
  /** Sends the replies, where we stream. */
  replies: MessageSender | undefined = undefined;
  readonly #grpc: GrpcCallPort<GrpcServerCall>;
  #unread: UnreadMetadata | undefined;
  #callerName: Metadata | undefined;
  readonly #format: MessageFormat;
  readonly #encoding: string;
  readonly #gzip: boolean;
  #body: MessageBody | undefined;
  /** The body that arrived before the caller was known; undefined once it is known. */
  #early: EarlyBody | undefined;
  /** Its request is whole, and its token is checked again. */
  #again: CallerAgain | undefined;
  /** The one request has come. */
  #received = false;
  /** The size of that request. */
  #requestBytes = 0;
  #wake: (() => void) | undefined;
  #full = false;
  /** Bytes in the queue of requests, or kept until the caller is known. */
  #heldBytes = 0;
  /** Bytes that wait for the check of its token. */
  #waitingBytes = 0;
  /** Bytes of the message that is put together. */
  #assembledBytes = 0;
  /** Bytes of an incomplete message that were not returned to the caller's window. */
  #partBytes = 0;

  constructor(
    host: ServerCallHost,
    port: GrpcCallPort<GrpcServerCall>,
    bound: BoundMethod,
    stream: Http2Stream,
    head: GrpcRequestHead & { readonly sender: ReplySender },
    startMs: number,
    sent: { readonly metadata?: Metadata; readonly idempotencyKey?: string } | undefined,
  ) {
    super(host, head.sender, bound, undefined, stream.id, startMs, head.timeoutMs, sent);
    this.stream = stream;
    this.headBytes = head.sizeBytes;
    this.#unread = head.unread;
    this.#grpc = port;
    this.#format = head.format;
    this.#encoding = head.encoding;
    this.#gzip = head.gzip;
    const { kind } = bound.definition;
    if (kind === "unary") return;
    this.ports = this;
    if (kind !== "client_streaming") this.replies = this;
    if (kind !== "server_streaming") this.#openRequests();
  }

  #openRequests(): void {
    const queue = new MessageQueue(typeIn(this.#format, this.method.input), "the requests of a call");
    queue.supply = this;
    queue.owner = this;
    this.requests = queue;
    this.request = queue;
  }

  /** Created only when it is read. */
  override get metadata(): Metadata {
    if (this.#unread === undefined) return super.metadata;
    this.#callerName ??= Metadata.unread(this.#unread);
    return this.#callerName;
  }

  override forgetSent(): void {
    super.forgetSent();
    this.#unread = undefined;
    this.#callerName = undefined;
  }

  /** The caller streams: the handler starts before any message has arrived. */
  get takesMany(): boolean {
    return this.requests !== undefined;
  }

  // --- the request ---

  /** Its body is kept as it comes until `wait` is over. */
  holdFor(wait: CallerWait): void {
    const early = new EarlyBody(this, wait);
    this.#early = early;
    this.#waits(this.headBytes + waitingOverheadBytes);
    wait.begin(this, () => {
      this.#early = undefined;
      this.#waits(-this.#waitingBytes);
      const refusal = this.#grpc.onCallerKnown(this);
      if (refusal !== undefined) this.cancel(refusal);
      early.pass();
    });
  }

  #waits(bytes: number): RpcError | undefined {
    this.#waitingBytes += bytes;
    return this.#grpc.wait(bytes);
  }

  get receivedBytes(): number {
    return this.stream.receivedBytes;
  }

  get maySend(): boolean {
    return !this.stream.remoteEnded && this.stream.receiveWindow > 0;
  }

  keep(bytes: number): void {
    this.#heldBytes += bytes;
    const isRoom = this.#grpc.hold(this, bytes);
    const tooMuch = bytes > 0 ? this.#waits(bytes) : undefined;
    if (tooMuch !== undefined) this.cancel(tooMuch);
    else if (!isRoom && !this.ended)
      this.cancel(new RpcError(Status.RESOURCE_EXHAUSTED, messages.grpcNoRoomForRequest));
  }

  onData(stream: Http2Stream, bytes: Buffer, start: number, end: number, endStream: boolean): void {
    if (this.#early !== undefined && !this.ended) {
      this.#early.ended = endStream;
      this.#early.add(bytes, start, end);
      return;
    }
    if (this.ended) {
      stream.consumed(end - start);
      return;
    }
    const streams = this.requests !== undefined;
    if (this.#body === undefined && (streams || !this.#received)) {
      const size = wholeMessage(bytes, start, end);
      if (size >= 0 && size <= this.#grpc.bodyMaxBytes) {
        if (!streams) stream.consumed(end - start);
        this.onMessage(bytes, start + prefixBytes, end, true);
        if (endStream) this.onBodyEnd();
        return;
      }
    }
    this.#body ??= new MessageBody(this, this.#grpc.bodyMaxBytes, this.#encoding);
    if (end > start) this.#add(this.#body, bytes, start, end);
    if (endStream) this.#body.end();
  }

  #add(body: MessageBody, bytes: Buffer, start: number, end: number): void {
    const { receivedBytes } = this.stream;
    if (this.bound.builtin && this.requests === undefined && receivedBytes > builtinRequestMaxBytes) {
      const text = messages.builtinRequestTooLarge(receivedBytes, builtinRequestMaxBytes);
      this.cancel(new RpcError(Status.RESOURCE_EXHAUSTED, text));
    }
    this.#partBytes += end - start;
    if (!this.ended) body.add(bytes, start, end);
    this.#countPart(body.partBytes);
    if (this.ended) this.stream.consumed(this.#partBytes);
    // Queued bytes are returned to the window when they are read; those of an incomplete message only when it is next.
    else if (this.requests === undefined || this.requests.wanted) this.#giveBack();
  }

  /** A message, of which `bytes` have come, is put together in memory. */
  #countPart(bytes: number): void {
    if (this.ended) return;
    const more = bytes - this.#assembledBytes;
    this.#assembledBytes = bytes;
    if (this.#grpc.hold(this, more) || bytes <= (this.requests === undefined ? 0 : streamPartMinBytes))
      return;
    this.cancel(new RpcError(Status.RESOURCE_EXHAUSTED, messages.grpcNoRoomForRequest));
  }

  #giveBack(): void {
    if (this.#partBytes === 0) return;
    this.stream.consumed(this.#partBytes);
    this.#partBytes = 0;
  }

  onTrailers(): void {
    if (this.#early !== undefined) {
      this.#early.ended = true;
      return;
    }
    if (this.#body !== undefined) this.#body.end();
    else if (!this.ended) this.onBodyEnd();
  }

  onMessage(buffer: Buffer, start: number, end: number, shared: boolean): void {
    if (this.ended) return;
    const { requests } = this;
    if (requests !== undefined) {
      const cost = end - start + prefixBytes;
      this.#partBytes = Math.max(0, this.#partBytes - cost);
      this.#heldBytes += cost;
      this.#grpc.hold(this, cost);
      requests.push(buffer, start, end, cost, shared);
      return;
    }
    if (this.#received) {
      this.cancel(new RpcError(Status.INTERNAL, messages.grpcSecondMessage(this.method.fullName)));
      return;
    }
    this.#received = true;
    this.#requestBytes = end - start;
    try {
      const type = typeIn(this.#format, this.method.input);
      this.request = type.decode(requestReader.reset(buffer, start, end, shared), end);
      if (!shared) requestReader.release();
    } catch (error) {
      this.cancel(this.#undecodable(error));
    }
  }

  /** The handler may still reply. */
  onReaderLeft(): void {}

  onUndecodable(reason: unknown): unknown {
    const error = this.#undecodable(reason);
    this.cancel(error);
    return error;
  }

  #undecodable(error: unknown): RpcError {
    const text = messages.requestUndecodable(this.method.input.typeName, textOf(error));
    return new RpcError(Status.INTERNAL, text);
  }

  onBodyEnd(): void {
    if (this.ended) return;
    if (this.requests !== undefined) {
      this.requests.end();
      return;
    }
    if (!this.#received) {
      this.cancel(new RpcError(Status.INTERNAL, messages.grpcNoMessage(this.method.fullName)));
      return;
    }
    const found = this.#grpc.onWhole(this);
    if (found instanceof CallerAgain) this.#holdAgain(found);
    else this.#runUnless(found);
  }

  #holdAgain(wait: CallerAgain): void {
    this.#again = wait;
    wait.begin(this, () => {
      this.#again = undefined;
      this.keep(-this.#requestBytes);
      this.#waits(-this.#waitingBytes);
      this.#runUnless(this.#grpc.onJudgedAgain(this));
    });
    this.#waits(this.headBytes + waitingOverheadBytes);
    this.keep(this.#requestBytes);
  }

  #runUnless(refusal: RpcError | undefined): void {
    if (refusal !== undefined) {
      this.cancel(refusal);
      return;
    }
    this.run();
    this.#grpc.onRun();
  }

  onBodyFailure(error: RpcError): void {
    this.cancel(error);
  }

  /** The reader has taken a message. */
  onTaken(costBytes: number, empty: boolean): void {
    this.#heldBytes -= costBytes;
    this.#grpc.hold(this, -costBytes);
    this.stream.consumed(costBytes);
    if (empty) this.#giveBack();
  }

  /** The reader waits: a partly arrived message must get room for its rest. */
  onWanted(): void {
    this.#giveBack();
  }

  // --- the caller, and the stream ---

  onReset(stream: Http2Stream, failure: StreamFailure): void {
    this.#wakeAll();
    // A caller also resets when its deadline passes, and its frame often arrives before our own timer fires.
    if (failure.remote && this.timeLeftMs() <= 0) this.onDeadline();
    else this.cancel(reasonOf(failure));
    if (!this.detached) stream.release();
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

  protected override comeBack(): void {
    super.comeBack();
    if (!this.detached) return;
    this.detached = false;
    this.stream.release();
  }

  protected override onEnded(): void {
    super.onEnded();
    this.#early?.drop();
    this.#early = undefined;
    if (this.#waitingBytes > 0) this.#waits(-this.#waitingBytes);
    this.#again?.leave();
    if (this.arriving) this.#grpc.onNeverWhole(this);
    this.#body?.stop();
    this.#wakeAll();
    if (this.requests !== undefined) this.requests.supply = undefined;
    const bytes = this.#heldBytes + this.#assembledBytes;
    if (bytes > 0) this.#grpc.hold(this, -bytes);
    this.#heldBytes = this.#assembledBytes = 0;
  }

  // --- replies ---

  /** Sends the head of the response, unless it was sent. Returns why it cannot be. */
  #sendHead(metadata: Metadata | undefined): RpcError | undefined {
    if (this.headSent) return undefined;
    let extra: OutgoingField[] | undefined;
    if (metadata !== undefined) {
      extra = [];
      const wrong = appendMetadata(extra, metadata, this.#grpc.repeated);
      if (wrong !== undefined) return new RpcError(Status.INTERNAL, wrong);
    }
    this.headSent = true;
    const { headOf, gzipHeadOf } = this.#grpc;
    const head = (this.#gzip ? gzipHeadOf : headOf)[this.#format];
    const whole = extra === undefined ? undefined : this.#grpc.repeatedHead.find(head, extra);
    this.stream.headers(whole ?? head, whole === undefined ? extra : undefined);
    return undefined;
  }

  /** The reply of a call that does not stream them, or their end. */
  sendReply(message: unknown): RpcError | undefined {
    const { stream } = this;
    const trailers = this.replyTrailersIfAny;
    let extra: OutgoingField[] | undefined;
    if (trailers !== undefined) {
      extra = [];
      const wrong = appendMetadata(extra, trailers, this.#grpc.repeated);
      if (wrong !== undefined) return new RpcError(Status.INTERNAL, wrong);
    }
    const wrong = this.#sendHead(this.replyMetadataIfAny);
    if (wrong !== undefined) return wrong;
    if (this.replies === undefined) {
      const failed = this.#write(message);
      if (failed !== undefined) return failed;
      stream.endData(false);
    }
    stream.end(this.#grpc.okTail, extra);
    return undefined;
  }

  #write(message: unknown): RpcError | undefined {
    const { output } = this.method;
    try {
      const type = typeIn(this.#format, output);
      writeMessage(this.stream, type, message, this.#grpc.bodyMaxBytes, this.#gzip);
      return undefined;
    } catch (error) {
      if (error instanceof RpcError) return error;
      return new RpcError(Status.INTERNAL, messages.replyUnencodable(output.typeName), { cause: error });
    }
  }

  sendFailure(error: RpcError): void {
    const { stream } = this;
    // If the trailers cannot be sent, send the failure without them.
    if (!this.headSent && (error.metadata ?? this.replyMetadataIfAny) !== undefined) {
      this.#sendHead(error.metadata ?? this.replyMetadataIfAny);
    }
    const fields = failureFields(error, error.trailers ?? this.replyTrailersIfAny);
    if (this.headSent) stream.end(undefined, fields);
    else {
      this.headSent = true;
      stream.headers(this.#grpc.headOf[this.#format], fields, true);
    }
  }

  override sendMetadata(): void {
    if (this.ended) return;
    const wrong = this.#sendHead(this.replyMetadataIfAny);
    if (wrong !== undefined) this.cancel(wrong);
  }

  get hasRoom(): boolean {
    return !this.stream.closed && !this.#full;
  }

  room(): Promise<void> {
    if (this.ended || this.stream.closed || this.hasRoom) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  whole(): Promise<void> {
    return Promise.resolve();
  }

  send(message: unknown): number {
    const wrong = this.#sendHead(this.replyMetadataIfAny);
    if (wrong !== undefined) throw wrong;
    const { stream } = this;
    const type = typeIn(this.#format, this.method.output);
    let size: number;
    try {
      size = writeMessage(stream, type, message, this.#grpc.bodyMaxBytes, this.#gzip);
    } catch (error) {
      if (error instanceof RpcError) throw error;
      const text = messages.streamMessageUnencodable(textOf(error));
      throw new RpcError(Status.INTERNAL, text, { cause: error });
    }
    this.#full = !endMessage(stream, this.#grpc.takesMore);
    return size + prefixBytes;
  }
}

function reasonOf({ code, remote, reason }: StreamFailure): RpcError {
  if (!remote) return new RpcError(Status.CANCELLED, messages.callerLost(reason));
  const text = code === ErrorCode.CANCEL ? messages.cancelledByCaller : messages.callerLost(reason);
  return new RpcError(Status.CANCELLED, text);
}
