import { setMaxListeners } from "node:events";
import path from "node:path";
import { type Address, schemeOf } from "../base/address.js";
import { type Clock, systemClock } from "../base/clock.js";
import { DeadlineWheel } from "../base/deadlines.js";
import { callback, checkOptions, definedOf, describeValue, either, having, text } from "../base/options.js";
import { type CallEmitter, createCallEmitter } from "../call/events.js";
import { toAuthSettings } from "../config/auth-section.js";
import {
  type ConfigValues,
  type LoadedConfig,
  loadConfig,
  type NoSections,
  type Sections,
} from "../config/config.js";
import { ConfigError } from "../config/config-error.js";
import { blameCaller } from "../error/blame-caller.js";
import { messages } from "../error/messages.js";
import { guardLogger } from "../log/guard.js";
import { type Logger, logLevels } from "../log/logger.js";
import { createLogger, type QueueLogger } from "../logger/queue-logger.js";
import { processProviders } from "../protocol/inproc/local-providers.js";
import { RegistryError } from "../registry/errors.js";
import { openRegistry } from "../registry/open.js";
import type { Registry } from "../registry/registry.js";
import { type App, internals } from "../runtime/app.js";
import { defaultSettings, type Runtime, type RuntimeSettings } from "../runtime/runtime.js";
import { schemeTransport } from "../transport/schemes.js";
import { type TlsOptions, tlsOptionRules } from "../transport/tls/options.js";
import { type TlsTransportParts, tlsTransport } from "../transport/tls/tls-transport.js";
import type { Transport } from "../transport/transport.js";
import { unixTransport } from "../transport/unix.js";
import { processSignals } from "./signals.js";

/** Parts to use instead of those the configuration names, for programs with their own and for tests. */
export interface ApplicationParts<S extends Sections = NoSections> {
  /** Default: `process.env`. */
  env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Where `./mprpc.conf` is looked for. Default: `process.cwd()`. */
  cwd?: string | undefined;
  /**
   * Sections of the conf that are the program's own, `{ upload: { part: conf.key(conf.size({ min, max }), "8MiB") } }`:
   * their values are `app.config.own`, here `own.upload.partBytes`. Default none.
   */
  sections?: S | undefined;
  /** Default: the asynchronous queue logger, as `[log]` says. The application does not close one it was given. */
  log?: Logger | undefined;
  /**
   * Default: the one that `registry` names. A function gets the configuration, and may return undefined for the default. The
   * application closes it in either case.
   */
  registry?: Registry | ((config: LoadedConfig<S>, log: Logger) => Registry | undefined) | undefined;
  /** Overrides `[tls]` and `[auth]` of the conf for its channels and providers. Not allowed together with `transport`. Default: the conf. */
  tls?: TlsOptions | undefined;
  /**
   * Default: TCP, secured as `[tls]` says, and unix sockets, and neither for providers of this process (`channel.local`). A given
   * transport carries all calls.
   */
  transport?: Transport | undefined;
  /** Default: the system's. A test may pass a virtual one, for the application and its channels and providers. */
  clock?: Clock | undefined;
  /** 0 <= x < 1; a seeded one makes a run repeatable. Default `Math.random`. */
  random?: (() => number) | undefined;
}

const partRules = {
  env: having(),
  cwd: text,
  sections: having(),
  log: having(...logLevels),
  registry: either(having("register", "watch", "list", "close"), callback),
  tls: having(),
  transport: having("connect", "listen", "localHostTowards"),
  clock: having("now", "wallNow", "setTimer"),
  random: callback,
};

/**
 * A process as the conf file describes it: configuration, logger and registry, which its providers and channels share.
 * A process may have several; nothing here is global.
 */
export class MprpcApplication<S extends Sections = NoSections> implements App, AsyncDisposable {
  readonly config: LoadedConfig<S>;
  readonly log: Logger;
  readonly registry: Registry;
  readonly events: CallEmitter;
  readonly #ownLog: QueueLogger | undefined;
  readonly #closed = new AbortController();
  readonly #transport: Transport;
  readonly #runtime: Runtime;
  #closing: Promise<void> | undefined;

