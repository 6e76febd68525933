import type { CallGate } from "../../auth/call-gate.js";
import { Caller } from "../../auth/caller.js";
import type { Metadata } from "../../base/metadata.js";
import type { Peer } from "../../call/peer.js";
import type { BoundMethod, ServerCall } from "../../call/server-call.js";
import type { Postponed } from "../../call/turn.js";
import { messages } from "../../error/messages.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import type { Connection, ConnectionHandler } from "../../transport/transport.js";
import { CallerWait } from "../caller-wait.js";
import type { Dispatcher, ServerSession } from "../dispatcher.js";
import type { Http2Options } from "../http2/options.js";
import { type Http2ServerOwner, Http2ServerSession } from "../http2/server-session.js";
import type { Http2Stream, StreamHandler } from "../http2/stream.js";
import type { HeaderField, HeaderList } from "../http2/wire/header-field.js";
import type { PreparedHeaders } from "../http2/wire/hpack-encoder.js";
import { isGrpc, isLoaded, loadJson, type MessageFormat } from "./content-type.js";
import {
  idempotencyField,
  metadataOf,
  RepeatedMetadata,
  turnedAwayField,
  unreadField,
} from "./metadata-fields.js";
import { answerPlainly } from "./plain-answer.js";
import { noMethod, plainAnswerTo, refuse } from "./refusal.js";
import { RepeatedHead } from "./repeated-head.js";
import { RequestHead } from "./request-head.js";
import { GrpcServerCall } from "./server-call.js";
import type { GrpcCallPort } from "./server-call-port.js";

export interface GrpcServerOptions {
  http2: Partial<Http2Options>;
  /** Largest message, bytes, both ways. */
  bodyMaxBytes: number;
  /** A reply that would wait behind more than this is replaced by RESOURCE_EXHAUSTED, bytes. */
  unwrittenMaxBytes: number;
  /** Memory for unread requests on one connection, bytes. */
  unreadMaxBytes: number;
  /** The same for all connections. */
  streamBudget: UnreadBudget;
}

/** Memory that several connections share. */
export interface UnreadBudget {
  readonly free: number;
  /** Takes (or, if negative, releases) bytes even if there is no room. */
  force(bytes: number): void;
}

/** Streams wait for their turn while more than this waits to be sent, bytes. */
const streamsWaitBytes = 1024 * 1024;

/** One for all connections: nothing else happens while it is read. */
const head = new RequestHead();

