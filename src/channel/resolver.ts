import type { Balancer } from "../balancer/balancer.js";
import { createBalancer } from "../balancer/create.js";
import type { CallCarrier, PendingCall } from "../call/pending-call.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import type { Registry, Snapshot, Watch } from "../registry/registry.js";
import type { BalancerName, Runtime } from "../registry/runtime.js";
import type { Peer } from "./peer.js";
import type { PeerPool } from "./peer-pool.js";
import type { UnaryCall } from "./unary-call.js";

/** Of many failed endpoints a message names this many. */
const namedFailures = 4;

/** Finds an endpoint for each call of one service: the registry's list, less what is down, through the balancer. */
export class ServiceResolver implements CallCarrier {
  /** A waiting call has no endpoint yet. */
  readonly endpoint = "";
  readonly #service: string;
  readonly #runtime: Runtime;
  readonly #registry: Registry;
  readonly #pool: PeerPool;
  readonly #balancer: Balancer<Peer>;
  readonly #watch: Watch;
  readonly #waiting = new Set<PendingCall>();
  #peers: Peer[] = [];
  /** The peer of every call while there is but one: then nothing is to be balanced, and nothing of the balancer is touched. */
  #only: Peer | undefined;
  /** Set while only classic providers are known: which methods each of them has. */
  #classicMethods: Map<Peer, readonly string[] | undefined> | undefined;
  /** Of this service's registrations; another service of the same provider has its own. */
  #incarnations = new Map<Peer, string | undefined>();
  #known = false;
  /** Why it sends no more calls. */
  #refusal: string | undefined;

  constructor(service: string, runtime: Runtime, registry: Registry, pool: PeerPool, balancer: BalancerName) {
    this.#service = service;
    this.#runtime = runtime;
    this.#registry = registry;
    this.#pool = pool;
    this.#balancer = createBalancer<Peer>(balancer, runtime.random);
    this.#watch = registry.watch(service, (snapshot) => this.#onSnapshot(snapshot));
  }

