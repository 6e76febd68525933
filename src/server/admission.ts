import {
  type Account,
  type AccountedConnection,
  Accounts,
  hostOf,
  isCrowded,
  leavesSome,
} from "../auth/account.js";
import { CallGate } from "../auth/call-gate.js";
import { Caller } from "../auth/caller.js";
import type { Guard } from "../auth/guard.js";
import type { Clock, Timer } from "../base/clock.js";
import { printable } from "../base/printable.js";
import { isOf } from "../base/thrown.js";
import type { Peer, ProtocolName } from "../call/peer.js";
import { type BoundMethod, type ServerCall, stillRunning } from "../call/server-call.js";
import { Turn } from "../call/turn.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import type { Dispatcher, ServedSession } from "../protocol/dispatcher.js";
import { peerOf } from "../protocol/peer-of.js";
import type { Runtime } from "../runtime/runtime.js";
import type { Connection } from "../transport/transport.js";
import { BuiltinStreams } from "./builtin-streams.js";
import type { Router } from "./router.js";
import { openGuard } from "./security.js";

/** Dropped oneway calls are reported together, at most this often, ms. */
const droppedToldAfterMs = 1000;

/** As many calls may arrive as may be in flight, and at least so many: they come in bursts, and most of them are whole at once. */
const arrivingLeastMax = 1024;

/** The calls of a provider, on all connections: finds their methods, counts those in flight and applies the limit. */
export class Admission implements Dispatcher {
  readonly clock: Clock;
  readonly turn: Turn;
  /** Built-in services, looked up last. */
  builtin: Router | undefined;
  readonly onConnectionClosed: (session: ServedSession, reason: string | undefined) => void;
  /** What each caller uses. */
  readonly accounts: Accounts;
  /** Who calls, and who may. Allows everybody until the provider has opened its own guard. */
  guard: Guard;
  readonly #runtime: Runtime;
  /** True when no caller has a limit of its own. */
  readonly #unlimited: boolean;
  readonly #table: Router;
  /** Oneway calls: no connection keeps them, since they may outlive it. */
  readonly #oneway = new Set<ServerCall>();
  #inFlight = 0;
  /** Calls in flight whose requests are not complete yet. */
  #arriving = 0;
  readonly #builtinStreams: BuiltinStreams;
  /** Handlers that still run although their calls have ended. */
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
    const { provider } = runtime.settings;
    const { inFlightPerCallerMax, callsPerSecondMax, unreadPerCallerMaxBytes } = provider;
    this.#builtinStreams = new BuiltinStreams(provider.inFlightMax);
    this.#unlimited = Math.min(inFlightPerCallerMax, callsPerSecondMax, unreadPerCallerMaxBytes) === Infinity;
    this.accounts = new Accounts(callsPerSecondMax !== Infinity);
    this.guard = openGuard(runtime, this.accounts);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  find(service: string, method: string): BoundMethod | undefined {
    return this.#table.find(service, method) ?? this.builtin?.find(service, method);
  }

  enter(
    connection: Pick<Connection, "remote" | "security">,
    protocol: ProtocolName,
    session: AccountedConnection,
  ): CallGate {
    const peer = peerOf(connection, protocol);
    const nowMs = this.clock.now();
    const own = this.accounts.open(peer.identities.transport ?? hostOf(peer.address), nowMs);
    const caller = new Caller(peer, { own, connection: own }, [], Infinity);
    this.accounts.addConnection(own, session);
    return new CallGate(this.guard, caller, () => {
      this.accounts.removeConnection(own, session);
      this.accounts.close(own, this.clock.now());
    });
  }

