import type { Balancer } from "../balancer/balancer.js";
import { createBalancer } from "../balancer/create.js";
import { formatAddress, schemeOf } from "../base/address.js";
import type { Attempt, CallCarrier } from "../call/attempt.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import type { RegistryError } from "../registry/errors.js";
import type { Endpoint, Resolver, Snapshot, Watch } from "../registry/registry.js";
import type { BalancerName, ClassicChoice, ClassicUse, Runtime } from "../runtime/runtime.js";
import { ClassicSubchannels, useOfClassic } from "./classic-subchannels.js";
import type { ClientAttempt } from "./client-call.js";
import type { Subchannel } from "./subchannel.js";
import type { SubchannelPool } from "./subchannel-pool.js";

/** An error message names at most this many failed endpoints of a kind. */
const namedFailures = 4;
/** While classic providers serve the calls, connecting to mprpc providers is tried this often, ms. */
const retryOursMs = 1000;

export interface PickerOptions {
  readonly service: string;
  readonly runtime: Runtime;
  readonly registry: Resolver;
  readonly pool: SubchannelPool;
  readonly balancer: BalancerName;
  /** The channel's choice; it overrides the conf. */
  readonly classic: ClassicChoice | undefined;
}

/**
 * Finds an endpoint for each call of one service: the registry's list without endpoints that are down, through the balancer. Classic
 * providers are called only while no mprpc provider can be.
 */
