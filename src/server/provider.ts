import type { Authenticator } from "../auth/authenticator.js";
import { Policy, PolicyError, type PolicyRules } from "../auth/policy.js";
import { type Address, formatAddress, parseAddress, schemeOf } from "../base/address.js";
import { keepProcess } from "../base/clock.js";
import {
  boolean,
  callback,
  checkOptions,
  describeValue,
  either,
  type Filled,
  having,
  listOf,
  number,
} from "../base/options.js";
import { watchReturned } from "../base/thrown.js";
import type { ServerInterceptor } from "../call/interceptor.js";
import { callScope } from "../call/scope.js";
import type { HandlersOf } from "../call/stub.js";
import { blameCaller } from "../error/blame-caller.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import type { ServiceDefinition } from "../protobuf/types.js";
import { currentContext } from "../protocol/inproc/link.js";
import { RegistryError } from "../registry/errors.js";
import { type App, runtimeOf, securedRuntime } from "../runtime/app.js";
import type { Runtime } from "../runtime/runtime.js";
import {
  builtinDescriptors,
  builtinServices,
  Health,
  Reflection,
  ServerReflection,
  ServerReflectionAlpha,
  ServingStatus,
} from "../services/builtin.js";
import { ReflectionHandlers } from "../services/grpc-reflection.js";
import { HealthHandlers } from "../services/health.js";
import type { TlsOptions } from "../transport/tls/options.js";
import type { Connection, Transport } from "../transport/transport.js";
import { advertisedAddress } from "./advertise.js";
import { Listeners } from "./listeners.js";
import { Registrations, type ServiceOptions } from "./registrations.js";
import { Router } from "./router.js";
import { type OpenedSecurity, openSecurity, type SecurityOptions } from "./security.js";
import { ServerConnections } from "./server-connections.js";

export interface ProviderOptions {
  /**
   * Identify the sender of a token. They are called in turn until one knows the token, before those that the conf names (`auth.tokens`, `auth.jwks`). Default none.
   */
  authenticators?: readonly Authenticator[] | undefined;
  /**
   * Who may call what, `{ "pkg.Service/*": "secret:apigw + jwt:*" }`, instead of the conf's `[authz]`. Once there is a rule, calls
   * that no rule allows are refused. Default: the conf's, and without one everybody may call.
   */
  policy?: PolicyRules | undefined;
  /** How its port is secured. Fields left out are taken from `[tls]` and `[auth]` of the conf. */
  tls?: TlsOptions | undefined;
  /** The first is the outermost. Default none. */
  interceptors?: readonly ServerInterceptor[] | undefined;
}

const serviceRules = { classic: boolean, attributes: having(), weight: number(Number.MIN_VALUE) };

/** When every call has ended, callers still connected after this time, ms, are named in the log. */
const leaveSoonMs = 1000;

/** After a second signal the process ends within this time, ms. */
const endAtOnceMs = 1000;

/**
 * Serves calls.
 *
 *     idle --start--> starting --> serving --shutdown--> draining --> stopped
 */