  admit(bound: BoundMethod, caller: Peer, arriving: boolean): RpcError | undefined {
    const { inFlightMax } = this.#runtime.settings.provider;
    const taken = this.#inFlight - this.#arriving + this.#detached;
    if (taken >= inFlightMax) {
      this.accounts.want((caller as Caller).state.account, this.clock.now());
      const text = messages.tooManyCalls(taken, stillRunning(this.#detached));
      return new RpcError(Status.RESOURCE_EXHAUSTED, text);
    }
    if (arriving) return this.#refusalOfArriving(caller as Caller);
    if (bound.builtin && bound.definition.kind !== "unary") {
      const refusal = this.#builtinStreams.refusal((caller as Caller).state.account);
      if (refusal !== undefined) return refusal;
    }
    if (this.#unlimited && !isCrowded(taken, inFlightMax)) return undefined;
    return this.#refusalOf(caller as Caller, taken);
  }

  /** They are counted for the connection: who calls may not be known yet. */
  #refusalOfArriving({ state: { connectionAccount } }: Caller): RpcError | undefined {
    const max = Math.max(this.#runtime.settings.provider.inFlightMax, arrivingLeastMax);
    if (leavesSome(connectionAccount.arriving, this.#arriving, max)) return undefined;
    const text = messages.tooManyCallsArriving(
      printable(connectionAccount.name),
      connectionAccount.arriving,
      max,
    );
    return new RpcError(Status.RESOURCE_EXHAUSTED, text);
  }

  /** Why this caller may make no more calls for now, whatever others do. */
  #refusalOf({ state: { account, connectionAccount } }: Caller, taken: number): RpcError | undefined {
    const { provider } = this.#runtime.settings;
    const { inFlightMax, inFlightPerCallerMax, callsPerSecondMax, unreadPerCallerMaxBytes } = provider;
    const { inFlight } = account;
    const name = printable(account.name);
    let text: string | undefined;
    if (inFlight >= inFlightPerCallerMax) text = messages.callsOfCaller(name, inFlight);
    else if (isCrowded(taken, inFlightMax) && inFlight >= this.#shareOf(account)) {
      text = messages.callShareTaken(name, inFlight, inFlightMax);
    } else if (
      unreadPerCallerMaxBytes !== Infinity &&
      connectionAccount.unreadBytes > unreadPerCallerMaxBytes
    ) {
      const { unreadBytes } = connectionAccount;
      text = messages.unreadByCaller(printable(connectionAccount.name), unreadBytes, unreadPerCallerMaxBytes);
    } else if (callsPerSecondMax !== Infinity && !account.takeCall(callsPerSecondMax, this.clock.now())) {
      text = messages.tooManyCallsPerSecond(name, callsPerSecondMax);
    }
    return text === undefined ? undefined : new RpcError(Status.RESOURCE_EXHAUSTED, text);
  }

  #shareOf(account: Account): number {
    return this.accounts.callShare(this.#runtime.settings.provider.inFlightMax, account, this.clock.now());
  }

  onCallStart(call: ServerCall): void {
    this.#inFlight++;
    if (call.arriving) this.#countArriving(call, 1);
    else this.#onPlace(call);
    if (call.id === 0) this.#oneway.add(call);
    const { events, wheel } = this.#runtime;
    if (call.deadlineMs !== Infinity) wheel.add(call);
    if (events.has("serverStart")) events.emit("serverStart", { call });
  }

  onArrived(call: ServerCall): void {
    this.#countArriving(call, -1);
    this.#onPlace(call);
  }

  #countArriving(call: ServerCall, by: 1 | -1): void {
    this.#arriving += by;
    (call.peer as Caller).state.connectionAccount.arriving += by;
  }

  /** The call counts against the limit, or would if it had not ended. */
  #onPlace(call: ServerCall): void {
    const { account } = (call.peer as Caller).state;
    this.accounts.count(account, 1);
    if (call.kind === "unary") return;
    if (call.bound.builtin) this.#builtinStreams.count(account, 1);
    if (!call.ended && !this.guard.open) this.guard.onStreamStart(call);
  }

  onCallEnd(call: ServerCall, error: RpcError | undefined, hidden: unknown): void {
    const { events, wheel } = this.#runtime;
    wheel.remove(call);
    const { account } = (call.peer as Caller).state;
    this.accounts.count(account, -1);
    if (call.kind !== "unary") {
      if (call.bound.builtin) this.#builtinStreams.count(account, -1);
      this.guard.onStreamEnd(call);
    }
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

  onDetached(by: 1 | -1, call: ServerCall): void {
    this.#detached += by;
    this.accounts.count((call.peer as Caller).state.account, by);
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

  /** Cancels the oneway calls, which no connection keeps. */
  stop(reason: string): void {
    this.#droppedTimer?.cancel();
    for (const call of [...this.#oneway]) call.cancel(new RpcError(Status.UNAVAILABLE, reason));
  }
}

/** For the log; never throws, whatever a handler threw. */
function textOf(thrown: unknown): string {
  return isOf(thrown, RpcError) ? thrown.message : RpcError.from(thrown).rawMessage;
}
