import type { Candidate } from "../balancer/balancer.js";
import { PeakEwma } from "../balancer/peak-ewma.js";
import { type Address, formatAddress } from "../base/address.js";
import { textOf } from "../base/thrown.js";
import type { Attempt } from "../call/attempt.js";
import { callScope } from "../call/scope.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import type {
  ClientProtocol,
  ClientSession,
  ClientSessionOwner,
  ConnectingCalls,
  ExpectedPeer,
  SharedConnectionProtocol,
} from "../protocol/protocol.js";
import type { Endpoint } from "../registry/registry.js";
import type { Runtime } from "../runtime/runtime.js";
import { ConnectionSet } from "./connection-set.js";
import { PendingQueue } from "./pending-queue.js";
import { Probation } from "./probation.js";
import { SubchannelHealth } from "./subchannel-health.js";
import { reach } from "./ways.js";

export interface SubchannelOwner {
  /** The balancer uses latency. */
  readonly measuresLatency: boolean;
  /** `available` changed. */
  onAvailability(subchannel: Subchannel): void;
}

/**
 * One provider as a channel keeps it: a few connections, opened when first needed and again when lost, the calls that wait
 * for one, and whether it may be called at all (`SubchannelHealth`). With a protocol that opens a connection for
 * each call there is none to keep, and only a call finds out whether the provider is up.
 */
export class Subchannel implements Candidate, ClientSessionOwner {
  /** Unique in its pool. */
  readonly key: string;
  readonly address: Address;
  readonly endpoint: string;
  weight: number;
  readonly #runtime: Runtime;
  readonly #owner: SubchannelOwner;
  readonly #protocol: SharedConnectionProtocol | undefined;
  /** What the registry's newest entry says. */
  #attributes: Endpoint["attributes"];
  /** The protocol opens a connection for each call. */
  readonly #calls: ConnectingCalls | undefined;
  readonly #health: SubchannelHealth;
  readonly #expected: ExpectedPeer;
  readonly #ewma = new PeakEwma();
  readonly #waiting: PendingQueue;
  readonly #connections: ConnectionSet;
  readonly #probation: Probation;
  readonly #abort = new AbortController();

