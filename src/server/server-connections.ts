import { type Account, Accounts, hostOf, isCrowded } from "../auth/account.js";
import type { Timer } from "../base/clock.js";
import { printable } from "../base/printable.js";
import type { CallEvents } from "../call/events.js";
import { messages } from "../error/messages.js";
import { LimitedLog } from "../log/limited-log.js";
import { FirstBytes } from "../protocol/detect/first-bytes.js";
import type { ServedSession } from "../protocol/dispatcher.js";
import type { InContext } from "../protocol/inproc/link.js";
import type { LocalProvider } from "../protocol/inproc/local-providers.js";
import { InprocServerSession } from "../protocol/inproc/server-session.js";
import { StreamRoom } from "../protocol/inproc/stream.js";
import type { ServerProtocol } from "../protocol/protocol.js";
import { inFlightPerConnectionMax, type Runtime } from "../runtime/runtime.js";
import type { Connection } from "../transport/transport.js";
import { Admission } from "./admission.js";
import { serverProtocols } from "./protocols.js";
import type { Router } from "./router.js";

/**
 * Callers beyond the limit of connections are sent the reason. At most as many at a time as the limit, and at least this many;
 * further ones are treated as a flood and reset.
 */
const politeMin = 1000;
/** A caller that was told to disconnect has this long to do so, ms. */
const leaveWithinMs = 5000;
/** A connection that has reached its maximum age is checked after this, ms: with nothing in flight its caller should have closed it. */
const agedLeaveWithinMs = 60_000;

/** A connection as counted for its caller. */
interface Place {
  readonly account: Account;
  readonly unsentBytes: number;
}

/** The parts of a connection used while it is served; a caller within the process has none. */
type ServedConnection = Pick<Connection, "local" | "unwrittenBytes">;

interface Served {
  connection: ServedConnection;
  ageTimer: Timer;
}

/** Accepts connections, detects their protocol, and closes each when it reaches its maximum age or the provider stops. */
export class ServerConnections {
  readonly calls: Admission;
  readonly #runtime: Runtime;
  /** Of refused connections. */
  readonly #log: LimitedLog;
  readonly #protocols: readonly ServerProtocol[];
  readonly #served = new Map<ServedSession, Served>();
  readonly #undecided = new Set<FirstBytes>();
  /** Connections over a limit, with the limit: they are being refused and do not count. */
  readonly #turnedAway = new Map<ServedConnection, string>();
  /** How many connections each caller has: an identity, or an address that proves none. */
  readonly #callers = new Accounts(false);
  readonly #places = new Map<ServedConnection, Place>();
  #draining = false;
  #stopped = false;
  #whenEmpty: Array<() => void> = [];

  constructor(runtime: Runtime, table: Router) {
    this.#runtime = runtime;
    this.#log = new LimitedLog(runtime.clock, runtime.log, (more) => `connection refused: ${more} more`);
    this.calls = new Admission(runtime, table, (session, reason) => this.#onClosed(session, reason));
    this.#protocols = serverProtocols(runtime);
  }

  /** The protocols TLS may agree on (ALPN). */
  get alpn(): string[] {
    return this.#protocols.flatMap(({ alpn }) => alpn);
  }

  /** Connections of callers, those whose protocol is not known yet among them. */
  get size(): number {
    return this.#served.size + this.#undecided.size;
  }

  accept(connection: Connection): void {
    if (!this.#mayEnter(connection, (taken) => this.#takePlace(connection, taken))) {
      this.#leavePlace(connection);
      connection.reset();
      return;
    }
    const first: FirstBytes = new FirstBytes(connection, this.#runtime.clock, this.#protocols, {
      onProtocol: (protocol, variant, bytes) => {
        this.#undecided.delete(first);
        this.#serve(connection, protocol, variant, bytes);
        this.#tellIfEmpty();
      },
      onRefused: (reason) => {
        this.#forget(first, connection);
        this.#log.warn(`connection refused: ${reason}`, { peer: connection.remote });
        this.#tellIfEmpty();
      },
      onLeft: () => {
        this.#forget(first, connection);
        this.#tellIfEmpty();
      },
    });
    this.#undecided.add(first);
  }

