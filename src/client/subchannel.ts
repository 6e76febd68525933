import type { Candidate } from "../balancer/balancer.js";
import { PeakEwma } from "../balancer/peak-ewma.js";
import { type Address, formatAddress } from "../base/address.js";
import { Backoff, subchannelBackoff } from "../base/backoff.js";
import type { Timer } from "../base/clock.js";
import { textOf } from "../base/thrown.js";
import type { CallCarrier, CallOutcomeSink } from "../call/outcome-sink.js";
import { callScope } from "../call/scope.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import type { FoundDialect } from "../protocol/classic/classic-client.js";
import { type ClientSessionOwner, MprpcClientSession } from "../protocol/mprpc/client-session.js";
import type { Endpoint } from "../registry/registry.js";
import type { Runtime } from "../runtime/runtime.js";
import { ClassicCalls } from "./classic-calls.js";
import type { ClientCall } from "./client-call.js";
import { Probation } from "./probation.js";

/** A call that finds every endpoint down tries one anyway when its last attempt is this old, ms. */
const probeAfterMs = 1000;
/** Callers that hear of a provider in the same moment come to it spread over this time, ms. */
const spreadMs = 250;
/** A connection that was made after a loss is taken for one with the process the registry names next, for this long, ms. */
const successorWithinMs = 10_000;
/** When one more connection beside those that are up was refused, the next is tried after this, ms. */
const growAgainAfterMs = 1000;

/** A provider that goes away before the first reply is one that stops, or a broken one when its connection is younger, ms. */
const youngMs = 1000;

export interface SubchannelOwner {
  /** The balancer goes by latency. */
  readonly measuresLatency: boolean;
  /** `available` changed. */
  onAvailability(subchannel: Subchannel): void;
}

/**
 * One provider as a channel keeps it: a few connections, opened when first needed and again when lost.
 *
 *     idle --call--> connecting --ok--> ready --lost--> idle
 *                        |                ^
 *                      failed             | ok
 *                        v                |
 *                      down --backoff--> retrying --failed--> down
 *
 * In `down` and `retrying` it takes no calls (`available` is false); the others do, and calls wait while it connects. Only
 * a word of the provider leads back from there: a call sent to one that stands still would be lost.
 */
export class Subchannel implements Candidate, CallCarrier, ClientSessionOwner {
  /** Unique in its pool. */
  readonly key: string;
  readonly address: Address;
  readonly endpoint: string;
  weight: number;
  readonly #runtime: Runtime;
  readonly #owner: SubchannelOwner;
  readonly #classic: ClassicCalls | undefined;
  readonly #backoff: Backoff;
  readonly #ewma = new PeakEwma();
  readonly #waiting = new Set<CallOutcomeSink>();
  #connections: MprpcClientSession[] = [];
  #leaving = new Set<MprpcClientSession>();
  #opening = 0;
  #state: "up" | "down" | "retrying" | "closed" = "up";
  #retryTimer: Timer | undefined;
  readonly #welcomes: Probation;
  #lastAttemptMs = Number.NEGATIVE_INFINITY;
  #growFromMs = Number.NEGATIVE_INFINITY;
  /** Connections in a row that were lost, or to be left at once, with calls on them and no reply. */
  #unproven = 0;
  readonly #counted = new WeakSet<MprpcClientSession>();
  /** When a connection was last lost, or could not be made. */
  #lastLossMs = Number.POSITIVE_INFINITY;
  readonly #openedMs = new WeakMap<MprpcClientSession, number>();
  #onIdle = (): void => {};
  #abort = new AbortController();
  /** Why it is down. */
  failure = "";
  /** It is down by the provider's own word, which nobody's hurry changes: only the backoff leads back. */
  #turnedAway = false;

