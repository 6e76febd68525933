import type { Balancer } from "../balancer/balancer.js";
import { createBalancer } from "../balancer/create.js";
import { formatAddress } from "../base/address.js";
import type { CallCarrier, CallOutcomeSink } from "../call/outcome-sink.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import type { RegistryError } from "../registry/errors.js";
import type { Endpoint, Registry, Snapshot, Watch } from "../registry/registry.js";
import type { BalancerName, ClassicChoice, ClassicUse, Runtime } from "../runtime/runtime.js";
import { ClassicSubchannels, useOfClassic } from "./classic-subchannels.js";
import type { ClientCall } from "./client-call.js";
import type { Subchannel } from "./subchannel.js";
import type { SubchannelPool } from "./subchannel-pool.js";

/** Of many failed endpoints of a kind a message names this many. */
const namedFailures = 4;
/** While classic providers stand in for ours, a connection to ours is tried this often, ms. */
const retryOursMs = 1000;

export interface PickerOptions {
  readonly service: string;
  readonly runtime: Runtime;
  readonly registry: Registry;
  readonly pool: SubchannelPool;
  readonly balancer: BalancerName;
  /** Of the channel; over that of the conf. */
  readonly classic: ClassicChoice | undefined;
}

/**
 * Finds an endpoint for each call of one service: the registry's list, less what is down, through the balancer. Classic
 * providers are called only while none of ours can be.
 */
export class Picker implements CallCarrier {
  /** A waiting call has no endpoint yet. */
  readonly endpoint = "";
  readonly #service: string;
  readonly #runtime: Runtime;
  readonly #registry: Registry;
  readonly #pool: SubchannelPool;
  readonly #balancer: Balancer<Subchannel>;
  readonly #watch: Watch;
  readonly #waiting = new Set<CallOutcomeSink>();
  /** Those that speak mprpc/2. */
  #subchannels: Subchannel[] = [];
  readonly #classic: ClassicSubchannels;
  readonly #classicUse: ClassicUse;
  /** Addresses of the classic providers that are not called because of that. */
  #refused: readonly string[] = [];
  /** The subchannel of every call while there is but one: then nothing is to be balanced, and nothing of the balancer is touched. */
  #only: Subchannel | undefined;
  /** Of this service's registrations; another service of the same provider has its own. */
  #incarnations = new Map<Subchannel, string | undefined>();
  #known = false;
  /** Why the registry cannot be read now. */
  #trouble: RegistryError | undefined;
  #retriedOursMs = Number.NEGATIVE_INFINITY;
  /** Why it sends no more calls. */
  #refusal: string | undefined;

