import type { Clock, Timer } from "../base/clock.js";
import { isOf } from "../base/thrown.js";
import type { CallEvents } from "../call/events.js";
import { type BoundMethod, type ServerCall, stillRunning } from "../call/server-call.js";
import { Turn } from "../call/turn.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import { FirstBytes } from "../protocol/detect/first-bytes.js";
import type { Dispatcher, ServerSession } from "../protocol/dispatcher.js";
import type { ServerProtocol } from "../protocol/protocol.js";
import type { Runtime } from "../runtime/runtime.js";
import type { Connection } from "../transport/transport.js";
import { serverProtocols } from "./protocols.js";
import type { Router } from "./router.js";

/**
 * Callers beyond the limit of connections are told so, as many at a time as the limit lets in, and at least this many; what
 * comes beyond that is a flood, and reset.
 */
const politeMin = 1000;
/** A caller that was told to go has this long to do so, ms. */
const leaveWithinMs = 5000;
/** A caller whose connection has reached its age is looked at after this, ms: with nothing in flight it should be gone. */
const agedLeaveWithinMs = 60_000;

/** Oneway calls that were dropped are told of together, this often at most, ms. */
const droppedToldAfterMs = 1000;

interface Served {
  connection: Connection;
  ageTimer: Timer;
}

/** Takes connections in, finds out what they speak, counts what is in flight and keeps the limits. */
export class ServerConnections implements Dispatcher {
  readonly clock: Clock;
  readonly turn: Turn;
  /** Services that are there without being offered: asked last. */
  builtin: Router | undefined;
  readonly #runtime: Runtime;
  readonly #table: Router;
  readonly #protocols: readonly ServerProtocol[];
  readonly #served = new Map<ServerSession, Served>();
  readonly #undecided = new Set<FirstBytes>();
  /** Connections that came over the limit: they are on their way out, and take nobody's place. */
  readonly #turnedAway = new Set<Connection>();
  /** Calls that no reply is wanted of: no connection knows of them, since they may outlive theirs. */
  readonly #oneway = new Set<ServerCall>();
  #inFlight = 0;
  /** Of those in flight: their requests are not whole. */
  #arriving = 0;
  /** Handlers that go on although their calls have ended. */
  #detached = 0;
  /** Oneway calls that were dropped and nobody has been told of. */
  #dropped = 0;
  #droppedTimer: Timer | undefined;
  #draining = false;
  #stopped = false;
  #waiting: Array<{ done: () => boolean; resolve: () => void }> = [];

  constructor(runtime: Runtime, table: Router) {
    this.#runtime = runtime;
    this.#table = table;
    this.clock = runtime.clock;
    this.turn = new Turn(runtime.clock);
    this.#protocols = serverProtocols(runtime);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get connections(): number {
    return this.#served.size + this.#undecided.size;
  }