  constructor(endpoint: SecuredEndpoint, protocol: ClientProtocol, runtime: Runtime, owner: SubchannelOwner) {
    const { clock, random, settings } = runtime;
    const { connections, connectTimeoutMs, pendingMax } = settings.channel;
    this.address = { host: endpoint.host, port: endpoint.port };
    this.endpoint = formatAddress(this.address);
    this.key = subchannelKey(endpoint);
    this.weight = endpoint.weight;
    this.#expected = expectedPeer(endpoint);
    this.#runtime = runtime;
    this.#owner = owner;
    this.#health = new SubchannelHealth(clock, random, {
      onAvailability: () => this.#owner.onAvailability(this),
      onRetry: () => this.#retry(),
    });
    this.#waiting = new PendingQueue(pendingMax);
    this.#attributes = endpoint.attributes;
    const full = protocol.connects === "once" ? (protocol.connectionsMax ?? 0) : 0;
    this.#connections = new ConnectionSet(clock, connections, full);
    this.#probation = new Probation(clock, connectTimeoutMs);
    if (protocol.connects === "once") this.#protocol = protocol;
    else {
      const { attributes } = endpoint;
      const place = { address: this.address, attributes, expected: this.#expected };
      this.#calls = protocol.open(place, {
        onReached: () => this.#health.resetBackoff(),
        onUnreachable: (reason) => this.#health.fail(reason),
      });
    }
  }

  /** True while calls may be sent to it. */
  get available(): boolean {
    return this.#health.state === "up";
  }

  /** True when a call that found every endpoint down may try this one anyway. */
  get probeable(): boolean {
    return this.#health.probeable;
  }

  /** Why it is down. */
  get failure(): string {
    return this.#health.failure;
  }

  /** True when it has no connection, and so nothing to end. */
  get idle(): boolean {
    return this.#connections.isEmpty;
  }

  /** Resolves once it is idle. Only for a closed subchannel, which opens no more connections. */
  whenIdle(): Promise<void> {
    return this.#connections.whenEmpty();
  }

  load(nowMs: number): number {
    const inFlight = this.#waiting.size + (this.#calls?.inFlight ?? 0) + this.#connections.inFlight;
    return this.#ewma.load(inFlight, nowMs);
  }

  /** A call to it was answered. */
  observe(elapsedMs: number, nowMs: number): void {
    this.#ewma.observe(elapsedMs, nowMs);
  }

  observeAtLeast(elapsedMs: number, nowMs: number): void {
    this.#ewma.observeAtLeast(elapsedMs, nowMs);
  }

  /** Sends `attempt`, at once or when a connection is there. */
  start(attempt: Attempt): void {
    attempt.begin(this.endpoint);
    if (this.#owner.measuresLatency) {
      attempt.observer = this;
      attempt.sentMs = this.#runtime.clock.now();
    }
    if (this.#calls !== undefined) {
      this.#health.tried();
      this.#calls.start(attempt);
      return;
    }
    const session = this.#connections.leastBusy();
    if (this.#connections.mayGrow) this.#open();
    if (session === undefined || !session.hasRoom || !this.available) this.#wait(attempt);
    else this.#send(session, attempt);
  }

  /** A token is sent only on connections that nobody else can read. */
  #send(session: ClientSession, attempt: Attempt): void {
    const inClear = attempt.authorization !== undefined && !session.confidential;
    if (!inClear || this.#runtime.settings.auth.allowPlain) session.start(attempt);
    else {
      const text = messages.tokenInClear(this.endpoint);
      attempt.onFailure(new RpcError(Status.UNAUTHENTICATED, text, { executed: "never" }));
    }
  }

  #wait(attempt: Attempt): void {
    if (!this.#waiting.isFull) {
      this.#waiting.add(attempt);
      return;
    }
    const text = messages.tooManyWaitForConnection(this.#runtime.settings.channel.pendingMax, this.endpoint);
    attempt.onFailure(new RpcError(Status.RESOURCE_EXHAUSTED, text, { executed: "never" }));
  }

  #open(): void {
    const protocol = this.#protocol;
    if (protocol === undefined) return;
    this.#connections.opening++;
    this.#health.tried();
    const destination = { address: this.address, attributes: this.#attributes, expected: this.#expected };
    callScope
      .outside(() => reach(destination, protocol, this.#runtime, this.#abort.signal))
      .then(
        (ready) => {
          this.#connections.opening--;
          if (this.#health.state === "closed") {
            ready.drop();
            return;
          }
          const session = callScope.outside(() => ready.open(this));
          ready.onDistrusted(() => this.#onDistrusted(session));
          this.#onOpened(session);
        },
        (error: unknown) => {
          this.#connections.opening--;
          if (this.#health.state !== "closed") this.#onLost(textOf(error));
        },
      );
  }

  /** The transport closes the connection after a while; calls in flight may end before that. */
  #onDistrusted(session: ClientSession): void {
    this.#connections.setLeaving(session);
    session.drain();
  }

  #emit(event: "connectionOpen", session: ClientSession): void;
  #emit(event: "connectionClose", session: ClientSession, reason: string | undefined): void;
  #emit(event: "connectionOpen" | "connectionClose", session: ClientSession, reason?: string): void {
    const protocol = this.#protocol?.name ?? "";
    const facts = { side: "client" as const, protocol, local: session.local, remote: session.endpoint };
    if (event === "connectionOpen") this.#runtime.events.emit(event, facts);
    else this.#runtime.events.emit(event, { ...facts, reason });
  }

  #onOpened(session: ClientSession): void {
    this.#emit("connectionOpen", session);
    this.#connections.add(session);
    // Within the process there is nothing to wait for.
    if (session.welcomed) this.onWelcome(session);
    else if (this.available) this.#sendWaiting(session);
    else this.#probation.begin(session);
  }

  /** The registry has a new entry of the same provider, which may offer other transports. */
  update({ attributes }: Endpoint): void {
    this.#attributes = attributes;
  }

  /** Sends waiting calls in order; those beyond the limit wait for the provider's settings. */
  #sendWaiting(session: ClientSession): void {
    const now = this.#runtime.clock.now();
    for (const attempt of this.#waiting.take(() => session.hasRoom)) {
      attempt.nowMs = now;
      this.#send(session, attempt);
    }
  }

  /** A connection could not be made, or ended in a way that counts against the provider. */
  #onLost(reason: string, turnedAway = false): void {
    this.#connections.noteLoss();
    // While another connection is up, the provider is not down.
    if (this.#connections.hasOpen) {
      this.#connections.growLater();
      return;
    }
    this.#health.fail(reason, turnedAway);
    this.#failWaiting(reason);
  }

  #failWaiting(reason: string): void {
    this.#waiting.fail(() => new RpcError(Status.UNAVAILABLE, reason, { executed: "never" }));
  }

  onWelcome(session: ClientSession): void {
    this.#probation.end(session);
    // A single connection first: if the provider refuses it, each refusal would open the next one.
    if (!this.available) this.#connections.growLater();
    this.#health.reach();
    this.#sendWaiting(session);
  }

  onRoom(session: ClientSession): void {
    if (this.available) this.#sendWaiting(session);
  }

  onGoingAway(session: ClientSession, turnedAway: string | undefined): void {
    this.#connections.setLeaving(session);
    if (turnedAway !== undefined) {
      this.#onLost(messages.turnedAway(this.endpoint, turnedAway), true);
      return;
    }
    if (session.answered || session.inFlight === 0 || !this.#connections.isYoung(session)) {
      this.#health.resetBackoff();
      return;
    }
    // Otherwise each call would open a connection that lasts only as long as the call.
    if (this.#connections.countUnproven(session)) this.#onLost(messages.goesAwayAtOnce(this.endpoint));
  }

  onClosed(session: ClientSession, reason: string | undefined): void {
    if (session.answered && !session.malformed) {
      this.#connections.proven();
      // It worked, and was not accepted only to be refused: the next failure begins with a short backoff.
      if (!this.#connections.isLeaving(session)) this.#health.resetBackoff();
    } else if (!session.answered && session.lostCalls > 0) this.#connections.countUnproven(session);
    this.#probation.end(session);
    this.#emit("connectionClose", session, reason);
    this.#connections.remove(session);
    if (this.#health.state === "closed") return;
    // Closed before any settings arrived: the listener does not speak mprpc, so do not retry quickly.
    if (!session.welcomed)
      this.#onLost(messages.closedWhenNew(this.endpoint, reason ?? messages.withoutAWord));
    // A new connection would be accepted and stay silent, too: other endpoints take the calls until this one answers again.
    else if (session.silent) this.#onLost(messages.fellSilent(this.endpoint, reason));
    else if (session.malformed) {
      // It broke the protocol, so no connection to it can be trusted.
      this.#connections.leave();
      this.#onLost(messages.sentMalformed(this.endpoint, reason));
    }
    // It repeatedly accepts connections and loses their calls.
    else if (this.#connections.isUnproven) this.#onLost(messages.closedOnFirstCalls(this.endpoint, reason));
  }

  #retry(): void {
    // Without a lasting connection there is nothing to probe with: the next call is the probe.
    if (this.#protocol === undefined) this.#health.reach();
    else if (this.#connections.opening === 0 && !this.#connections.hasOpen) this.#open();
  }

  /** The registry has just listed it, or listed it again. */
  retrySoon(): void {
    if (this.#protocol === undefined) this.#health.retryNow();
    else this.#health.retrySoon();
  }

  /** A call cannot wait for its backoff: try now. */
  retryNow(): void {
    this.#health.retryNow();
  }

  /** Calls wait for it: restart the backoff, and do not sleep longer than its first delay. */
  hurry(): void {
    this.#health.hurry();
  }

  /** The registry no longer has it: calls in flight end, then its connections. */
  retire(): void {
    this.#close();
    this.#connections.drain();
  }

  /**
   * Another process has the address now: new calls go to new connections, those in flight may end on the old ones. The
   * registry often reports this after the caller has already connected to that process, since each service has its own entry.
   */
  renew(): void {
    this.#connections.leave((session) => !this.#connections.isWithSuccessor(session));
    this.retrySoon();
  }

  /** Closes at once; calls in flight fail. */
  destroy(reason: string): void {
    this.#close();
    this.#connections.close(reason);
  }

  #close(): void {
    this.#health.close();
    this.#abort.abort();
    this.#failWaiting(messages.endpointWithdrawn(this.endpoint));
  }
}

/** An endpoint, and the peer name that the caller's own configuration expects. */
export interface SecuredEndpoint extends Endpoint {
  /** See `ConnectOptions.peerName`. */
  peerName?: string | undefined;
  /** See `ConnectOptions.ownSocket`. */
  ownSocket?: boolean | undefined;
}

/** A name from the registry is required in addition to the one the caller expects, never instead of it. */
function expectedPeer({ peerName, attributes, ownSocket = true }: SecuredEndpoint): ExpectedPeer {
  const { tlsname } = attributes;
  return {
    ownSocket,
    ...(peerName === undefined ? {} : { peerName }),
    ...(tlsname === undefined ? {} : { tlsName: tlsname }),
  };
}

/** Endpoints of one address share a subchannel when they are called alike: protocol, dialect, TLS names, gRPC options. */
export function subchannelKey(endpoint: SecuredEndpoint): string {
  const { protocol, attributes, peerName = "" } = endpoint;
  const { dialect = "", tlsname = "", authority = "", compression = "" } = attributes;
  return [protocol, formatAddress(endpoint), dialect, peerName, tlsname, authority, compression].join(" ");
}