export class Picker implements CallCarrier {
  readonly #service: string;
  readonly #runtime: Runtime;
  readonly #registry: Resolver;
  readonly #pool: SubchannelPool;
  readonly #balancer: Balancer<Subchannel>;
  readonly #watch: Watch;
  readonly #waiting = new Set<Attempt>();
  /** Those that speak mprpc/2. */
  #subchannels: Subchannel[] = [];
  readonly #classic: ClassicSubchannels;
  readonly #classicUse: ClassicUse;
  /** Addresses of the classic providers that are not called because of `#classicUse`. */
  #refused: readonly string[] = [];
  /** Addresses of endpoints not known to speak TLS, where TLS is required. */
  #unsecured: readonly string[] = [];
  /** The only subchannel, if there is just one: calls then skip the balancer. */
  #only: Subchannel | undefined;
  /** Weights of this service's registrations; another service of the same provider has its own. */
  #incarnations = new Map<Subchannel, string | undefined>();
  #known = false;
  /** Why the registry cannot be read now. */
  #trouble: RegistryError | undefined;
  #retriedOursMs = Number.NEGATIVE_INFINITY;
  /** Why the picker sends no more calls. */
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
  route(attempt: ClientAttempt): void {
    const { call } = attempt;
    if (this.#refusal !== undefined) {
      call.fail(new RpcError(Status.UNAVAILABLE, this.#refusal, { executed: "never" }));
      return;
    }
    if (!this.#known) {
      if (this.#trouble?.code === "denied" && !call.waitForReady)
        this.#failCall(attempt, this.#whyNone(attempt));
      else this.#wait(attempt);
      return;
    }
    if (call.misled && this.isHinted) {
      this.#wait(attempt);
      return;
    }
    const subchannel = this.#only ?? this.#balancer.pick(attempt.nowMs) ?? this.#pickClassic(attempt);
    if (subchannel !== undefined) {
      subchannel.start(attempt);
      return;
    }
    if (call.waitForReady || this.isHinted) {
      for (const one of this.#all()) one.hurry();
      this.#wait(attempt);
      return;
    }
    const probe = this.#subchannels.find((one) => one.probeable) ?? this.#probeClassic(attempt);
    if (probe !== undefined) probe.start(attempt);
    else this.#failCall(attempt, this.#whyNone(attempt));
  }

  /** The current list was saved by an earlier process, and the registry's own may arrive in a moment. */
  get isHinted(): boolean {
    return this.#watch.current?.hint === true && this.#trouble?.code !== "denied";
  }

  /** The classic provider to call when no mprpc provider can be. */
  #pickClassic(attempt: ClientAttempt): Subchannel | undefined {
    if (!this.#classicMayTake(attempt)) return undefined;
    const subchannel = this.#classic.pick(attempt);
    if (subchannel !== undefined) this.#retryOurs(attempt.nowMs);
    return subchannel;
  }

  #probeClassic(attempt: ClientAttempt): Subchannel | undefined {
    return this.#classicMayTake(attempt) ? this.#classic.probe(attempt) : undefined;
  }

  /** The classic wire has no streams and no oneway calls. If mprpc providers are listed, such calls wait for them. */
  #classicMayTake(attempt: ClientAttempt): boolean {
    if (attempt.stream !== undefined) return false;
    return this.#classic.size > 0 && !(attempt.oneway && this.#subchannels.length > 0);
  }

  /** While classic providers serve the calls, no call tries the mprpc ones, and their backoff grows to minutes. */
  #retryOurs(nowMs: number): void {
    if (nowMs - this.#retriedOursMs < retryOursMs) return;
    this.#retriedOursMs = nowMs;
    for (const one of this.#subchannels) if (one.probeable) one.retryNow();
  }

  *#all(): Generator<Subchannel> {
    yield* this.#subchannels;
    yield* this.#classic.all;
  }

  #failCall(attempt: ClientAttempt, reason: string): void {
    const offered = this.#isOffered(attempt);
    const listed = this.#subchannels.length + this.#classic.size > 0;
    const code = listed && !offered ? Status.UNIMPLEMENTED : Status.UNAVAILABLE;
    const { call } = attempt;
    const error = new RpcError(code, reason, { executed: "never", cause: call.lastFailure });
    if (listed && offered) call.fail(error, "connect");
    else call.fail(error);
  }

  /** An mprpc provider has every method; a classic one has a znode for each of its methods. */
  #isOffered(attempt: ClientAttempt): boolean {
    if (this.#subchannels.length > 0) return true;
    return attempt.stream === undefined && this.#classic.offer(attempt);
  }

  #whyNone(attempt: ClientAttempt): string {
    const { name } = this.#registry;
    const trouble = this.#trouble === undefined ? "" : messages.registryTrouble(this.#trouble.message);
    if (this.#trouble?.code === "denied" && !this.#known)
      return messages.registryDenies(name, this.#trouble.message);
    const silent = messages.registrySilent(name, trouble);
    if (!this.#known) return silent;
    const current = this.#watch.current;
    if (current?.hint && attempt.call.misled) return messages.savedListOutdated(silent);
    const none = this.#whyNoneListed(attempt, name);
    if (current?.hint) return messages.noneInSavedList(silent, none);
    return current?.stale ? messages.noneInLastList(none, name, trouble) : none;
  }

  #whyNoneListed(attempt: ClientAttempt, registry: string): string {
    if (this.#subchannels.length === 0 && this.#classic.size === 0) {
      // The short name is what the classic framework would take.
      const hint = messages.giveFullName(this.#service);
      if (this.#refused.length + this.#unsecured.length > 0)
        return messages.noProviderOfOurs(this.#service, registry, this.#whyRefused);
      return messages.noProvider(this.#service, registry, this.#service.includes(".") ? "" : hint);
    }
    const { call } = attempt;
    const offered = this.#isOffered(attempt);
    if (call.lookup !== undefined && !offered) return messages.onlyClassicProviders(this.#service, registry);
    if (attempt.stream !== undefined && this.#subchannels.length === 0) {
      return messages.streamOfClassic(call.method.fullName, call.method.kind);
    }
    if (!offered) return messages.noClassicMethod(this.#service, registry, call.method.name);
    const ours = this.#subchannels.map(
      (subchannel) => subchannel.failure || messages.endpointDown(subchannel.endpoint),
    );
    const classic = call.lookup === undefined ? [...this.#classic.reasons(attempt)] : [];
    const reasons = [nameSome(ours), nameSome(classic)].filter((text) => text !== "");
    return messages.everyEndpointDown(this.#service, reasons.join(", "), this.#whyRefused);
  }

  get #whyRefused(): string {
    const unsecured = this.#unsecured.length === 0 ? "" : messages.notSecured(nameSome(this.#unsecured));
    return this.#whyNotClassic + unsecured;
  }

  get #whyNotClassic(): string {
    if (this.#refused.length === 0) return "";
    const endpoints = nameSome(this.#refused);
    return this.#registry.authenticated
      ? messages.classicNotTrusted(endpoints)
      : messages.classicNotCalled(endpoints);
  }

  #wait(attempt: ClientAttempt): void {
    const { pendingMax } = this.#runtime.settings.channel;
    if (this.#waiting.size >= pendingMax) {
      const text = messages.tooManyWaitForEndpoint(pendingMax, this.#service, this.#whyNone(attempt));
      attempt.call.fail(new RpcError(Status.RESOURCE_EXHAUSTED, text, { executed: "never" }));
      return;
    }
    attempt.handTo(this, "resolve", () => this.#whyNone(attempt));
    this.#waiting.add(attempt);
  }

  abandon(attempt: Attempt): boolean {
    return this.#waiting.delete(attempt);
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
    const unsecured: string[] = [];
    const { expects } = this.#runtime.transport;
    const peerName = expects?.nameFor(this.#service);
    const ownSocket = this.#registry.fixed !== true;
    for (const endpoint of snapshot.endpoints) {
      if (endpoint.protocol === "classic" && this.#classicUse === false) {
        refused.push(formatAddress(endpoint));
        continue;
      }
      // A registry must not make a caller speak in clear. A `static://` list is the caller's own and does not mention TLS.
      if (expects !== undefined && !this.#registry.fixed && !provesItsName(endpoint)) {
        unsecured.push(formatAddress(endpoint));
        continue;
      }
      const subchannel = this.#pool.acquire({
        ...inDialect(endpoint, this.#classicUse),
        peerName,
        ownSocket,
      });
      // This version does not speak the endpoint's protocol.
      if (subchannel === undefined) continue;
      const { incarnation } = endpoint;
      if (!before.has(subchannel)) fresh.push(subchannel);
      else if (incarnation !== this.#incarnations.get(subchannel)) renewed.push(subchannel);
      incarnations.set(subchannel, incarnation);
      subchannel.weight = endpoint.weight;
      if (endpoint.protocol === "classic") classic.set(subchannel, endpoint.methods);
      else ours.push(subchannel);
    }
    this.#subchannels = ours;
    this.#classic.update(classic);
    this.#refused = refused;
    this.#unsecured = unsecured;
    this.#incarnations = incarnations;
    // First: a call that waited for a removed subchannel is routed again at once, and must not get the same one.
    this.#balance();
    for (const subchannel of before) this.#pool.release(subchannel);
    for (const subchannel of fresh) subchannel.retrySoon();
    for (const subchannel of renewed) subchannel.renew();
    this.refresh();
  }

  onAvailability(subchannel: Subchannel): void {
    if (this.#subchannels.includes(subchannel) || this.#classic.has(subchannel)) this.refresh();
  }

  /** The subchannels or their availability changed: the next pick and the waiting calls use the new list. */
  refresh(): void {
    this.#balance();
    if (this.#waiting.size === 0) return;
    const waiting = [...this.#waiting] as ClientAttempt[];
    this.#waiting.clear();
    const now = this.#runtime.clock.now();
    for (const attempt of waiting) {
      attempt.nowMs = now;
      if (!attempt.call.settled) this.route(attempt);
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

/** The endpoint uses TLS, or is in this process, which cannot be impersonated. */
function provesItsName(endpoint: Endpoint): boolean {
  const scheme = schemeOf(endpoint);
  const { tls } = endpoint.attributes;
  return scheme === "inproc" || (scheme === "tcp" && (tls === "required" || tls === "optional"));
}

/** The dialect of the entry takes precedence over the one configured for the service. */
function inDialect(endpoint: Endpoint, use: ClassicUse): Endpoint {
  const { protocol, attributes } = endpoint;
  if (protocol !== "classic" || typeof use === "boolean" || attributes.dialect !== undefined) return endpoint;
  return { ...endpoint, attributes: { ...attributes, dialect: use } };
}