  accept(connection: Connection): void {
    const { connectionsMax } = this.#runtime.settings.provider;
    const overLimit = this.connections - this.#turnedAway.size >= connectionsMax;
    if (this.#stopped || (overLimit && this.#turnedAway.size >= Math.max(connectionsMax, politeMin))) {
      connection.reset();
      return;
    }
    if (overLimit) this.#turnedAway.add(connection);
    const first: FirstBytes = new FirstBytes(connection, this.clock, this.#protocols, {
      onProtocol: (protocol, variant, bytes) => {
        this.#undecided.delete(first);
        this.#serve(connection, protocol, variant, bytes);
        this.#tellWaiting();
      },
      onRefused: (reason) => {
        this.#forget(first, connection);
        this.#runtime.log.warn(`connection refused: ${reason}`, { peer: connection.remote });
        this.#tellWaiting();
      },
      onLeft: () => {
        this.#forget(first, connection);
        this.#tellWaiting();
      },
    });
    this.#undecided.add(first);
  }

  /** A connection that never showed what it speaks is gone. */
  #forget(first: FirstBytes, connection: Connection): void {
    this.#undecided.delete(first);
    this.#turnedAway.delete(connection);
  }

  #serve(connection: Connection, protocol: ServerProtocol, variant: string | undefined, bytes: Buffer): void {
    const { settings, log, random, events } = this.#runtime;
    const { connectionsMax, connectionMaxAgeMs } = settings.provider;
    const overLimit = this.#turnedAway.has(connection);
    const leave = overLimit
      ? messages.tooManyConnections(connectionsMax)
      : this.#draining
        ? messages.providerShuttingDown
        : undefined;
    const refusal = protocol.refusal ?? (protocol.tellsToLeave ? undefined : leave);
    if (refusal !== undefined) {
      log.warn(`${protocol.name} caller refused: ${refusal}`, { peer: connection.remote });
      this.#turnedAway.delete(connection);
      connection.reset();
      return;
    }
    const served = protocol.serve(connection, this, variant);
    // In whole seconds: timers of one duration share a list.
    const ageMs = Math.ceil((connectionMaxAgeMs * (0.9 + 0.2 * random())) / 1000) * 1000;
    const ageTimer = overLimit
      ? this.clock.setTimer(() => served.stop(messages.callerOverLimitStayed), leaveWithinMs)
      : this.clock.setTimer(() => this.#onAged(served), ageMs);
    this.#served.set(served, { connection, ageTimer });
    events.emit("connectionOpen", this.#connectionFacts(served));
    if (overLimit) log.warn(`caller turned away: ${leave}`, { peer: connection.remote });
    if (leave !== undefined) served.drain(leave);
    served.onData(bytes);
  }

  #onAged(served: ServerSession): void {
    served.drain(messages.connectionAged);
    this.#cutOffLater(served);
  }

  /** A caller that was told to go, waits for nothing and stays would hold its connection for ever. */
  #cutOffLater(served: ServerSession): void {
    const entry = this.#served.get(served);
    if (entry === undefined) return;
    entry.ageTimer = this.clock.setTimer(() => {
      if (served.inFlight > 0 || entry.connection.unwrittenBytes > 0) this.#cutOffLater(served);
      else served.close(messages.callerToldToLeaveStayed);
    }, agedLeaveWithinMs);
  }

  #connectionFacts(served: ServerSession): CallEvents["connectionOpen"] {
    const entry = this.#served.get(served);
    return {
      side: "server",
      protocol: served.protocol,
      local: entry?.connection.local ?? "",
      remote: served.peer,
    };
  }

  // --- from the connections ---

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
    if (events.has("serverStart")) {
      events.emit("serverStart", { method: call.method, peer: call.peer, classic: call.classic });
    }
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
        method: call.method,
        peer: call.peer,
        classic: call.classic,
        code: error?.code ?? Status.OK,
        elapsedMs: this.clock.now() - call.startMs,
        error,
      });
    }
    if (--this.#inFlight === 0) this.#tellWaiting();
  }

  #logFailure(call: ServerCall, hidden: unknown): void {
    const told = (blamed: string | undefined): void => {
      const where = blamed === undefined ? "" : `, ${blamed}`;
      const text = `${call.method.fullName} failed${where}: ${textOf(hidden)}`;
      this.#runtime.log.error(text, { peer: call.peer, error: hidden });
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
    this.#runtime.log.error(text, { peer: call.peer, error: thrown });
  }

  onConnectionClosed(connection: ServerSession, reason: string | undefined): void {
    const facts = this.#connectionFacts(connection);
    const entry = this.#served.get(connection);
    if (entry === undefined) return;
    entry.ageTimer.cancel();
    this.#turnedAway.delete(entry.connection);
    this.#served.delete(connection);
    this.#runtime.events.emit("connectionClose", { ...facts, reason });
    if (reason !== undefined)
      this.#runtime.log.debug(`connection closed: ${reason}`, { peer: connection.peer });
    this.#tellWaiting();
  }

  // --- stopping ---

  /** No new connections, no new calls; callers are told. */
  drain(): void {
    this.#draining = true;
    for (const connection of [...this.#served.keys()]) connection.drain(messages.providerShuttingDown);
    // Those that have not shown what they speak are told as soon as they do: a reset would leave their caller, whose
    // first call is on its way, in doubt whether it ran.
  }

  /** Resolves when no call is in flight. */
  whenIdle(): Promise<void> {
    return this.#when(() => this.#inFlight === 0);
  }

  /** Resolves when every connection is closed, and so every reply has been taken. */
  whenEmpty(): Promise<void> {
    return this.#when(() => this.connections === 0);
  }

  #when(done: () => boolean): Promise<void> {
    if (done()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ done, resolve }));
  }

  #tellWaiting(): void {
    if (this.#waiting.length === 0) return;
    const met = this.#waiting.filter(({ done }) => done());
    this.#waiting = this.#waiting.filter((one) => !met.includes(one));
    for (const { resolve } of met) resolve();
  }

  /** Cancels what is in flight and closes every connection. */
  closeAll(reason: string): void {
    this.#stopped = true;
    this.#droppedTimer?.cancel();
    for (const first of [...this.#undecided]) first.refuse(reason);
    for (const connection of [...this.#served.keys()]) connection.stop(reason);
    for (const call of [...this.#oneway]) call.cancel(new RpcError(Status.UNAVAILABLE, reason));
  }
}

/** For the log; never throws, whatever a handler threw. */
function textOf(thrown: unknown): string {
  return isOf(thrown, RpcError) ? thrown.message : RpcError.from(thrown).rawMessage;
}