  /** False: reset it without an answer. `refusalOf` says whether another limit refuses it, given the number of open connections. */
  #mayEnter(connection: ServedConnection, refusalOf: (taken: number) => string | undefined): boolean {
    if (this.#stopped) return false;
    const { connectionsMax } = this.#runtime.settings.provider;
    const taken = this.size - this.#turnedAway.size;
    const why = taken >= connectionsMax ? messages.tooManyConnections(connectionsMax) : refusalOf(taken);
    if (why === undefined) return true;
    if (this.#turnedAway.size >= Math.max(connectionsMax, politeMin)) return false;
    this.#turnedAway.set(connection, why);
    return true;
  }

  /** What channels of this process connect to; `provider` is the async context that handlers run in. */
  localProvider(provider: InContext): LocalProvider {
    const { settings } = this.#runtime;
    const { limits, provider: own } = settings;
    const maxInFlight = inFlightPerConnectionMax(settings);
    const streamRoom = new StreamRoom(own.streamBufferBytes);
    return {
      accept: (caller) => {
        const connection: ServedConnection = { local: "inproc:node", unwrittenBytes: 0 };
        if (!this.#mayEnter(connection, () => undefined)) return undefined;
        const options = { limits, maxInFlight, streamRoom };
        const session = new InprocServerSession(this.calls, options, { provider, caller });
        this.#begin(session, connection, this.#whyLeave(connection));
        return session;
      },
    };
  }

  /** A connection was closed before its protocol was known. */
  #forget(first: FirstBytes, connection: Connection): void {
    this.#undecided.delete(first);
    this.#turnedAway.delete(connection);
    this.#leavePlace(connection);
  }

  /**
   * Counts the connection for its caller; returns the reason if that one has too many. Identities behind one address take nothing from
   * each other.
   */
  #takePlace(connection: Connection, taken: number): string | undefined {
    const { connectionsMax, connectionsPerCallerMax } = this.#runtime.settings.provider;
    const nowMs = this.#runtime.clock.now();
    const caller = connection.security?.identity ?? hostOf(connection.remote);
    const account = this.#callers.open(caller, nowMs);
    const { size } = account.connections;
    // The operator's number takes the place of shares.
    const shared = connectionsPerCallerMax === Infinity && isCrowded(taken, connectionsMax);
    const most = shared ? this.#callers.connectionShare(connectionsMax, account) : connectionsPerCallerMax;
    if (size >= most) {
      const name = printable(account.name);
      this.#callers.close(account, nowMs);
      return shared
        ? messages.connectionShareTaken(name, size, connectionsMax)
        : messages.connectionsOfCaller(name, size);
    }
    const place = { account, unsentBytes: 0 };
    this.#callers.addConnection(account, place);
    this.#places.set(connection, place);
    return undefined;
  }

