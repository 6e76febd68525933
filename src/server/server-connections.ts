import type { Timer } from "../base/clock.js";
import type { CallEvents } from "../call/events.js";
import { messages } from "../error/messages.js";
import { FirstBytes } from "../protocol/detect/first-bytes.js";
import type { ServerSession } from "../protocol/dispatcher.js";
import type { ServerProtocol } from "../protocol/protocol.js";
import type { Runtime } from "../runtime/runtime.js";
import type { Connection } from "../transport/transport.js";
import { Admission } from "./admission.js";
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

interface Served {
  connection: Connection;
  ageTimer: Timer;
}

/** Takes connections in, finds out what they speak, and lets each go when it has its age or the provider stops. */
export class ServerConnections {
  readonly calls: Admission;
  readonly #runtime: Runtime;
  readonly #protocols: readonly ServerProtocol[];
  readonly #served = new Map<ServerSession, Served>();
  readonly #undecided = new Set<FirstBytes>();
  /** Connections that came over the limit: they are on their way out, and take nobody's place. */
  readonly #turnedAway = new Set<Connection>();
  #draining = false;
  #stopped = false;
  #whenEmpty: Array<() => void> = [];

  constructor(runtime: Runtime, table: Router) {
    this.#runtime = runtime;
    this.calls = new Admission(runtime, table, (session, reason) => this.#onClosed(session, reason));
    this.#protocols = serverProtocols(runtime);
  }

  /** What TLS may agree on (ALPN). */
  get alpn(): string[] {
    return this.#protocols.flatMap(({ alpn }) => alpn);
  }

  /** Connections of callers, those whose protocol is not known yet among them. */
  get size(): number {
    return this.#served.size + this.#undecided.size;
  }

  accept(connection: Connection): void {
    const { connectionsMax } = this.#runtime.settings.provider;
    const overLimit = this.size - this.#turnedAway.size >= connectionsMax;
    if (this.#stopped || (overLimit && this.#turnedAway.size >= Math.max(connectionsMax, politeMin))) {
      connection.reset();
      return;
    }
    if (overLimit) this.#turnedAway.add(connection);
    const first: FirstBytes = new FirstBytes(connection, this.#runtime.clock, this.#protocols, {
      onProtocol: (protocol, variant, bytes) => {
        this.#undecided.delete(first);
        this.#serve(connection, protocol, variant, bytes);
        this.#tellIfEmpty();
      },
      onRefused: (reason) => {
        this.#forget(first, connection);
        this.#runtime.log.warn(`connection refused: ${reason}`, { peer: connection.remote });
        this.#tellIfEmpty();
      },
      onLeft: () => {
        this.#forget(first, connection);
        this.#tellIfEmpty();
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
        : connection.turnedAway;
    const refusal =
      contradiction(connection, protocol) ?? protocol.refusal ?? (protocol.tellsToLeave ? undefined : leave);
    if (refusal !== undefined) {
      log.warn(`${protocol.name} caller refused: ${refusal}`, { peer: connection.remote });
      this.#turnedAway.delete(connection);
      connection.reset();
      return;
    }
    const served = protocol.serve(connection, this.calls, variant);
    // In whole seconds: timers of one duration share a list.
    const ageMs = Math.ceil((connectionMaxAgeMs * (0.9 + 0.2 * random())) / 1000) * 1000;
    const turnedAway = overLimit || connection.turnedAway !== undefined;
    const ageTimer = turnedAway
      ? this.#runtime.clock.setTimer(() => served.stop(messages.callerOverLimitStayed), leaveWithinMs)
      : this.#runtime.clock.setTimer(() => this.#onAged(served), ageMs);
    this.#served.set(served, { connection, ageTimer });
    events.emit("connectionOpen", this.#connectionFacts(served));
    connection.onDistrusted = (reason) => served.drain(reason);
    if (turnedAway) log.warn(`caller turned away: ${leave}`, { peer: connection.remote });
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
    entry.ageTimer = this.#runtime.clock.setTimer(() => {
      if (served.inFlight > 0 || entry.connection.unwrittenBytes > 0) this.#cutOffLater(served);
      else served.close(messages.callerToldToLeaveStayed);
    }, agedLeaveWithinMs);
  }

  #connectionFacts(served: ServerSession): CallEvents["connectionOpen"] {
    const entry = this.#served.get(served);
    return {
      side: "server",
      protocol: served.peer.protocol,
      local: entry?.connection.local ?? "",
      remote: served.peer.address,
    };
  }

  #onClosed(connection: ServerSession, reason: string | undefined): void {
    const facts = this.#connectionFacts(connection);
    const entry = this.#served.get(connection);
    if (entry === undefined) return;
    entry.ageTimer.cancel();
    this.#turnedAway.delete(entry.connection);
    this.#served.delete(connection);
    this.#runtime.events.emit("connectionClose", { ...facts, reason });
    if (reason !== undefined)
      this.#runtime.log.debug(`connection closed: ${reason}`, { peer: connection.peer.address });
    this.#tellIfEmpty();
  }

  // --- stopping ---

  /** No new connections, no new calls; callers are told. */
  drain(): void {
    this.#draining = true;
    for (const connection of [...this.#served.keys()]) connection.drain(messages.providerShuttingDown);
    // Those that have not shown what they speak are told as soon as they do: a reset would leave their caller, whose
    // first call is on its way, in doubt whether it ran.
  }

  /** Resolves when every connection is closed, and so every reply has been taken. */
  whenEmpty(): Promise<void> {
    if (this.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenEmpty.push(resolve));
  }

  #tellIfEmpty(): void {
    if (this.size === 0) for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }

  /** Cancels what is in flight and closes every connection. */
  closeAll(reason: string): void {
    this.#stopped = true;
    for (const first of [...this.#undecided]) first.refuse(reason);
    for (const connection of [...this.#served.keys()]) connection.stop(reason);
    this.calls.stop(reason);
  }
}

/** What TLS agreed on and what came then must be the same: otherwise somebody has led the caller to a port it does not mean. */
function contradiction({ security }: Connection, { alpn, name }: ServerProtocol): string | undefined {
  const agreed = security?.alpn;
  return agreed === undefined || alpn.includes(agreed) ? undefined : messages.alpnContradicted(agreed, name);
}
