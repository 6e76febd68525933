import type { Clock, Timer } from "../../base/clock.js";
import { messages } from "../../error/messages.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import { waitingOverheadBytes } from "../caller-wait.js";
import type { UnreadBudget } from "./server-call-port.js";

/** A call whose request is not whole, or whose caller is not known. */
export interface ArrivingCall {
  /** Bytes of its body so far. */
  readonly receivedBytes: number;
  /** Its caller can send the rest: there is a rest, and a window for it. */
  readonly maySend: boolean;
  cancel(reason: RpcError): void;
}

/** What the arriving calls of a connection need from it. */
export interface ArrivingCallsHost {
  readonly clock: Clock;
  readonly arrivingCalls: readonly ArrivingCall[];
  /** Its bytes are not read for now, or its window is closed. */
  readonly unread: boolean;
  /** Another number whenever something has come on any stream. */
  readonly progress: number;
  /** Memory for unread requests of this connection's caller. */
  readonly room: UnreadBudget;
}

/** A request that receives no bytes for so long ends, ms, when nothing comes for others either. */
const stalledAfterMs = 10_000;
/** It is looked so many times meanwhile, so that a process that was frozen first reads what has arrived. */
const looks = 4;
/** And this many while others come: on a slow line they take turns. */
const passedOverLooks = 24;

interface Seen {
  readonly bytes: number;
  /** Consecutive looks that saw nothing of it, and those of them that saw nothing at all. */
  readonly still: number;
  readonly idle: number;
}

/**
 * The calls of one connection whose requests are not whole, or whose tokens are being checked: what their headers take, how much waits for
 * checks, and whether they make progress. A call that comes as a whole is added and deleted again before anything is counted.
 */
export class ArrivingCalls {
  readonly #host: ArrivingCallsHost;
  readonly #maxBytes: number;
  #headBytes = 0;
  /** What of them the provider has counted. */
  #countedBytes = 0;
  #waitingBytes = 0;
  #timer: Timer | undefined;
  #seen = new Map<ArrivingCall, Seen>();
  #progress = 0;

  /** `maxBytes`: of all headers, and of what waits for checks. */
  constructor(host: ArrivingCallsHost, maxBytes: number) {
    this.#host = host;
    this.#maxBytes = maxBytes;
  }

  /** Why a request with this header may not arrive; `waits`: its token is to be checked. */
  refusal(headBytes: number, waits: boolean): RpcError | undefined {
    if (waits) {
      const tooMuch = this.#tooMuchWaits(headBytes + waitingOverheadBytes);
      if (tooMuch !== undefined) return tooMuch;
    }
    const full = this.#countedBytes > 0 && this.#host.room.free <= 0;
    if (!full && this.#headBytes + headBytes <= this.#maxBytes) return undefined;
    return new RpcError(Status.RESOURCE_EXHAUSTED, messages.grpcNoRoomForMetadata);
  }

  #tooMuchWaits(moreBytes: number): RpcError | undefined {
    const bytes = this.#waitingBytes + moreBytes;
    if (bytes <= this.#maxBytes) return undefined;
    return new RpcError(Status.RESOURCE_EXHAUSTED, messages.tooMuchWaitsForChecks(bytes, this.#maxBytes));
  }

  add(headBytes: number): void {
    this.#headBytes += headBytes;
  }

  /** Its request is whole and its caller known, or it has ended. */
  delete(headBytes: number): void {
    this.#headBytes -= headBytes;
    if (this.#countedBytes > 0) this.#count();
  }

  /** So many bytes begin to wait for a check, or, negative, wait no more. Returns why they may not. */
  wait(bytes: number): RpcError | undefined {
    const tooMuch = bytes > 0 ? this.#tooMuchWaits(bytes) : undefined;
    this.#waitingBytes += bytes;
    return tooMuch;
  }

  /** What has come at once has been passed on: requests that are not whole now stay. */
  afterData(): void {
    if (this.#headBytes !== this.#countedBytes) this.#count();
    if (this.#headBytes > 0 && this.#timer === undefined) this.#lookLater();
  }

  #count(): void {
    const moreBytes = this.#headBytes - this.#countedBytes;
    this.#countedBytes = this.#headBytes;
    this.#host.room.force(moreBytes);
  }

  #lookLater(): void {
    this.#timer = this.#host.clock.setTimer(() => this.#look(), stalledAfterMs / looks);
  }

  #look(): void {
    this.#timer = undefined;
    const calls = this.#host.arrivingCalls;
    const before = this.#seen;
    this.#seen = new Map();
    if (calls.length === 0) return;
    this.#lookLater();
    if (this.#host.unread) return;
    const { progress } = this.#host;
    const othersCome = progress !== this.#progress;
    this.#progress = progress;
    for (const call of calls) {
      if (!call.maySend) continue;
      const bytes = call.receivedBytes;
      const last = before.get(call);
      if (last === undefined || last.bytes !== bytes) {
        this.#seen.set(call, { bytes, still: 0, idle: 0 });
        continue;
      }
      const seen = { bytes, still: last.still + 1, idle: othersCome ? 0 : last.idle + 1 };
      this.#seen.set(call, seen);
      if (seen.idle < looks && seen.still < passedOverLooks) continue;
      const waitedMs = (stalledAfterMs / looks) * (seen.idle < looks ? passedOverLooks : looks);
      call.cancel(new RpcError(Status.UNAVAILABLE, messages.requestStalled(waitedMs)));
    }
  }

  /** The connection is gone, and its calls have ended. */
  stop(): void {
    this.#timer?.cancel();
    this.#seen.clear();
  }
}
