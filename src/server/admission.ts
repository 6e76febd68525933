import type { Clock, Timer } from "../base/clock.js";
import { isOf } from "../base/thrown.js";
import { type BoundMethod, type ServerCall, stillRunning } from "../call/server-call.js";
import { Turn } from "../call/turn.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import type { Dispatcher, ServedSession } from "../protocol/dispatcher.js";
import type { Runtime } from "../runtime/runtime.js";
import type { Router } from "./router.js";

/** Oneway calls that were dropped are reported together, this often at most, ms. */
const droppedToldAfterMs = 1000;

/** The calls of a provider, whatever they come on: finds their methods, counts what is in flight and keeps the limit. */
export class Admission implements Dispatcher {
  readonly clock: Clock;
  readonly turn: Turn;
  /** Services that are there without being offered: asked last. */
  builtin: Router | undefined;
  readonly onConnectionClosed: (session: ServedSession, reason: string | undefined) => void;
  readonly #runtime: Runtime;
  readonly #table: Router;
  /** Calls that no reply is wanted of: no connection knows of them, since they may outlive theirs. */
  readonly #oneway = new Set<ServerCall>();
  #inFlight = 0;
  /** Of those in flight: their requests are not whole. */
  #arriving = 0;
  /** Handlers that go on although their calls have ended. */
  #detached = 0;
  /** Oneway calls that were dropped and not yet reported. */
  #dropped = 0;
  #droppedTimer: Timer | undefined;
  #whenIdle: Array<() => void> = [];

  constructor(runtime: Runtime, table: Router, onConnectionClosed: Admission["onConnectionClosed"]) {
    this.#runtime = runtime;
    this.#table = table;
    this.onConnectionClosed = onConnectionClosed;
    this.clock = runtime.clock;
    this.turn = new Turn(runtime.clock);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  find(service: string, method: string): BoundMethod | undefined {
    return this.#table.find(service, method) ?? this.builtin?.find(service, method);
  }

  admit(_bound: BoundMethod): RpcError | undefined {
    const { inFlightMax } = this.#runtime.settings.provider;
    const taken = this.#inFlight - this.#arriving + this.#detached;
    if (taken >= inFlightMax) {
      const text = messages.tooManyCalls(taken, stillRunning(this.#detached));
      return new RpcError(Status.RESOURCE_EXHAUSTED, text);
    }
    return undefined;
  }

  onCallStart(call: ServerCall): void {
    this.#inFlight++;
    if (call.arriving) this.#arriving++;
    if (call.id === 0) this.#oneway.add(call);
    const { events, wheel } = this.#runtime;
    if (call.deadlineMs !== Infinity) wheel.add(call);
    if (events.has("serverStart")) events.emit("serverStart", { call });
  }

  onArrived(): void {
    this.#arriving--;
  }

  onCallEnd(call: ServerCall, error: RpcError | undefined, hidden: unknown): void {
    const { events, wheel } = this.#runtime;
    wheel.remove(call);
    if (call.id === 0) this.#oneway.delete(call);
    if (hidden !== undefined) this.#logFailure(call, hidden);
    if (events.has("serverEnd")) {
      events.emit("serverEnd", {
        call,
        code: error?.code ?? Status.OK,
        elapsedMs: this.clock.now() - call.startMs,
        error,
      });
    }
    if (--this.#inFlight === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  #logFailure(call: ServerCall, hidden: unknown): void {
    const told = (blamed: string | undefined): void => {
      const where = blamed === undefined ? "" : `, ${blamed}`;
      const text = `${call.method.fullName} failed${where}: ${textOf(hidden)}`;
      this.#runtime.log.error(text, { peer: call.peer.address, error: hidden });
    };
    const blaming = call.bound.blame?.(call);
    if (blaming === undefined) told(undefined);
    else void blaming.then(told);
  }

  onDetached(by: 1 | -1): void {
    this.#detached += by;
  }

  onOnewayDropped(reason: RpcError): void {
    if (this.#dropped++ === 0) {
      this.#droppedTimer = this.clock.setTimer(() => this.#tellDropped(reason), droppedToldAfterMs);
    }
  }

  #tellDropped(reason: RpcError): void {
    const calls = this.#dropped === 1 ? "a oneway call was" : `${this.#dropped} oneway calls were`;
    this.#runtime.log.warn(`${calls} dropped: ${reason.rawMessage}`);
    this.#dropped = 0;
  }

  onCallbackError(call: ServerCall, thrown: unknown): void {
    const text = messages.cancelCallbackThrew(call.method.fullName, textOf(thrown));
    this.#runtime.log.error(text, { peer: call.peer.address, error: thrown });
  }

  /** Resolves when no call is in flight. */
  whenIdle(): Promise<void> {
    if (this.#inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  /** Cancels the calls that no connection knows of. */
  stop(reason: string): void {
    this.#droppedTimer?.cancel();
    for (const call of [...this.#oneway]) call.cancel(new RpcError(Status.UNAVAILABLE, reason));
  }
}

/** For the log; never throws, whatever a handler threw. */
function textOf(thrown: unknown): string {
  return isOf(thrown, RpcError) ? thrown.message : RpcError.from(thrown).rawMessage;
}
