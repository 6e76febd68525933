import type { CallGate } from "../../auth/call-gate.js";
import { ByteQueue } from "../../base/byte-queue.js";
import type { Timer } from "../../base/clock.js";
import { PeerTimer } from "../../base/peer-timer.js";
import type { Peer } from "../../call/peer.js";
import { type BoundMethod, type ReplySender, ServerCall } from "../../call/server-call.js";
import type { Postponed } from "../../call/turn.js";
import { messages } from "../../error/messages.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import type { Logger } from "../../log/logger.js";
import { Reader } from "../../protobuf/reader.js";
import { Writer } from "../../protobuf/writer.js";
import type { Connection, ConnectionHandler } from "../../transport/transport.js";
import type { Dispatcher, ServerSession } from "../dispatcher.js";
import {
  type ClassicDialect,
  type ClassicRequest,
  frameClassicReply,
  readClassicRequest,
} from "./classic-wire.js";

export interface ClassicServerOptions {
  bodyMaxBytes: number;
  /** The classic wire carries no deadline; handlers get this one, ms. `Infinity`: none. */
  timeoutMs: number;
  pauseAtBytes: number;
  /** Limit of waiting replies, bytes. A reply beyond it fails its call, which resets the connection. */
  unwrittenMaxBytes: number;
}

/** A C++ caller reads its reply with one `recv` into a buffer of this size. */
const classicReplyBytes = 1024;
/** Time limit for completing a request that has begun, and for closing an ended connection, ms. */
const unfinishedMaxMs = 10_000;
/** How long a connection of the kept-open dialects may rest between two requests, ms. */
const idleMaxMs = 5 * 60_000;
/** Most waiting requests of one caller; beyond it reading stops until some are answered. */
const pipelinedMax = 128;

/** A request in order of arrival; it can be answered once `reply` or `failed` is set. */
interface Waiting {
  /** Undefined if it never reached a handler. */
  call: ServerCall | undefined;
  /** The framed bytes of its answer. */
  reply: Buffer | undefined;
  /** Why it has no answer. */
  failed: string | undefined;
}

/**
 * The serving side of a connection of the classic framework. `le32` and `be32` carry one call and close; `varint` and
 * `framed` carry many, answered strictly in order, because nothing in a reply says which request it belongs to.
 * A call that fails resets the connection: a clean end would read as an empty success.
 */
export class ClassicServerSession implements ConnectionHandler, ReplySender, ServerSession, Postponed {
  readonly peer: Peer;
  readonly #gate: CallGate;
  readonly #connection: Connection;
  readonly #dialect: ClassicDialect;
  readonly #dispatcher: Dispatcher;
  readonly #options: ClassicServerOptions;
  readonly #log: Pick<Logger, "warn">;
  readonly #received = new ByteQueue();
  #neededBytes = 0;
  #timer: Timer | undefined;
  #queue: Waiting[] = [];
  /** Bytes of queued replies, which wait for an earlier one. */
  #heldBytes = 0;
  #state: "open" | "ending" | "closed" = "open";
  /** When the last bytes arrived. */
  #nowMs = 0;
  #paused = false;
  /** Paused until its turn in the event loop. */
  #postponed = false;
  #callerEnded = false;
  /** The requests that arrived are answered; no more are read. */
  #draining = false;

  constructor(
    connection: Connection,
    dialect: ClassicDialect,
    dispatcher: Dispatcher,
    options: ClassicServerOptions,
    log: Pick<Logger, "warn">,
  ) {
    this.#gate = dispatcher.enter(connection, "classic", this);
    this.peer = this.#gate.caller;
    this.#connection = connection;
    this.#dialect = dialect;
    this.#dispatcher = dispatcher;
    this.#options = options;
    this.#log = log;
    connection.setHandler(this);
  }

  get inFlight(): number {
    return this.#queue.length;
  }