  constructor(endpoint: Endpoint, runtime: Runtime, owner: SubchannelOwner, found: FoundDialect) {
    this.address = { host: endpoint.host, port: endpoint.port };
    this.endpoint = formatAddress(this.address);
    this.key = subchannelKey(endpoint);
    this.weight = endpoint.weight;
    this.#runtime = runtime;
    this.#owner = owner;
    this.#backoff = new Backoff(subchannelBackoff, runtime.random);
    this.#welcomes = new Probation(runtime.clock, runtime.settings.channel.connectTimeoutMs);
    if (endpoint.protocol === "classic") {
      this.#classic = new ClassicCalls(this.address, endpoint, runtime, found, {
        onReached: () => this.#backoff.reset(),
        onUnreachable: (reason) => this.#goDown(reason),
      });
    }
  }

  /** True while calls may be sent to it. */
  get available(): boolean {
    return this.#state === "up";
  }

  /** True when a call that found everything down may try it all the same. */
  get probeable(): boolean {
    if (this.#turnedAway) return false;
    return this.#runtime.clock.now() - this.#lastAttemptMs >= probeAfterMs;
  }

  /** True when it has no connection, and so nothing to end. */
  get idle(): boolean {
    return this.#connections.length === 0 && this.#leaving.size === 0;
  }

  /** Resolves once it is idle; for one that is closed and so will open no more connections. */
  async whenIdle(): Promise<void> {
    if (this.idle) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
  }

  load(nowMs: number): number {
    let inFlight = this.#waiting.size + (this.#classic?.inFlight ?? 0);
    for (const connection of this.#connections) inFlight += connection.inFlight;
    return this.#ewma.load(inFlight, nowMs);
  }

  /** A call to it was answered. */
  observe(elapsedMs: number, nowMs: number): void {
    this.#ewma.observe(elapsedMs, nowMs);
  }

  observeAtLeast(elapsedMs: number, nowMs: number): void {
    this.#ewma.observeAtLeast(elapsedMs, nowMs);
  }

  /** Sends `call`, at once or when a connection is there. */
  start(call: ClientCall): void {
    call.endpoint = this.endpoint;
    call.attempts++;
    if (this.#owner.measuresLatency) {
      call.observer = this;
      call.sentMs = this.#runtime.clock.now();
    }
    if (this.#classic !== undefined) {
      this.#lastAttemptMs = this.#runtime.clock.now();
      this.#classic.start(call);
      return;
    }
    const connection = this.#leastBusy();
    if (this.#mayGrow()) this.#open();
    if (connection === undefined || !connection.hasRoom || !this.available) {
      this.#wait(call);
      return;
    }
    call.phase = "wait";
    connection.start(call);
  }

  #mayGrow(): boolean {
    const { clock, settings } = this.#runtime;
    const open = this.#connections.length;
    if (open + this.#opening >= settings.channel.connections) return false;
    return open === 0 || clock.now() >= this.#growFromMs;
  }

  #wait(call: ClientCall): void {
    const { pendingMax } = this.#runtime.settings.channel;
    if (this.#waiting.size >= pendingMax) {
      const text = messages.tooManyWaitForConnection(pendingMax, this.endpoint);
      call.onFailure(new RpcError(Status.RESOURCE_EXHAUSTED, text, { executed: "never" }));
      return;
    }
    call.phase = "connect";
    call.carrier = this;
    this.#waiting.add(call);
  }

  /** A call that waits for a connection gives up. */
  abandon(call: CallOutcomeSink): boolean {
    call.carrier = undefined;
    return this.#waiting.delete(call);
  }

  #leastBusy(): MprpcClientSession | undefined {
    const connections = this.#connections;
    let best = connections[0];
    for (let i = 1; i < connections.length; i++) {
      const other = connections[i] as MprpcClientSession;
      if (best === undefined || other.inFlight < best.inFlight) best = other;
    }
    return best;
  }

  #open(): void {
    const { transport, clock, settings } = this.#runtime;
    this.#opening++;
    this.#lastAttemptMs = clock.now();
    const options = { timeoutMs: settings.channel.connectTimeoutMs, signal: this.#abort.signal };
    callScope
      // A transport may be the user's, and throw at once.
      .outside(async () => transport.connect(this.address, options))
      .then(
        (connection) => {
          this.#opening--;
          if (this.#state === "closed") {
            connection.destroy();
            return;
          }
          this.#onOpened(callScope.outside(() => new MprpcClientSession(connection, clock, settings, this)));
        },
        (error: unknown) => {
          this.#opening--;
          if (this.#state !== "closed") this.#onOpenFailed(textOf(error));
        },
      );
  }

  #onOpened(connection: MprpcClientSession): void {
    const { events } = this.#runtime;
    events.emit("connectionOpen", {
      side: "client",
      protocol: "mprpc",
      local: connection.local,
      remote: connection.endpoint,
    });
    this.#connections.push(connection);
    this.#openedMs.set(connection, this.#runtime.clock.now());
    if (this.#state === "up") this.#sendWaiting(connection);
    else this.#welcomes.begin(connection);
  }

  #sendWaiting(connection: MprpcClientSession): void {
    const now = this.#runtime.clock.now();
    // The first to come is the first to go; what does not fit waits for the provider's settings.
    for (const call of [...this.#waiting]) {
      if (!connection.hasRoom) return;
      this.#waiting.delete(call);
      call.carrier = undefined;
      call.nowMs = now;
      (call as ClientCall).phase = "wait";
      connection.start(call);
    }
  }

  #onOpenFailed(reason: string, turnedAway = false): void {
    this.#lastLossMs = this.#runtime.clock.now();
    // With another connection up this is a matter of the pool, not of the provider.
    if (this.#connections.length > 0) {
      this.#growFromMs = this.#runtime.clock.now() + growAgainAfterMs;
      return;
    }
    this.#turnedAway = turnedAway;
    this.#goDown(reason);
    this.#failWaiting(reason);
  }

  #failWaiting(reason: string): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const call of waiting) {
      call.carrier = undefined;
      call.onFailure(new RpcError(Status.UNAVAILABLE, reason, { executed: "never" }));
    }
  }

  onWelcome(connection: MprpcClientSession): void {
    this.#welcomes.end(connection);
    if (this.#state !== "closed") this.#comeUp();
    this.#sendWaiting(connection);
  }

  onGoingAway(connection: MprpcClientSession, turnedAway: string | undefined): void {
    this.#connections = this.#connections.filter((one) => one !== connection);
    this.#leaving.add(connection);
    if (turnedAway !== undefined) {
      this.#onOpenFailed(messages.turnedAway(this.endpoint, turnedAway), true);
      return;
    }
    if (connection.answered || connection.inFlight === 0 || !this.#isYoung(connection)) {
      this.#backoff.reset();
      return;
    }
    this.#countUnproven(connection);
    // Each call would open a connection, which stays as long as the call.
    if (this.#unproven > 1) this.#onOpenFailed(messages.goesAwayAtOnce(this.endpoint));
  }

  #countUnproven(connection: MprpcClientSession): void {
    if (this.#counted.has(connection)) return;
    this.#counted.add(connection);
    this.#unproven++;
  }

  #isYoung(connection: MprpcClientSession): boolean {
    const openedMs = this.#openedMs.get(connection) ?? Number.NEGATIVE_INFINITY;
    return this.#runtime.clock.now() - openedMs < youngMs;
  }

  onClosed(connection: MprpcClientSession, reason: string | undefined): void {
    if (connection.answered && !connection.malformed) {
      this.#unproven = 0;
      // One that worked, and is not merely let in to be turned away: the next trouble begins with a short backoff.
      if (!this.#leaving.has(connection)) this.#backoff.reset();
    } else if (!connection.answered && connection.lostCalls > 0) this.#countUnproven(connection);
    this.#connections = this.#connections.filter((one) => one !== connection);
    this.#leaving.delete(connection);
    this.#welcomes.end(connection);
    this.#lastLossMs = this.#runtime.clock.now();
    this.#runtime.events.emit("connectionClose", {
      side: "client",
      protocol: "mprpc",
      local: connection.local,
      remote: connection.endpoint,
      reason,
    });
    if (this.idle) this.#onIdle();
    if (this.#state === "closed") return;
    // Closed before a word of settings: whatever listens there does not speak to us, so do not hammer it.
    if (!connection.welcomed)
      this.#onOpenFailed(messages.closedWhenNew(this.endpoint, reason ?? messages.withoutAWord));
    // A new one would be accepted and as silent: let others take the calls until this one speaks again.
    else if (connection.silent) this.#onOpenFailed(messages.fellSilent(this.endpoint, reason));
    else if (connection.malformed) this.#onBroken(messages.sentMalformed(this.endpoint, reason));
    // It lets callers in and loses their calls, time and again.
    else if (this.#unproven > 1) this.#onOpenFailed(messages.closedOnFirstCalls(this.endpoint, reason));
  }

  /** What it says cannot be relied on, on no connection. */
  #onBroken(reason: string): void {
    for (const connection of this.#connections) this.#leave(connection);
    this.#connections = [];
    this.#onOpenFailed(reason);
  }

  /** Calls in flight may end on it; no others go there. */
  #leave(connection: MprpcClientSession): void {
    this.#leaving.add(connection);
    connection.drain();
  }

  #goDown(reason: string): void {
    if (this.#state === "closed") return;
    this.failure = reason;
    const wasUp = this.#state === "up";
    this.#state = "down";
    this.#retryTimer?.cancel();
    this.#retryTimer = this.#runtime.clock.setTimer(() => this.retryNow(), this.#backoff.next());
    if (wasUp) this.#owner.onAvailability(this);
  }

  #comeUp(): void {
    this.#retryTimer?.cancel();
    this.failure = "";
    if (this.#state === "up") return;
    this.#state = "up";
    // One connection at first: the provider may be about to turn it away, and each would open the next.
    this.#growFromMs = this.#runtime.clock.now() + growAgainAfterMs;
    this.#owner.onAvailability(this);
  }

  /**
   * The registry has just said that it is there, or there again: its backoff is out of date. Not at once, since every other
   * caller is told in the same moment.
   */
  retrySoon(): void {
    if (this.#state !== "down") return;
    if (this.#classic !== undefined) {
      this.retryNow();
      return;
    }
    this.#retryTimer?.cancel();
    this.#backoff.reset();
    const delayMs = this.#runtime.random() * spreadMs;
    this.#retryTimer = this.#runtime.clock.setTimer(() => this.retryNow(), delayMs);
  }

  /** Its backoff has run out, or somebody cannot wait: try now. */
  retryNow(): void {
    if (this.#state !== "down") return;
    this.#retryTimer?.cancel();
    if (this.#classic !== undefined) {
      // There is no connection to try: the next call is the probe.
      this.#state = "up";
      this.#owner.onAvailability(this);
      return;
    }
    this.#state = "retrying";
    if (this.#opening === 0 && this.#connections.length === 0) this.#open();
  }

  /** Calls wait for it: begin the backoff anew, and do not sleep longer than its first delay. */
  hurry(): void {
    if (this.#state !== "down" || this.#turnedAway) return;
    this.#backoff.reset();
    if (this.probeable) this.retryNow();
    else {
      this.#retryTimer?.cancel();
      this.#retryTimer = this.#runtime.clock.setTimer(() => this.retryNow(), this.#backoff.next());
    }
  }

  /** The registry no longer has it: calls in flight end, then its connections. */
  retire(): void {
    this.#close();
    for (const connection of this.#connections) connection.drain();
  }

  /**
   * Another process has the address now: new calls go to new connections, those in flight may end on the old ones. The
   * registry often says so after the caller has met that process: each of its services has an entry of its own.
   */
  renew(): void {
    const nowMs = this.#runtime.clock.now();
    const old = this.#connections.filter((connection) => !this.#isWithSuccessor(connection, nowMs));
    this.#connections = this.#connections.filter((connection) => !old.includes(connection));
    for (const connection of old) this.#leave(connection);
    this.retrySoon();
  }

  /** Should it be with the old one all the same, which vanished within these seconds, the keepalive finds that out. */
  #isWithSuccessor(connection: MprpcClientSession, nowMs: number): boolean {
    const openedMs = this.#openedMs.get(connection) ?? Number.NEGATIVE_INFINITY;
    return openedMs >= this.#lastLossMs && nowMs - openedMs < successorWithinMs;
  }

  /** Closes at once; calls in flight fail. */
  destroy(reason: string): void {
    this.#close();
    for (const connection of [...this.#connections, ...this.#leaving]) connection.close(reason);
  }

  #close(): void {
    this.#state = "closed";
    this.#retryTimer?.cancel();
    this.#abort.abort();
    this.#failWaiting(messages.endpointWithdrawn(this.endpoint));
  }
}

export function subchannelKey(endpoint: Endpoint): string {
  const { dialect = "" } = endpoint.protocol === "classic" ? endpoint.attributes : {};
  return `${endpoint.protocol} ${formatAddress(endpoint)} ${dialect}`;
}