  private constructor(config: LoadedConfig<S>, parts: ApplicationParts<S>) {
    // Each channel adds a listener.
    setMaxListeners(Infinity, this.#closed.signal);
    const clock = parts.clock ?? systemClock;
    this.config = config;
    this.#ownLog = parts.log === undefined ? openLog(config.values) : undefined;
    this.log = parts.log === undefined ? (this.#ownLog as QueueLogger) : guardLogger(parts.log);
    this.events = createCallEmitter(this.log);
    const { registry } = parts;
    const own = typeof registry === "function" ? registry(config, this.log) : registry;
    this.registry = own ?? openConfigured(config.values, this.log);
    this.#transport =
      parts.transport ??
      schemeTransport({
        tcp: tlsTransport(
          transportParts(config.values, clock, this.log),
          toTls(config, parts.cwd ?? process.cwd(), parts.tls),
        ),
        unix: unixTransport(clock),
      });
    this.#runtime = {
      clock,
      log: this.log,
      random: parts.random ?? Math.random,
      registry: this.registry,
      transport: this.#transport,
      // A given transport carries all calls.
      local: parts.transport === undefined ? processProviders : undefined,
      events: this.events,
      wheel: new DeadlineWheel(clock),
      settings: { ...toSettings(config.values), auth: toAuthSettings(config, parts.cwd ?? process.cwd()) },
      signals: processSignals(clock),
      closed: this.#closed.signal,
      close: () => this.close(),
    };
  }

  get [internals](): unknown {
    return this.#runtime;
  }

  /**
   * Reads the configuration: defaults, conf file, `MPRPC_...` variables, flags; later ones override earlier ones.
   * `argv` is `process.argv` as it is. Throws `TypeError` for bad `parts`, `ConfigError` that names file, line and key, and `RegistryError` for a
   * registry that cannot work. Connects to nothing yet.
   */
  static async init<S extends Sections = NoSections>(
    argv: readonly string[] = process.argv,
    parts: ApplicationParts<S> = {},
  ): Promise<MprpcApplication<S>> {
    if (!Array.isArray(argv)) {
      throw new TypeError(`MprpcApplication.init: expected process.argv, got ${describeValue(argv)}`);
    }
    checkOptions<ApplicationParts<S>>("MprpcApplication.init", parts, {}, partRules);
    const { env = process.env, cwd = process.cwd(), sections } = parts;
    if (parts.tls !== undefined) {
      checkOptions<TlsOptions>("MprpcApplication.init: tls", parts.tls, {}, tlsOptionRules);
      if (parts.transport !== undefined) throw new TypeError(messages.tlsNotHere("MprpcApplication.init"));
    }
    const input = { argv: argv.slice(2), env, cwd, ...(sections === undefined ? {} : { sections }) };
    let app: MprpcApplication<S>;
    try {
      app = new MprpcApplication(loadConfig<S>(input), parts);
    } catch (error) {
      const told = error instanceof ConfigError || error instanceof RegistryError;
      throw told ? blameCaller(error, MprpcApplication.init) : error;
    }
    for (const warning of app.config.warnings) app.log.warn(warning);
    return app;
  }

  /** The program's own arguments: those after `--`. */
  get rest(): readonly string[] {
    return this.config.rest;
  }

  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /**
   * Ends the registry session and writes out the log. Close channels first, and shut providers down: a call made later,
   * or still waiting for a provider, fails UNAVAILABLE, and a provider that serves begins to drain. Idempotent; never
   * rejects.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#closed.abort();
    try {
      await this.registry.close();
    } catch (error) {
      // May be the user's own; those of the library never reject.
      this.log.error(`the registry ${this.registry.name} did not close`, { error });
    }
    this.#transport.close?.();
    await this.#ownLog?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function openLog(values: ConfigValues): QueueLogger {
  const { log } = values;
  return createLogger({
    level: log.level,
    format: log.format,
    console: log.console,
    dir: log.dir ?? "",
    file: log.file,
    maxBytes: log.maxbytes,
    maxFiles: log.maxfiles,
    queueLimit: log.queuelimit,
    overflow: log.overflow,
    redact: log.redact,
    // A process that ends by a signal must not lose its last log lines. The signal still ends it.
    exitHandlers: true,
  });
}

function openConfigured(values: ConfigValues, log: Logger): Registry {
  const { sessiontimeoutMs, auth, snapshotdir } = values.zookeeper;
  const zookeeper = {
    sessionTimeoutMs: sessiontimeoutMs,
    ...(auth === undefined ? {} : { auth }),
    ...(snapshotdir === undefined ? {} : { snapshotFolder: snapshotdir }),
  };
  return openRegistry(values.registry, { log, ...zookeeper });
}

/** An address without ports leaves `rpcserverport` unused. */
function listenAddress({ rpcserverip: host, rpcserverport: port }: ConfigValues): Address {
  return schemeOf({ host, port }) === "tcp" ? { host, port } : { host, port: 0 };
}

function transportParts(values: ConfigValues, clock: Clock, log: Logger): TlsTransportParts {
  return { clock, log, cutAfterMs: values.provider.draintimeoutMs };
}

/** `[tls]`, `[auth]` and `[service.NAME]`, overridden by the options of the program. */
function toTls(
  { values, services }: Pick<LoadedConfig, "values" | "services">,
  cwd: string,
  own: TlsOptions = {},
): TlsOptions {
  const { tls, auth } = values;
  const inCwd = (file: string | undefined): string | undefined =>
    file === undefined ? undefined : path.resolve(cwd, file);
  const named = Object.entries(services).flatMap(([service, { "tls.peername": name }]) =>
    name === undefined ? [] : [[service, name] as const],
  );
  return {
    ...definedOf({
      mode: tls.mode,
      cert: inCwd(tls.cert),
      key: inCwd(tls.key),
      ca: inCwd(tls.ca),
      crl: inCwd(tls.crl),
      minVersion: tls.minversion,
      ciphers: tls.ciphers,
      passphrase: tls.passphrase?.replace(
        /^file:(.*)$/s,
        (_, file: string) => `file:${path.resolve(cwd, file)}`,
      ),
      clientAuth: tls.clientauth,
      peerName: tls.peername,
      trustDomain: tls.trustdomain,
      secrets: inCwd(auth.secrets),
      secret: auth.secret,
      handshakeTimeoutMs: tls.handshaketimeoutMs,
      handshakesMax: tls.maxhandshakes,
      handshakesPerAddressMax: tls.maxhandshakesperaddress,
    }),
    ...(named.length === 0 ? {} : { peerNames: Object.fromEntries(named) }),
    ...definedOf(own),
  };
}

function toSettings(values: ConfigValues): RuntimeSettings {
  const { provider, channel, limits, keepalive, advertiseaddress } = values;
  return {
    ...defaultSettings,
    callTimeoutMs: values.calltimeoutMs,
    limits: {
      headerMaxBytes: limits.headerBytes,
      bodyMaxBytes: limits.bodyBytes,
      arrivingMax: limits.arriving,
      arrivingMaxBytes: limits.arrivingbytes,
      streamBufferBytes: limits.streambufferBytes,
    },
    unwrittenMaxBytes: limits.unwrittenBytes,
    keepalive: { intervalMs: keepalive.intervalMs, timeoutMs: keepalive.timeoutMs },
    channel: {
      balancer: channel.balancer,
      connections: channel.connections,
      connectTimeoutMs: channel.connecttimeoutMs,
      pendingMax: channel.maxpending,
      classic: channel.classic,
      local: channel.local,
      grpcPingIntervalMs: channel.grpckeepaliveMs,
    },
    provider: {
      ...defaultSettings.provider,
      listen: listenAddress(values),
      unix: provider.unix,
      advertise:
        advertiseaddress === undefined
          ? undefined
          : { host: advertiseaddress.host, port: advertiseaddress.port ?? 0 },
      connectionsMax: provider.maxconnections,
      inFlightMax: provider.maxinflight,
      inFlightPerConnectionMax: provider.maxinflightperconnection,
      connectionsPerCallerMax: provider.maxconnectionspercaller ?? Infinity,
      inFlightPerCallerMax: provider.maxinflightpercaller ?? Infinity,
      callsPerSecondMax: provider.maxcallspersecond ?? Infinity,
      unreadPerCallerMaxBytes: provider.unreadpercallerBytes ?? Infinity,
      drainTimeoutMs: provider.draintimeoutMs,
      streamBufferBytes: provider.streambufferBytes,
      classic: provider.classic,
      protocols: provider.protocols,
    },
    broker: { url: values.broker, password: values.brokerpassword },
  };
}