  get #oneCall(): boolean {
    return this.#dialect === "le32" || this.#dialect === "be32";
  }

  drain(): void {
    this.#draining = true;
    this.#endIfCaughtUp();
  }

  stop(why: string): void {
    this.close(why);
  }

  close(reason: string): void {
    if (this.#state === "closed") return;
    // RST: a C++ caller takes a clean end for an empty reply.
    this.#connection.reset();
    this.#onClosed(reason);
  }

  onData(chunk: Buffer): void {
    if (this.#state !== "open") return;
    this.#received.append(chunk);
    if (this.#received.length < this.#neededBytes) return;
    const { clock, turn } = this.#dispatcher;
    this.#nowMs = clock.now();
    if (turn.begin(this.#nowMs)) this.#readRequests();
    else this.#postpone();
  }

  /** Other connections and timers have their turn before this one goes on. */
  #postpone(): void {
    this.#pause();
    if (this.#postponed || this.#state === "closed") return;
    this.#postponed = true;
    this.#dispatcher.turn.postpone(this);
  }

  takeTurn(): void {
    this.#postponed = false;
    this.#resumeIfRoom();
  }

  #pause(): void {
    if (this.#paused || this.#state === "closed") return;
    this.#paused = true;
    this.#connection.pause();
  }

  /** Bytes of unsent replies: the caller does not read, or they wait for an earlier reply. */
  get unsentBytes(): number {
    return this.#connection.unwrittenBytes + this.#heldBytes;
  }

  /** The caller has reached the limit of waiting requests or replies. */
  get #callerIsSlow(): boolean {
    return this.unsentBytes > this.#options.pauseAtBytes;
  }

  /** Sets the timer of an idle connection, which waits for the rest of a request, the next one, or its end. */
  #watch(): void {
    this.#timer?.cancel();
    if (this.#state === "closed" || this.#queue.length > 0) return;
    const unfinished = this.#state === "ending" || (this.#received.length > 0 && !this.#paused);
    const waitMs = unfinished ? unfinishedMaxMs : idleMaxMs;
    const what = this.#callerIsSlow ? "was read" : "came";
    const onTimeout = (): void => this.close(`nothing ${what} for ${waitMs} ms`);
    this.#timer = new PeerTimer(this.#dispatcher.clock, onTimeout, waitMs);
  }

  onDrain(): void {
    this.#resumeIfRoom();
  }

  /** Classic callers may half-close after sending: they still read. */
  onEnd(): void {
    this.#callerEnded = true;
    this.#endIfCaughtUp();
  }

  /** Accepts no more requests, and ends after the answers to those that arrived. */
  #endIfCaughtUp(): void {
    // While paused, complete requests may be here unread.
    if (!(this.#callerEnded || this.#draining) || this.#paused) return;
    if (this.#state === "open" && this.#queue.length === 0 && this.#received.length > 0) {
      this.close(this.#callerEnded ? "the caller left in mid-request" : "the provider stops in mid-request");
      return;
    }
    if (this.#state === "open") this.#state = "ending";
    this.#endIfIdle();
  }

  onClose(error: Error | undefined): void {
    this.#onClosed(error?.message);
  }

  #readRequests(): void {
    let offset = 0;
    this.#neededBytes = 0;
    const source = this.#received.bytes;
    while (this.#state === "open" && offset < source.length && !this.#paused) {
      const result = readClassicRequest(source, offset, this.#dialect, this.#options.bodyMaxBytes);
      if (result.kind === "need-more") {
        this.#neededBytes = result.bytes;
        break;
      }
      if (result.kind === "malformed") {
        this.#log.warn(`refused a ${this.#dialect} request: ${result.reason}`, { peer: this.peer.address });
        this.close(result.reason);
        return;
      }
      offset = result.end;
      if (this.#oneCall) {
        const extra = source.length - offset;
        if (extra > 0)
          this.#log.warn(
            `${extra} bytes after the one request of a ${this.#dialect} connection are ignored`,
            {
              peer: this.peer.address,
            },
          );
        this.#state = "ending";
        offset = source.length;
      }
      this.#onRequest(result.request, source);
      if (this.#dispatcher.turn.spent()) this.#postpone();
      if (this.#queue.length >= pipelinedMax || this.#callerIsSlow) this.#pause();
    }
    this.#received.drop(offset);
    this.#watch();
    this.#endIfCaughtUp();
  }

  #onRequest(request: ClassicRequest, buffer: Buffer): void {
    const bound = this.#dispatcher.find(request.service, request.method);
    const name = `${request.service}.${request.method}`;
    const refusal =
      bound === undefined
        ? new RpcError(Status.UNIMPLEMENTED, messages.classicCallUnknown(name))
        : (refusalOfKind(bound) ??
          this.#refusalOfCaller(bound) ??
          this.#dispatcher.admit(bound, this.peer, false));
    if (bound === undefined || refusal !== undefined) {
      const reason = refusal?.message ?? name;
      this.#log.warn(`classic call refused: ${reason}`, { peer: this.peer.address });
      this.#queue.push({ call: undefined, reply: undefined, failed: reason });
      this.#sendAnswered();
      return;
    }
    const { input } = bound.definition;
    const startMs = this.#nowMs;
    const timeoutMs = this.#options.timeoutMs === Infinity ? -1 : this.#options.timeoutMs;
    const call = new ServerCall(this.#dispatcher, this, bound, undefined, 1, startMs, timeoutMs);
    this.#queue.push({ call, reply: undefined, failed: undefined });
    this.#dispatcher.onCallStart(call);
    try {
      const reader = new Reader().reset(buffer, request.bodyStart, request.bodyEnd);
      call.request = input.decode(reader, request.bodyEnd);
    } catch (error) {
      call.cancel(
        new RpcError(Status.INTERNAL, messages.classicRequestUndecodable(input.typeName), { cause: error }),
      );
      return;
    }
    call.run();
  }

  /** Why the caller, which cannot authenticate, may not call this method. */
  #refusalOfCaller(bound: BoundMethod): RpcError | undefined {
    if (this.#gate.open) return undefined;
    const checked = this.#gate.check(bound, undefined);
    return checked instanceof RpcError ? checked : undefined;
  }

  reply(call: ServerCall, message: unknown): RpcError | undefined {
    const { definition } = call.bound;
    const writer = new Writer();
    try {
      definition.output.encode(message, writer);
    } catch (error) {
      return new RpcError(Status.INTERNAL, messages.replyToClassicUnencodable, { cause: error });
    }
    const body = writer.finish();
    const { unwrittenMaxBytes } = this.#options;
    if (this.unsentBytes > unwrittenMaxBytes) {
      const text = messages.tooMuchUnwrittenToCaller(this.unsentBytes, unwrittenMaxBytes);
      return new RpcError(Status.RESOURCE_EXHAUSTED, text);
    }
    if (body.length > classicReplyBytes) {
      this.#log.warn(
        `a reply of ${body.length} bytes to a classic caller: C++ callers read at most ${classicReplyBytes}`,
        { peer: this.peer.address, method: definition.fullName },
      );
    }
    const waiting = this.#queue.find((one) => one.call === call);
    if (waiting !== undefined) {
      waiting.reply = frameClassicReply(this.#dialect, body);
      this.#heldBytes += waiting.reply.length;
    }
    this.#sendAnswered();
    return undefined;
  }

  get draining(): boolean {
    return this.#state !== "open";
  }

  /** A classic caller gives calls up by disconnecting, and few wait at a time: the provider's own count is enough. */
  onDetached(): void {}

  fail(call: ServerCall, error: RpcError): void {
    const waiting = this.#queue.find((one) => one.call === call);
    if (waiting === undefined) return;
    this.#log.warn(`classic call failed, its connection is reset: ${error.message}`, {
      peer: this.peer.address,
      method: call.method.fullName,
    });
    waiting.failed = error.message;
    this.#sendAnswered();
  }

  /** Sends the finished replies at the front of the queue; a missing one holds back those after it. */
  #sendAnswered(): void {
    if (this.#state === "closed") return;
    const ready: Buffer[] = [];
    let emptyReply = false;
    while (!emptyReply) {
      const reply = this.#queue[0]?.reply;
      if (reply === undefined) break;
      this.#queue.shift();
      this.#heldBytes -= reply.length;
      ready.push(reply);
      emptyReply = reply.length === 0;
    }
    const bytes = ready.length === 1 ? (ready[0] as Buffer) : Buffer.concat(ready);
    if (bytes.length > 0) this.#connection.write(bytes);
    if (emptyReply) this.#endAfterEmptyReply();
    const failed = this.#queue[0]?.failed;
    if (failed !== undefined) {
      this.close(failed);
      return;
    }
    this.#endIfIdle();
    this.#resumeIfRoom();
    // The last call was answered; from now on the connection waits for the caller.
    if (this.#queue.length === 0) this.#watch();
  }

  /** An empty reply without a length is no bytes at all: only the end of the connection tells that it came. */
  #endAfterEmptyReply(): void {
    this.#state = "ending";
    if (this.#queue.length === 0) return;
    const text = messages.emptyReplyEndedConnection;
    this.#log.warn(`${text}: ${this.#queue.length}`, { peer: this.peer.address });
    const dropped = new RpcError(Status.CANCELLED, text);
    for (const { call } of this.#queue.splice(0)) call?.cancel(dropped);
  }

  #resumeIfRoom(): void {
    if (!this.#paused || this.#postponed || this.#state === "closed") return;
    if (this.#queue.length >= pipelinedMax / 2 || this.#callerIsSlow) return;
    this.#paused = false;
    if (!this.#draining) this.#connection.resume();
    this.#readRequests();
  }

  #endIfIdle(): void {
    if (this.#state !== "ending" || this.#queue.length > 0) return;
    // Keep reading, to notice its end.
    this.#connection.resume();
    this.#connection.end();
    this.#watch();
    // The caller has got everything; it must not hold the connection by keeping its side open.
    if (this.#callerEnded) this.#onClosed(undefined);
  }

  #onClosed(reason: string | undefined): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#timer?.cancel();
    this.#gate.close();
    const lost = new RpcError(Status.CANCELLED, messages.callerLost(reason ?? messages.closed));
    for (const { call } of this.#queue.splice(0)) call?.cancel(lost);
    this.#dispatcher.onConnectionClosed(this, reason);
  }
}

/** The classic wire has one request and one reply. */
function refusalOfKind({ definition: { fullName, kind } }: BoundMethod): RpcError | undefined {
  if (kind === "unary") return undefined;
  return new RpcError(Status.UNIMPLEMENTED, messages.classicCallOfStream(fullName, kind));
}