export class RpcProvider implements AsyncDisposable {
  readonly #runtime: Runtime;
  readonly #table: Router;
  readonly #connections: ServerConnections;
  readonly #services = new Map<string, { definition: ServiceDefinition; options: ServiceOptions }>();
  /** Services that `setServing` took out. */
  readonly #outOfService = new Set<string>();
  readonly #health = new HealthHandlers(
    () => this.#services.keys(),
    (service) => this.#statusOf(service),
  );
  #state: "idle" | "starting" | "serving" | "draining" | "stopped" = "idle";
  readonly #listeners = new Listeners();
  /** The addresses to listen on; empty: those of the conf. */
  readonly #listenOn: Address[] = [];
  readonly #registrations: Registrations;
  readonly #security: Omit<SecurityOptions, "served">;
  #openedSecurity: OpenedSecurity | undefined;
  /** Created because the provider has a `tls` option of its own. */
  readonly #ownTransport: Transport | undefined;
  #starting: Promise<Address> | undefined;
  readonly #startAbort = new AbortController();
  #stopping: Promise<void> | undefined;
  #stopped!: () => void;
  readonly #whenStopped = new Promise<void>((resolve) => {
    this.#stopped = resolve;
  });
  #stopNow!: () => void;
  /** Closed with the runtime: its socket would keep the process alive, and its services are no longer in a registry. */
  readonly #onRuntimeClosed = (): void => {
    this.#runtime.log.warn(
      "the application was closed before its provider, which stops: shutdown() comes first",
    );
    void this.shutdown();
  };
  /** A second signal arrived. */
  #hurried = false;
  readonly #cutShort = new Promise<void>((resolve) => {
    this.#stopNow = resolve;
  });

  /** Throws `TypeError` for bad options, `PolicyError` for rules that cannot be read. Listens on nothing yet. */
  constructor(app: App, options: ProviderOptions = {}) {
    const runtime = runtimeOf("RpcProvider", app);
    const defaults: Filled<Omit<ProviderOptions, "policy" | "tls">> &
      Pick<ProviderOptions, "policy" | "tls"> = {
      interceptors: [],
      authenticators: [],
    };
    const checked = checkOptions("RpcProvider", options, defaults, {
      interceptors: listOf(callback),
      authenticators: listOf(either(callback, having("authenticate"))),
      policy: having(),
      tls: having(),
    });
    const { interceptors, authenticators, policy, tls } = checked;
    this.#security = { authenticators, policy: policy === undefined ? undefined : Policy.of(policy) };
    this.#runtime = tls === undefined ? runtime : securedRuntime("RpcProvider", runtime, tls);
    if (tls !== undefined) this.#ownTransport = this.#runtime.transport;
    this.#registrations = new Registrations(this.#runtime, this.#startAbort.signal);
    this.#table = new Router(interceptors);
    this.#connections = new ServerConnections(this.#runtime, this.#table);
    const builtin = new Router([]);
    builtin.add(Health, this.#health, false);
    builtin.add(
      Reflection,
      {
        listServices: () => ({ services: [...this.#services.keys()].sort() }),
        describe: (request: { service: string }) => this.#describe(request.service),
      },
      false,
    );
    const reflection = new ReflectionHandlers(() => [
      ...Array.from(this.#services.values(), ({ definition }) => definition),
      ...[Health, Reflection, ServerReflection, ServerReflectionAlpha],
    ]);
    builtin.add(ServerReflection, reflection, false);
    builtin.add(ServerReflectionAlpha, reflection, false);
    this.#connections.calls.builtin = builtin;
  }

  /**
   * Offers a service. `handlers` has one function per method, called as a method of it, so it may be an instance of
   * a class. Throws `TypeError` for a service that is already registered, a missing handler, two services with the same short
   * name for classic callers, or a bad option; `Error` once the provider has started.
   */
  notifyService<S extends ServiceDefinition>(
    service: S,
    handlers: HandlersOf<S>,
    options: ServiceOptions = {},
  ): this {
    if (!having().accepts(service) || typeof service.typeName !== "string") {
      throw new TypeError(messages.notAService(describeValue(service)));
    }
    const { typeName } = service;
    if (this.#state !== "idle") throw new Error(messages.serviceTooLate(typeName));
    if (builtinServices.includes(typeName)) throw new TypeError(messages.serviceBuiltIn(typeName));
    const checked = checkOptions<ServiceOptions>(`notifyService: ${typeName}`, options, {}, serviceRules);
    this.#table.add(service, handlers, checked.classic ?? this.#runtime.settings.provider.classic);
    this.#services.set(typeName, { definition: service, options: checked });
    return this;
  }

  /** Where it listens, with the real port; undefined before `start`. */
  get address(): Address | undefined {
    return this.#listeners.first?.address;
  }

  /** Every address it listens on, in the order of `listen`, with the real ports; empty before `start`. */
  get addresses(): readonly Address[] {
    return this.#listeners.addresses;
  }

  /**
   * Listens on these addresses, `host:port`, `{ host, port }`, `unix:/path` (this machine and user only) or `inproc:` (this process
   * only), instead of the conf's (`rpcserverip`, `rpcserverport`, `provider.unix`). The first one is published, and a unix
   * socket besides it for callers that may use it. Throws `TypeError` for an invalid address; `Error` once the provider has started.
   */
  listen(...addresses: ReadonlyArray<string | Address>): this {
    if (this.#state !== "idle") throw new Error(`RpcProvider.listen(): the provider is ${this.#state}`);
    this.#listenOn.push(...addresses.map(listenAddress));
    return this;
  }

  /** Calls being served. */
  get inFlight(): number {
    return this.#connections.calls.inFlight;
  }

  /** Connections of callers, all protocols. */
  get connections(): number {
    return this.#connections.size;
  }

  /**
   * Listens and then registers every service: a caller that finds it can reach it. Resolves with the bound address.
   * Rejects (and leaves nothing behind) when the port is taken, the registry refuses, or `shutdown` comes first.
   */
  async start(): Promise<Address> {
    if (this.#state !== "idle") throw new Error(`RpcProvider.start(): the provider is ${this.#state}`);
    return this.#startFor(this.start);
  }

  async #startFor(entry: RpcProvider["start"] | RpcProvider["run"]): Promise<Address> {
    this.#state = "starting";
    this.#starting = this.#listenAndRegister();
    try {
      return await this.#starting;
    } catch (error) {
      // A port in use, a refusing registry: the text says everything, and the stack is that of the caller.
      const told =
        error instanceof RegistryError ||
        error instanceof PolicyError ||
        (error as Error | undefined)?.constructor === Error;
      throw told ? blameCaller(error, entry) : error;
    }
  }

  async #listenAndRegister(): Promise<Address> {
    const { log, registry } = this.#runtime;
    if (this.#services.size === 0) log.warn("no service was given (notifyService)");
    try {
      const { calls } = this.#connections;
      const served = [...this.#table.definitions, ...(calls.builtin?.definitions ?? [])];
      const security = { ...this.#security, served };
      this.#openedSecurity = await openSecurity(this.#runtime, calls.accounts, security);
      calls.guard = this.#openedSecurity.guard;
      const address = await this.#listen();
      const { unixBeside, first } = this.#listeners;
      const place = { address, group: first?.sharedBy, unix: unixBeside, tls: first?.tls };
      await this.#registrations.register(this.#services.values(), place);
      this.#startAbort.signal.throwIfAborted();
      log.info(`listening on ${this.addresses.map(formatAddress).join(", ")}`, {
        advertised: formatAddress(address),
        registry: registry.name,
        services: [...this.#services.keys()],
        tls: first?.tls ?? "off",
      });
    } catch (error) {
      await this.#registrations.withdraw();
      const closed = this.#listeners.close();
      this.#connections.closeAll(messages.providerDidNotStart);
      await closed;
      this.#openedSecurity?.close();
      this.#ownTransport?.close?.();
      this.#state = "stopped";
      this.#stopped();
      throw error;
    }
    this.#state = "serving";
    this.#runtime.closed.addEventListener("abort", this.#onRuntimeClosed);
    return this.address as Address;
  }

  /** Resolves with the published address. */
  async #listen(): Promise<Address> {
    const { transport, settings, local } = this.#runtime;
    const { listen, unix, advertise } = settings.provider;
    const configured = unix === undefined ? [listen] : [listen, { host: `unix:${unix}`, port: 0 }];
    const wanted = this.#listenOn.length > 0 ? this.#listenOn : configured;
    // Handlers run in the async context of the start, as those of a socket do.
    const provider = this.#connections.localProvider(callScope.outside(currentContext));
    const onConnection = (connection: Connection): void => this.#connections.accept(connection);
    const { alpn } = this.#connections;
    const { address: bound, sharedBy } = await this.#listeners.open(wanted, {
      ...{ transport, local, provider, onConnection, alpn },
    });
    const address = await advertisedAddress(bound, this.#runtime);
    // Other processes may be behind a configured or shared address, and must get their calls.
    const isOwn = advertise === undefined && sharedBy === undefined && schemeOf(bound) === "tcp";
    if (local !== undefined && isOwn) this.#listeners.offer(address, local, provider);
    return address;
  }

  /**
   * Starts if need be, and serves until `shutdown()`, or until SIGTERM, SIGINT or SIGHUP, which drain it. After a signal
   * the runtime is closed as well, the registry session last. A second SIGTERM or SIGINT cuts the drain short, and ends
   * the process with 128 + the signal's number, as shells count. The signal handlers are in place only meanwhile: before
   * `onListening`, which is called with the bound address once every service is registered, so that a signal may be
   * sent from then on. Rejects, having stopped, when the start fails or `onListening` throws.
   */
  async run(onListening?: (address: Address) => void): Promise<void> {
    const { clock, log, signals } = this.#runtime;
    let signalled = false;
    let hurriedBy: NodeJS.Signals | undefined;
    const endProcess = (): void => {
      if (hurriedBy !== undefined) signals?.exit(hurriedBy);
    };
    const letGo = keepProcess(clock);
    const stopListening = signals?.listen({
      drain: (signal) => {
        log.info(`${signal}: draining`);
        signalled = true;
        void this.shutdown();
      },
      hurry: (signal) => {
        log.info(`${signal}: stopping at once`);
        hurriedBy = signal;
        this.#hurried = true;
        this.#stopNow();
        // Ends the process even if the registry hangs.
        clock.setTimer(endProcess, endAtOnceMs, true);
      },
    });
    try {
      if (this.#state === "idle") await this.#startFor(this.run);
      const { address } = this;
      const told: unknown =
        this.#state === "serving" && address !== undefined ? onListening?.(address) : undefined;
      // An async `onListening` may fail later, which stops the provider as well.
      const refused = new Promise<never>((_, reject) => watchReturned(told, reject));
      await Promise.race([this.#whenStopped, refused]);
      if (signalled) await this.#runtime.close();
    } catch (error) {
      await this.shutdown();
      // A signal that aborted the start is not a failure.
      if (!signalled) throw error;
      await this.#runtime.close();
    } finally {
      letGo();
      stopListening?.();
      endProcess();
    }
  }

  /**
   * Stops without losing a call: health turns NOT_SERVING, the registry entries are removed, callers are told to use other providers,
   * calls in flight get `provider.draintimeout` to end, the rest is cancelled. Idempotent; never rejects.
   */
  shutdown(): Promise<void> {
    this.#stopping ??= this.#drain();
    return this.#stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  async #drain(): Promise<void> {
    const { settings, log, clock } = this.#runtime;
    // A start in progress is aborted first, and cleans up after itself.
    this.#startAbort.abort(new Error("the provider was shut down while it started"));
    await this.#starting?.catch(() => {});
    if (this.#state === "stopped") return;
    this.#state = "draining";
    this.#health.changed();
    this.#runtime.closed.removeEventListener("abort", this.#onRuntimeClosed);
    const drainEndMs = clock.now() + settings.provider.drainTimeoutMs;
    // An unreachable registry must not delay the rest for long.
    await this.#within(settings.provider.drainTimeoutMs, this.#registrations.withdraw());
    const closed = this.#listeners.close();
    this.#connections.drain();
    await this.#within(settings.provider.drainTimeoutMs, this.#connections.calls.whenIdle());
    const late = this.#connections.calls.inFlight;
    if (late > 0) log.warn(`${late} calls still in flight are cancelled (provider.draintimeout)`);
    else await this.#letCallersLeave(drainEndMs);
    this.#connections.closeAll(messages.providerStopped);
    await closed;
    this.#openedSecurity?.close();
    this.#ownTransport?.close?.();
    this.#state = "stopped";
    this.#stopped();
  }

  /**
   * A caller that has not read yet that the provider is leaving may still send calls. If the connection were closed meanwhile, it
   * could not know which ran. So it gets the drain time, as do calls in flight and large replies being sent.
   */
  async #letCallersLeave(untilMs: number): Promise<void> {
    const { clock, log } = this.#runtime;
    const empty = this.#connections.whenEmpty();
    await this.#within(leaveSoonMs, empty);
    const leftMs = untilMs - clock.now();
    if (this.#connections.size === 0 || this.#hurried || leftMs <= 0) return;
    log.info(`waiting for callers to leave: ${this.#connections.size} (provider.draintimeout)`);
    await this.#within(leftMs, empty);
  }

  /** Waits for `done`, at most `timeoutMs` or until a second signal. */
  #within(timeoutMs: number, done: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#runtime.clock.setTimer(resolve, timeoutMs, true);
      void Promise.race([done, this.#cutShort]).then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  // --- built-in services ---

  /** Sets what `grpc.health.v1.Health` (`Check` and `Watch`) says of one service while the provider serves, e.g. while a database is away. */
  setServing(service: string, serving: boolean): void {
    if (!this.#services.has(service)) throw new TypeError(`setServing: ${messages.noService(service)}`);
    if (serving) this.#outOfService.delete(service);
    else this.#outOfService.add(service);
    this.#health.changed();
  }

  #statusOf(service: string): ServingStatus | undefined {
    if (service !== "" && !this.#services.has(service)) return undefined;
    const up = this.#state === "starting" || this.#state === "serving";
    const serving = up && !this.#outOfService.has(service);
    return serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  }

  #describe(service: string): { descriptors: Uint8Array[] } {
    const descriptors =
      this.#services.get(service)?.definition.descriptors ?? builtinDescriptors.get(service);
    if (descriptors === undefined) throw new RpcError(Status.NOT_FOUND, messages.noService(service));
    return { descriptors: [...descriptors] };
  }
}

function listenAddress(given: string | Address): Address {
  const text = typeof given === "string" ? given : having().accepts(given) ? formatAddress(given) : "";
  const address = parseAddress(text);
  if (address !== undefined) return address;
  throw new TypeError(
    `RpcProvider.listen: expected "host:port", { host, port }, "unix:/path" or "inproc:", got ${describeValue(given)}`,
  );
}