  #leavePlace(connection: ServedConnection): void {
    const place = this.#places.get(connection);
    if (place === undefined) return;
    this.#places.delete(connection);
    this.#callers.removeConnection(place.account, place);
    this.#callers.close(place.account, this.#runtime.clock.now());
  }

  /** Why the caller is told to disconnect at once. */
  #whyLeave(connection: ServedConnection): string | undefined {
    return this.#turnedAway.get(connection) ?? (this.#draining ? messages.providerShuttingDown : undefined);
  }

  #serve(connection: Connection, protocol: ServerProtocol, variant: string | undefined, bytes: Buffer): void {
    const tooMany = connection.turnedAway ?? protocol.turnsAway?.(variant);
    if (tooMany !== undefined && !this.#turnedAway.has(connection)) this.#turnedAway.set(connection, tooMany);
    const leave = this.#whyLeave(connection);
    const refusal =
      contradiction(connection, protocol) ?? protocol.refusal ?? (protocol.tellsToLeave ? undefined : leave);
    if (refusal !== undefined) {
      this.#log.warn(`${protocol.name} caller refused: ${refusal}`, { peer: connection.remote });
      this.#turnedAway.delete(connection);
      this.#leavePlace(connection);
      connection.reset();
      return;
    }
    const served = protocol.serve(connection, this.calls, variant);
    this.#begin(served, connection, leave);
    connection.onDistrusted = (reason) => served.drain(reason);
    served.onData(bytes);
  }

  #begin(served: ServedSession, connection: ServedConnection, leave: string | undefined): void {
    const { settings, random, events } = this.#runtime;
    const { connectionMaxAgeMs } = settings.provider;
    const turnedAway = this.#turnedAway.get(connection);
    // In whole seconds: timers of one duration share a list.
    const ageMs = Math.ceil((connectionMaxAgeMs * (0.9 + 0.2 * random())) / 1000) * 1000;
    const ageTimer =
      turnedAway !== undefined
        ? this.#runtime.clock.setTimer(() => served.stop(turnedAway), leaveWithinMs)
        : this.#runtime.clock.setTimer(() => this.#onAged(served), ageMs);
    this.#served.set(served, { connection, ageTimer });
    events.emit("connectionOpen", this.#connectionFacts(served));
    if (turnedAway !== undefined)
      this.#log.warn(`caller turned away: ${turnedAway}`, { peer: served.peer.address });
    if (leave === undefined) return;
    if (turnedAway !== undefined && served.turnAway !== undefined) served.turnAway(turnedAway);
    else served.drain(leave);
  }

  #onAged(served: ServedSession): void {
    served.drain(messages.connectionAged);
    this.#cutOffLater(served);
  }

  /** Otherwise a caller that was told to disconnect, waits for no reply and stays would hold its connection forever. */
  #cutOffLater(served: ServedSession): void {
    const entry = this.#served.get(served);
    if (entry === undefined) return;
    entry.ageTimer = this.#runtime.clock.setTimer(() => {
      if (served.inFlight > 0 || entry.connection.unwrittenBytes > 0) this.#cutOffLater(served);
      else served.close(messages.callerToldToLeaveStayed);
    }, agedLeaveWithinMs);
  }

  #connectionFacts(served: ServedSession): CallEvents["connectionOpen"] {
    const entry = this.#served.get(served);
    return {
      side: "server",
      protocol: served.peer.protocol,
      local: entry?.connection.local ?? "",
      remote: served.peer.address,
    };
  }

  #onClosed(connection: ServedSession, reason: string | undefined): void {
    const facts = this.#connectionFacts(connection);
    const entry = this.#served.get(connection);
    if (entry === undefined) return;
    entry.ageTimer.cancel();
    this.#turnedAway.delete(entry.connection);
    this.#leavePlace(entry.connection);
    this.#served.delete(connection);
    this.#runtime.events.emit("connectionClose", { ...facts, reason });
    if (reason !== undefined)
      this.#runtime.log.debug(`connection closed: ${reason}`, { peer: connection.peer.address });
    this.#tellIfEmpty();
  }

  // --- stopping ---

  /** No new connections and no new calls; callers are notified. */
  drain(): void {
    this.#draining = true;
    for (const connection of [...this.#served.keys()]) connection.drain(messages.providerShuttingDown);
    // Connections of unknown protocol are notified once it is known: after a reset their caller, whose
    // first call may be in flight, could not know whether it ran.
  }

  /** Resolves when every connection is closed, and so every reply has been read. */
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
    this.#log.close();
    for (const protocol of this.#protocols) protocol.close?.();
  }
}

/** The protocol agreed on in TLS and the one spoken must be the same; otherwise an attacker may have redirected the caller to another port. */
function contradiction({ security }: Connection, { alpn, name }: ServerProtocol): string | undefined {
  const agreed = security?.alpn;
  return agreed === undefined || alpn.includes(agreed) ? undefined : messages.alpnContradicted(agreed, name);
}