/** The serving side of one gRPC connection. */
export class GrpcServerSession
  implements ServerSession, GrpcCallPort<GrpcServerCall>, Http2ServerOwner, ConnectionHandler, Postponed
{
  readonly peer: Peer;
  readonly bodyMaxBytes: number;
  readonly repeated = new RepeatedMetadata();
  readonly repeatedHead = new RepeatedHead((fields) => this.#http2.prepare(fields));
  readonly headOf: Readonly<Record<MessageFormat, PreparedHeaders>>;
  readonly gzipHeadOf: Readonly<Record<MessageFormat, PreparedHeaders>>;
  readonly okTail: PreparedHeaders;
  readonly #gate: CallGate;
  readonly #connection: Connection;
  readonly #dispatcher: Dispatcher;
  readonly #options: GrpcServerOptions;
  readonly #http2: Http2ServerSession;
  /** When the bytes being processed arrived. */
  #nowMs = 0;
  /** Bytes of requests that were not read. */
  #unreadBytes = 0;
  /** The handler of the call that ends now still runs. */
  #detaching = false;
  #postponed = false;
  /** This call waits for what JSON needs, and the connection with it. */
  #loadingFor: GrpcServerCall | undefined;
  #closeReason: string | undefined;
  /** Why the caller is not served. */
  #turnedAway: string | undefined;
  #reported = false;

  constructor(connection: Connection, dispatcher: Dispatcher, options: GrpcServerOptions) {
    this.#gate = dispatcher.enter(connection, "grpc", this);
    this.peer = this.#gate.caller;
    this.bodyMaxBytes = options.bodyMaxBytes;
    this.#connection = connection;
    this.#dispatcher = dispatcher;
    this.#options = options;
    this.#http2 = new Http2ServerSession(connection, dispatcher.clock, this, options.http2);
    connection.setHandler(this);
    const headWith = (contentType: string, gzip: boolean): PreparedHeaders =>
      this.#http2.prepare([
        { name: ":status", value: "200", indexing: "table" },
        { name: "content-type", value: contentType, indexing: "table" },
        ...(gzip ? [{ name: "grpc-encoding", value: "gzip", indexing: "table" as const }] : []),
      ]);
    const heads = (gzip: boolean): Record<MessageFormat, PreparedHeaders> => ({
      proto: headWith("application/grpc", gzip),
      json: headWith("application/grpc+json", gzip),
    });
    this.headOf = heads(false);
    this.gzipHeadOf = heads(true);
    this.okTail = this.#http2.prepare([{ name: "grpc-status", value: "0", indexing: "table" }]);
  }

  get inFlight(): number {
    return this.#http2.inFlight;
  }

  get draining(): boolean {
    return this.#http2.draining;
  }

  get unsentBytes(): number {
    return this.#http2.pendingBytes;
  }

  get takesMore(): boolean {
    return this.#http2.pendingBytes < streamsWaitBytes;
  }

  drain(why: string): void {
    if (this.#http2.draining) return;
    this.#http2.drain(why);
    for (const call of this.#calls()) call.startDraining();
  }

  /**
   * Google's libraries take GOAWAY for a reason to connect again, at once and for as long as their calls wait, and never
   * tell their users what it says. An answer ends the call.
   */
  turnAway(why: string): void {
    this.#turnedAway = why;
  }

  stop(why: string): void {
    const stopped = new RpcError(Status.UNAVAILABLE, why);
    for (const call of this.#calls()) call.cancel(stopped);
    this.close(why);
  }

  close(reason: string): void {
    this.#http2.close(reason);
    this.#connection.destroy();
    this.#report(reason);
  }

  #calls(): GrpcServerCall[] {
    return this.#http2.handlers.filter((one) => one instanceof GrpcServerCall);
  }

  // --- from the connection ---

  onData(chunk: Buffer): void {
    this.#nowMs = this.#dispatcher.clock.now();
    if (!this.#http2.held && !this.#dispatcher.turn.begin(this.#nowMs)) this.#postpone();
    this.#http2.onData(chunk);
  }

  onEnd(): void {
    this.#http2.onEnd();
  }

  onDrain(): void {
    this.#http2.onDrain();
  }

  onClose(error: Error | undefined): void {
    this.#http2.onClose(error);
    this.#report(this.#closeReason);
  }

  /** The provider counts the connection until it is closed. */
  #report(reason: string | undefined): void {
    if (this.#reported) return;
    this.#reported = true;
    this.#gate.close();
    this.#dispatcher.onConnectionClosed(this, reason);
  }

  onRun(): void {
    if (this.#dispatcher.turn.spent()) this.#postpone();
  }

  #postpone(): void {
    if (this.#postponed || this.#http2.closed) return;
    this.#postponed = true;
    this.#http2.hold();
    this.#dispatcher.turn.postpone(this);
  }

  takeTurn(): void {
    this.#postponed = false;
    if (this.#http2.closed) return;
    if (this.#loadingFor === undefined) this.#goOn();
  }

  #goOn(): void {
    if (this.#http2.closed) return;
    this.#nowMs = this.#dispatcher.clock.now();
    this.#http2.resume();
  }

  onSessionClosed(reason: string | undefined): void {
    this.#closeReason = reason;
  }

  // --- requests ---

  onRequest(stream: Http2Stream, headers: HeaderList, endStream: boolean): StreamHandler | undefined {
    head.read(headers, this.#resolve);
    const { bound } = head;
    if (this.#turnedAway !== undefined) {
      this.#refuseAsTurnedAway(stream, headers, this.#turnedAway);
      return undefined;
    }
    if (!head.isGrpc || !head.post) {
      this.#refuseNoCall(stream, headers);
      return undefined;
    }
    const metadata = head.others ? metadataOf(headers) : undefined;
    if (!head.others && head.agent !== undefined) head.unread = unreadField(head.agent);
    const refusal =
      this.#refusal(metadata) ?? this.#admit(bound as BoundMethod, metadata as Metadata | undefined);
    if (refusal !== undefined || bound === undefined) {
      refuse(stream, this.headOf.proto, head, refusal ?? noMethod(head));
      return undefined;
    }
    return this.#begin(stream, bound, headers, metadata as Metadata | undefined, endStream);
  }

  /** The method that a path names; it stays with the field, which is the same object for as long as the caller's table has it. */
  readonly #resolve = (field: HeaderField): BoundMethod | undefined => {
    const path = field.value;
    const slash = path.lastIndexOf("/");
    if (slash < 1 || path.charCodeAt(0) !== 47) return undefined;
    const bound = this.#dispatcher.find(path.slice(1, slash), path.slice(slash + 1));
    field.resolved = bound;
    return bound;
  };

  #refusal(metadata: Metadata | string | undefined): RpcError | undefined {
    if (this.#http2.draining && this.#http2.closed)
      return new RpcError(Status.UNAVAILABLE, messages.callsNoLongerTaken);
    if (head.bound === undefined) return noMethod(head);
    if (!head.knownEncoding) {
      return new RpcError(Status.UNIMPLEMENTED, messages.grpcUnknownEncoding(head.encoding));
    }
    if (Number.isNaN(head.timeoutMs)) {
      return new RpcError(Status.INTERNAL, messages.grpcTimeoutMalformed(head.timeout));
    }
    if (typeof metadata === "string")
      return new RpcError(Status.INTERNAL, messages.grpcMetadataMalformed(metadata));
    if (head.timeoutMs === 0) return new RpcError(Status.DEADLINE_EXCEEDED, messages.deadlinePassedOnTheWay);
    const streamsRequests = takesMany(head.bound);
    if (streamsRequests && this.#options.streamBudget.free <= 0)
      return new RpcError(Status.RESOURCE_EXHAUSTED, messages.noRoomForStream);
    return undefined;
  }

  /** The caller, or why the call may not be made. A call whose token is being checked is accepted and waits. */
  #admit(bound: BoundMethod, metadata: Metadata | undefined): RpcError | undefined {
    head.sender = this;
    head.wait = undefined;
    let caller = this.#gate.caller;
    if (!this.#gate.open) {
      const checked = this.#gate.check(bound, metadata);
      if (checked instanceof RpcError) return checked;
      if (checked instanceof Caller) {
        caller = checked;
        head.sender = this.#gate.portOf(checked, this);
      } else {
        head.wait = new CallerWait(this.#gate, checked, this);
        head.sender = head.wait.port;
      }
    }
    const arriving = head.wait !== undefined || !takesMany(bound);
    return this.#dispatcher.admit(bound, caller, arriving);
  }

  #begin(
    stream: Http2Stream,
    bound: BoundMethod,
    headers: HeaderList,
    metadata: Metadata | undefined,
    endStream: boolean,
  ): GrpcServerCall {
    head.gzip = head.encoding === "gzip" && head.acceptsGzip;
    const key = head.others ? headers.get(idempotencyField) : undefined;
    const sent =
      metadata === undefined && key === undefined
        ? undefined
        : {
            ...(metadata === undefined ? {} : { metadata }),
            ...(key === undefined ? {} : { idempotencyKey: key }),
          };
    const call = new GrpcServerCall(this.#dispatcher, this, bound, stream, head, this.#nowMs, sent);
    const { wait } = head;
    call.arriving = wait !== undefined || !call.takesMany;
    this.#dispatcher.onCallStart(call);
    if (wait !== undefined) call.holdFor(wait);
    if (isLoaded(head.format)) this.#start(call, endStream);
    else void this.#startWithJson(call, endStream);
    return call;
  }

  #start(call: GrpcServerCall, endStream: boolean): void {
    if (call.takesMany && !call.ended && !call.arriving) {
      call.run();
      this.onRun();
    }
    // A body without bytes: even its end may have to wait.
    if (endStream) call.onTrailers();
  }

  /** The connection waits until the code for JSON is loaded. */
  async #startWithJson(call: GrpcServerCall, endStream: boolean): Promise<void> {
    this.#loadingFor = call;
    this.#http2.hold();
    await loadJson();
    this.#loadingFor = undefined;
    this.#start(call, endStream);
    if (!this.#postponed) this.#goOn();
  }

  onWhole(call: GrpcServerCall): RpcError | undefined {
    const refusal = this.#dispatcher.admit(call.bound, call.peer, false);
    if (refusal !== undefined) return refusal;
    this.#arrived(call);
    return undefined;
  }

  onCallerKnown(call: GrpcServerCall): RpcError | undefined {
    if (!call.takesMany) return undefined;
    const refusal = this.onWhole(call);
    if (refusal !== undefined) return refusal;
    // Otherwise it is started when JSON is there.
    if (call !== this.#loadingFor) this.#start(call, false);
    return undefined;
  }

  onNeverWhole(call: GrpcServerCall): void {
    this.#arrived(call);
  }

  #arrived(call: GrpcServerCall): void {
    call.arriving = false;
    this.#dispatcher.onArrived(call);
  }

  hold(bytes: number): boolean {
    this.#unreadBytes += bytes;
    this.#options.streamBudget.force(bytes);
    return (
      bytes <= 0 || (this.#unreadBytes <= this.#options.unreadMaxBytes && this.#options.streamBudget.free > 0)
    );
  }

  /** A request that is no gRPC call: it is answered in plain HTTP. */
  #refuseNoCall(stream: Http2Stream, headers: HeaderList): void {
    // gRPC with an unknown message format: answered as gRPC.
    if (head.post && isGrpc(head.contentType)) {
      const error = new RpcError(Status.UNIMPLEMENTED, messages.grpcContentType(head.contentType));
      refuse(stream, this.headOf.proto, head, head.bound === undefined ? noMethod(head) : error);
    } else answerPlainly(stream, headers, plainAnswerTo(head));
  }

  #refuseAsTurnedAway(stream: Http2Stream, headers: HeaderList, why: string): void {
    if (head.isGrpc) {
      const field = { name: turnedAwayField, value: "1" };
      refuse(stream, this.headOf.proto, head, new RpcError(Status.UNAVAILABLE, why), field);
    } else answerPlainly(stream, headers, { status: "503", text: `${why}\n` });
    this.drain(why);
  }

  // --- to the caller ---

  reply(call: ServerCall, message: unknown): RpcError | undefined {
    const { pendingBytes } = this.#http2;
    const { unwrittenMaxBytes } = this.#options;
    if (pendingBytes > unwrittenMaxBytes) {
      const text = messages.tooMuchUnwrittenToCaller(pendingBytes, unwrittenMaxBytes);
      return new RpcError(Status.RESOURCE_EXHAUSTED, text);
    }
    return (call as GrpcServerCall).sendReply(message);
  }

  fail(call: ServerCall, error: RpcError): void {
    const served = call as GrpcServerCall;
    if (this.#detaching) {
      this.#detaching = false;
      served.detached = true;
      served.stream.hold();
    }
    served.sendFailure(error);
  }

  onDetached(by: 1 | -1): void {
    this.#detaching = by === 1;
  }
}

function takesMany({ definition: { kind } }: BoundMethod): boolean {
  return kind === "client_streaming" || kind === "bidi_streaming";
}