  /** Sends `call` to an endpoint, lets it wait, or fails it. */
  route(call: UnaryCall): void {
    if (this.#refusal !== undefined) {
      call.fail(new RpcError(Status.UNAVAILABLE, this.#refusal, { executed: "never" }));
      return;
    }
    if (!this.#known) {
      this.#wait(call, `registry ${this.#registry.name} has not answered yet`);
      return;
    }
    const peer = this.#only ?? this.#pick(call);
    if (peer !== undefined) {
      peer.start(call);
      return;
    }
    const reason = this.#whyNone(call);
    if (call.waitForReady) {
      for (const one of this.#peers) one.hurry();
      this.#wait(call, reason);
      return;
    }
    const probe = this.#hasMethod(call) ? this.#peers.find((one) => one.probeable) : undefined;
    if (probe !== undefined) probe.start(call);
    else this.#failCall(call, reason);
  }

  #pick(call: UnaryCall): Peer | undefined {
    return this.#classicMethods === undefined ? this.#balancer.pick(call.nowMs) : this.#pickClassic(call);
  }

  #failCall(call: UnaryCall, reason: string): void {
    const unknownMethod = this.#peers.length > 0 && !this.#hasMethod(call);
    const code = unknownMethod ? Status.UNIMPLEMENTED : Status.UNAVAILABLE;
    if (this.#peers.length > 0 && !unknownMethod) call.phase = "connect";
    call.fail(new RpcError(code, reason, { executed: "never", cause: call.lastFailure }));
  }

  #hasMethod(call: UnaryCall): boolean {
    if (this.#classicMethods === undefined) return true;
    return [...this.#classicMethods.values()].some((names) => offers(names, call));
  }

  /** A classic provider writes a znode for each method; only those with this one are asked. */
  #pickClassic(call: UnaryCall): Peer | undefined {
    const able = this.#peers.filter(
      (peer) => peer.available && offers(this.#classicMethods?.get(peer), call),
    );
    return able[Math.floor(this.#runtime.random() * able.length)];
  }

  #whyNone(call: UnaryCall): string {
    const where = `registry ${this.#registry.name}`;
    if (this.#peers.length === 0) {
      // The short name is what the classic framework would take.
      const hint = `; if it is in a package, give its full name: PACKAGE.${this.#service}`;
      return `no provider of ${this.#service} in ${where}${this.#service.includes(".") ? "" : hint}`;
    }
    if (call.lookup !== undefined && !this.#hasMethod(call))
      return `${this.#service} has only classic providers in ${where}, which cannot be asked for its messages: give them as ChannelOptions.descriptors (mprpc call --proto FILE)`;
    if (!this.#hasMethod(call))
      return `no classic provider of ${this.#service} in ${where} has ${call.method.name}`;
    const failures = this.#peers
      .slice(0, namedFailures)
      .map((peer) => peer.failure || `${peer.endpoint} is down`);
    const more = this.#peers.length > namedFailures ? `, and ${this.#peers.length - namedFailures} more` : "";
    const stale = this.#watch.current?.stale ? `; ${where} is away, its last list is used` : "";
    return `every endpoint of ${this.#service} is down: ${failures.join(", ")}${more}${stale}`;
  }

  #wait(call: UnaryCall, reason: string): void {
    const { pendingMax } = this.#runtime.settings.channel;
    if (this.#waiting.size >= pendingMax) {
      const text = `${pendingMax} calls wait for an endpoint of ${this.#service} already (channel.maxpending): ${reason}`;
      call.fail(new RpcError(Status.RESOURCE_EXHAUSTED, text, { executed: "never" }));
      return;
    }
    call.waitsFor = reason;
    call.carrier = this;
    this.#waiting.add(call);
  }

  abandon(call: PendingCall): boolean {
    call.carrier = undefined;
    return this.#waiting.delete(call);
  }

  #onSnapshot(snapshot: Snapshot): void {
    this.#known = true;
    const modern = snapshot.endpoints.filter(({ protocol }) => protocol === "mprpc");
    const endpoints = modern.length > 0 ? modern : snapshot.endpoints;
    const before = new Set(this.#peers);
    const fresh: Peer[] = [];
    const renewed: Peer[] = [];
    const incarnations = new Map<Peer, string | undefined>();
    this.#peers = endpoints.map((endpoint) => {
      const peer = this.#pool.acquire(endpoint);
      const { incarnation } = endpoint;
      if (!before.has(peer)) fresh.push(peer);
      else if (incarnation !== this.#incarnations.get(peer)) renewed.push(peer);
      incarnations.set(peer, incarnation);
      peer.weight = endpoint.weight;
      return peer;
    });
    this.#incarnations = incarnations;
    this.#classicMethods =
      modern.length > 0 || endpoints.length === 0
        ? undefined
        : new Map(endpoints.map((endpoint, i) => [this.#peers[i] as Peer, endpoint.classicMethods]));
    // First: a call that waited for a peer which goes now is routed anew at once, and must not meet it again.
    this.#balance();
    for (const peer of before) this.#pool.release(peer);
    for (const peer of fresh) peer.retrySoon();
    for (const peer of renewed) peer.renew();
    this.refresh();
  }

  onAvailability(peer: Peer): void {
    if (this.#peers.includes(peer)) this.refresh();
  }

  /** The peers or their availability changed: the next pick, and the calls that wait, go by the new list. */
  refresh(): void {
    this.#balance();
    if (this.#waiting.size === 0) return;
    const waiting = [...this.#waiting] as UnaryCall[];
    this.#waiting.clear();
    const now = this.#runtime.clock.now();
    for (const call of waiting) {
      call.carrier = undefined;
      call.waitsFor = undefined;
      call.nowMs = now;
      if (!call.settled) this.route(call);
    }
  }

  #balance(): void {
    const available = this.#peers.filter((peer) => peer.available);
    this.#balancer.update(available);
    this.#only = available.length === 1 && this.#classicMethods === undefined ? available[0] : undefined;
  }

  /** Sends no more calls; those that wait fail. */
  refuse(reason: string): void {
    this.#refusal = reason;
    this.refresh();
  }

  close(): void {
    this.#watch.close();
    for (const peer of this.#peers) this.#pool.release(peer);
    this.#peers = [];
  }
}

function offers(methods: readonly string[] | undefined, call: UnaryCall): boolean {
  // The services every provider of ours has are none of a classic one's.
  if (call.lookup !== undefined) return false;
  return methods === undefined || methods.includes(call.method.name);
}
