import { textOf } from "../../base/thrown.js";
import type { BoundMethod, ServerCall } from "../../call/server-call.js";
import { messages } from "../../error/messages.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import { Reader } from "../../protobuf/reader.js";
import type { Dispatcher } from "../dispatcher.js";
import { Arrivals, type ArrivalsOwner, stalledAfterMs } from "./arrivals.js";
import type { ChunkedMessage, FrameDecoder } from "./wire/frame-decoder.js";
import type { WireLimits } from "./wire/limits.js";

/** What requests in chunks need from their connection. */
export interface ArrivingHost {
  /** When bytes last arrived; undefined while the connection is not read. */
  readonly heardMs: number | undefined;
  /** Why no more calls can run here. */
  overLimit(): RpcError | undefined;
  /** The request of `call` is whole: `go` comes if, or as soon as, its caller may still make it; otherwise it is cancelled. */
  judgeAgain(call: ServerCall, go: () => void): void;
  /** The request is complete, or its call has ended. */
  onArrived(call: ServerCall): void;
  /** A handler was called and has returned a value or a promise. */
  onRun(): void;
}

/** One for all connections: nothing else happens while a request is decoded. */
const requestReader = new Reader();

/**
 * The calls of one connection whose requests come in chunks. Their deadlines count from the announcement. They count
 * as running calls only once the whole request has arrived.
 */
export class ArrivingRequests implements ArrivalsOwner<ServerCall> {
  readonly #host: ArrivingHost;
  readonly #dispatcher: Dispatcher;
  readonly #decoder: FrameDecoder;
  readonly #arrivals: Arrivals<ServerCall>;
  /** The calls that need a reply. */
  numbered = 0;

  constructor(host: ArrivingHost, dispatcher: Dispatcher, decoder: FrameDecoder, limits: WireLimits) {
    this.#host = host;
    this.#dispatcher = dispatcher;
    this.#decoder = decoder;
    this.#arrivals = new Arrivals(dispatcher.clock, limits, decoder, this);
  }

  get heardMs(): number | undefined {
    return this.#host.heardMs;
  }

  get size(): number {
    return this.#arrivals.size;
  }

  get calls(): ServerCall[] {
    return this.#arrivals.calls;
  }

  get bytes(): number {
    return this.#arrivals.bytes;
  }

  /** Why one more message of this size is refused. */
  refusal(sizeBytes: number): RpcError | undefined {
    const tooMuch = this.#arrivals.refusal(sizeBytes);
    return tooMuch === undefined ? undefined : new RpcError(Status.RESOURCE_EXHAUSTED, tooMuch);
  }

  add(call: ServerCall, sizeBytes: number): ChunkedMessage {
    if (call.id !== 0) this.numbered++;
    this.#arrivals.add(call.id, call, sizeBytes);
    return { onEnd: (body) => this.#onWhole(call, body) };
  }

  /** Its request is complete, or the call has ended before that. */
  delete(call: ServerCall): void {
    call.arriving = false;
    if (call.id !== 0) this.numbered--;
    this.#arrivals.delete(call.id);
    this.#decoder.forget(call.id);
    this.#dispatcher.onArrived(call);
    this.#host.onArrived(call);
  }

  #onWhole(call: ServerCall, body: Buffer | undefined): void {
    if (body === undefined) {
      // Its end takes it out, here and where it waits for the check of its token.
      call.cancel(new RpcError(Status.CANCELLED, messages.requestGivenUp));
      return;
    }
    this.#host.judgeAgain(call, () => {
      // It counts against the limit only now, and may exceed it.
      const refusal = this.#host.overLimit() ?? this.#dispatcher.admit(call.bound, call.peer, false);
      this.delete(call);
      if (runWhole(call, body, refusal)) this.#host.onRun();
    });
  }

  onStalled(call: ServerCall): void {
    const text = messages.requestStalled(stalledAfterMs);
    call.cancel(new RpcError(Status.UNAVAILABLE, text));
  }

  /** The connection is gone. */
  stop(): void {
    this.#arrivals.stop();
  }
}

/** A request that cannot be decoded. */
export function undecodable(bound: BoundMethod, error: unknown): RpcError {
  const text = messages.requestUndecodable(bound.definition.input.typeName, textOf(error));
  return new RpcError(Status.INTERNAL, text);
}

/**
 * Runs a call after its request has arrived. `body`: the whole request, undefined for a stream. False when it did not run: it
 * was refused, has ended, or cannot be decoded.
 */
export function runWhole(call: ServerCall, body: Buffer | undefined, refusal: RpcError | undefined): boolean {
  if (refusal !== undefined) call.cancel(refusal);
  if (call.ended) return false;
  try {
    if (body !== undefined) {
      const reader = requestReader.reset(body, 0, body.length);
      call.request = call.bound.definition.input.decode(reader, body.length);
      reader.release();
    }
  } catch (error) {
    call.cancel(undecodable(call.bound, error));
    return false;
  }
  call.run();
  return true;
}