  constructor({ service, runtime, registry, pool, balancer, classic }: PickerOptions) {
    this.#service = service;
    this.#runtime = runtime;
    this.#registry = registry;
    this.#pool = pool;
    this.#balancer = createBalancer<Subchannel>(balancer, runtime.random);
    this.#classic = new ClassicSubchannels(runtime.random);
    const choices = [classic, runtime.settings.channel.classic];
    this.#classicUse = useOfClassic(service, choices, registry.authenticated === true);
    this.#watch = registry.watch(
      service,
      (snapshot) => this.#onSnapshot(snapshot),
      (reason) => this.#onTrouble(reason),
    );
  }

  /** Sends `call` to an endpoint, lets it wait, or fails it. */
  route(call: ClientCall): void {
    if (this.#refusal !== undefined) {
      call.fail(new RpcError(Status.UNAVAILABLE, this.#refusal, { executed: "never" }));
      return;
    }
    if (!this.#known) {
      if (this.#trouble?.code === "denied" && !call.waitForReady) this.#failCall(call, this.#whyNone(call));
      else this.#wait(call);
      return;
    }
    if (call.misled && this.isHinted) {
      this.#wait(call);
      return;
    }
    const subchannel = this.#only ?? this.#balancer.pick(call.nowMs) ?? this.#pickClassic(call);
    if (subchannel !== undefined) {
      subchannel.start(call);
      return;
    }
    if (call.waitForReady || this.isHinted) {
      for (const one of this.#all()) one.hurry();
      this.#wait(call);
      return;
    }
    const probe = this.#subchannels.find((one) => one.probeable) ?? this.#probeClassic(call);
    if (probe !== undefined) probe.start(call);
    else this.#failCall(call, this.#whyNone(call));
  }

  /** The registry may know better in a moment than the list an earlier process saved. */
  get isHinted(): boolean {
    return this.#watch.current?.hint === true && this.#trouble?.code !== "denied";
  }

  /** Called when none of ours can be. */
  #pickClassic(call: ClientCall): Subchannel | undefined {
    if (!this.#classicMayTake(call)) return undefined;
    const subchannel = this.#classic.pick(call);
    if (subchannel !== undefined) this.#retryOurs(call.nowMs);
    return subchannel;
  }

  #probeClassic(call: ClientCall): Subchannel | undefined {
    return this.#classicMayTake(call) ? this.#classic.probe(call) : undefined;
  }

  /** The classic wire has no oneway calls: with providers of ours in the list they are worth waiting for. */
  #classicMayTake(call: ClientCall): boolean {
    return this.#classic.size > 0 && !(call.oneway && this.#subchannels.length > 0);
  }

  /** No call tries ours while others serve it, and their own backoff grows to minutes. */
  #retryOurs(nowMs: number): void {
    if (nowMs - this.#retriedOursMs < retryOursMs) return;
    this.#retriedOursMs = nowMs;
    for (const one of this.#subchannels) if (one.probeable) one.retryNow();
  }

  *#all(): Generator<Subchannel> {
    yield* this.#subchannels;
    yield* this.#classic.all;
  }

  #failCall(call: ClientCall, reason: string): void {
    const offered = this.#isOffered(call);
    const listed = this.#subchannels.length + this.#classic.size > 0;
    const code = listed && !offered ? Status.UNIMPLEMENTED : Status.UNAVAILABLE;
    if (listed && offered) call.phase = "connect";
    call.fail(new RpcError(code, reason, { executed: "never", cause: call.lastFailure }));
  }

  /** Providers of ours have every method; a classic one writes a znode for each. */
  #isOffered(call: ClientCall): boolean {
    return this.#subchannels.length > 0 || this.#classic.offer(call);
  }

  #whyNone(call: ClientCall): string {
    const { name } = this.#registry;
    const trouble = this.#trouble === undefined ? "" : messages.registryTrouble(this.#trouble.message);
    if (this.#trouble?.code === "denied" && !this.#known)
      return messages.registryDenies(name, this.#trouble.message);
    const silent = messages.registrySilent(name, trouble);
    if (!this.#known) return silent;
    const current = this.#watch.current;
    if (current?.hint && call.misled) return messages.savedListOutdated(silent);
    const none = this.#whyNoneListed(call, name);
    if (current?.hint) return messages.noneInSavedList(silent, none);
    return current?.stale ? messages.noneInLastList(none, name, trouble) : none;
  }

  #whyNoneListed(call: ClientCall, registry: string): string {
    if (this.#subchannels.length === 0 && this.#classic.size === 0) {
      // The short name is what the classic framework would take.
      const hint = messages.giveFullName(this.#service);
      if (this.#refused.length > 0)
        return messages.noProviderOfOurs(this.#service, registry, this.#whyRefused);
      return messages.noProvider(this.#service, registry, this.#service.includes(".") ? "" : hint);
    }
    const offered = this.#isOffered(call);
    if (call.lookup !== undefined && !offered) return messages.onlyClassicProviders(this.#service, registry);
    if (!offered) return messages.noClassicMethod(this.#service, registry, call.method.name);
    const ours = this.#subchannels.map(
      (subchannel) => subchannel.failure || messages.endpointDown(subchannel.endpoint),
    );
    const classic = call.lookup === undefined ? [...this.#classic.reasons(call)] : [];
    const reasons = [nameSome(ours), nameSome(classic)].filter((text) => text !== "");
    return messages.everyEndpointDown(this.#service, reasons.join(", "), this.#whyRefused);
  }

  get #whyRefused(): string {
    if (this.#refused.length === 0) return "";
    const endpoints = nameSome(this.#refused);
    return this.#registry.authenticated
      ? messages.classicNotTrusted(endpoints)
      : messages.classicNotCalled(endpoints);
  }

  #wait(call: ClientCall): void {
    const { pendingMax } = this.#runtime.settings.channel;
    if (this.#waiting.size >= pendingMax) {
      const text = messages.tooManyWaitForEndpoint(pendingMax, this.#service, this.#whyNone(call));
      call.fail(new RpcError(Status.RESOURCE_EXHAUSTED, text, { executed: "never" }));
      return;
    }
    call.waitsFor = () => this.#whyNone(call);
    call.carrier = this;
    this.#waiting.add(call);
  }

  abandon(call: CallOutcomeSink): boolean {
    call.carrier = undefined;
    return this.#waiting.delete(call);
  }

  #onTrouble(reason: RegistryError): void {
    this.#trouble = reason;
    this.refresh();
  }

  #onSnapshot(snapshot: Snapshot): void {
    this.#known = true;
    if (!snapshot.stale) this.#trouble = undefined;
    const before = new Set(this.#all());
    const fresh: Subchannel[] = [];
    const renewed: Subchannel[] = [];
    const incarnations = new Map<Subchannel, string | undefined>();
    const ours: Subchannel[] = [];
    const classic = new Map<Subchannel, readonly string[] | undefined>();
    const refused: string[] = [];
    for (const endpoint of snapshot.endpoints) {
      if (endpoint.protocol === "classic" && this.#classicUse === false) {
        refused.push(formatAddress(endpoint));
        continue;
      }
      const subchannel = this.#pool.acquire(inDialect(endpoint, this.#classicUse));
      const { incarnation } = endpoint;
      if (!before.has(subchannel)) fresh.push(subchannel);
      else if (incarnation !== this.#incarnations.get(subchannel)) renewed.push(subchannel);
      incarnations.set(subchannel, incarnation);
      subchannel.weight = endpoint.weight;
      if (endpoint.protocol === "classic") classic.set(subchannel, endpoint.classicMethods);
      else ours.push(subchannel);
    }
    this.#subchannels = ours;
    this.#classic.update(classic);
    this.#refused = refused;
    this.#incarnations = incarnations;
    // First: a call that waited for a subchannel which goes now is routed anew at once, and must not meet it again.
    this.#balance();
    for (const subchannel of before) this.#pool.release(subchannel);
    for (const subchannel of fresh) subchannel.retrySoon();
    for (const subchannel of renewed) subchannel.renew();
    this.refresh();
  }

  onAvailability(subchannel: Subchannel): void {
    if (this.#subchannels.includes(subchannel) || this.#classic.has(subchannel)) this.refresh();
  }

  /** The subchannels or their availability changed: the next pick, and the calls that wait, go by the new list. */
  refresh(): void {
    this.#balance();
    if (this.#waiting.size === 0) return;
    const waiting = [...this.#waiting] as ClientCall[];
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
    const available = this.#subchannels.filter((subchannel) => subchannel.available);
    this.#balancer.update(available);
    this.#only = available.length === 1 ? available[0] : undefined;
  }

  /** Sends no more calls; those that wait fail. */
  refuse(reason: string): void {
    this.#refusal = reason;
    this.refresh();
  }

  close(): void {
    this.#watch.close();
    for (const subchannel of this.#all()) this.#pool.release(subchannel);
    this.#subchannels = [];
    this.#classic.update(new Map());
  }
}

function nameSome(reasons: readonly string[]): string {
  const more = reasons.length > namedFailures ? messages.andMoreReasons(reasons.length - namedFailures) : "";
  return reasons.slice(0, namedFailures).join(", ") + more;
}

/** What an entry says of its dialect counts more than what is said of its service. */
function inDialect(endpoint: Endpoint, use: ClassicUse): Endpoint {
  const { protocol, attributes } = endpoint;
  if (protocol !== "classic" || typeof use === "boolean" || attributes.dialect !== undefined) return endpoint;
  return { ...endpoint, attributes: { ...attributes, dialect: use } };
}
