import { setMaxListeners } from "node:events";
import { type Clock, systemClock } from "../base/clock.js";
import { DeadlineWheel } from "../base/deadlines.js";
import { definedOf } from "../base/options.js";
import { createCallEmitter } from "../call/events.js";
import { guardLogger } from "../log/guard.js";
import type { Logger } from "../log/logger.js";
import { stderrLogger } from "../logger/stderr-logger.js";
import { processSignals } from "../node/signals.js";
import type { LocalProviders } from "../protocol/inproc/local-providers.js";
import type { RegistryDeps } from "../registry/deps.js";
import { MemoryRegistry, MemoryStore } from "../registry/memory.js";
import type { Registry } from "../registry/registry.js";
import { type App, internals } from "../runtime/app.js";
import { defaultSettings, type Runtime, type RuntimeSettings } from "../runtime/runtime.js";
import { MemoryNetwork } from "../transport/memory.js";
import type { Transport } from "../transport/transport.js";

/** Settings to differ from the defaults, group by group. */
export type SettingsInit = {
  readonly [K in keyof RuntimeSettings]?:
    | (RuntimeSettings[K] extends object
        ? { readonly [L in keyof RuntimeSettings[K]]?: RuntimeSettings[K][L] | undefined }
        : RuntimeSettings[K])
    | undefined;
};

/** Parts of a runtime; what is left out is made anew, inside this process. */
export interface RuntimeParts {
  /** Default: the system's. */
  clock?: Clock | undefined;
  /** Default: a `MemoryNetwork` of its own: two runtimes that are to meet need the same one. */
  transport?: Transport | undefined;
  /** Default: a `MemoryRegistry` on a store of its own. Closed with the runtime. */
  registry?: Registry | undefined;
  /** Default: warnings and errors go to stderr; `silentLogger` for none. */
  log?: Logger | undefined;
  /** 0 <= x < 1; a seeded one makes a run repeatable. Default `Math.random`. */
  random?: (() => number) | undefined;
  /** The providers that channels find within the process, `new LocalProviders()`. Default none: all go by the transport. */
  local?: LocalProviders | undefined;
  /** Over the defaults. */
  settings?: SettingsInit | undefined;
}

/** An application for tests, with the parts it was made of. */
export interface TestApp extends App {
  readonly clock: Clock;
  readonly transport: Transport;
  readonly random: () => number;
  readonly settings: Readonly<RuntimeSettings>;
}

/** What channels and providers need, without a conf file, sockets or a real clock. */
export function createRuntime(parts: RuntimeParts = {}): TestApp & AsyncDisposable {
  const { clock = systemClock, random = Math.random } = parts;
  const log = parts.log === undefined ? stderrLogger(() => clock.wallNow()) : guardLogger(parts.log);
  const registry = parts.registry ?? memoryRegistry({ clock, log, random });
  const closing = new AbortController();
  // Each channel listens.
  setMaxListeners(Infinity, closing.signal);
  const runtime: Runtime = {
    clock,
    log,
    random,
    registry,
    transport: parts.transport ?? new MemoryNetwork(),
    local: parts.local,
    events: createCallEmitter(log),
    wheel: new DeadlineWheel(clock),
    settings: mergeSettings(parts.settings ?? {}),
    signals: processSignals(clock),
    closed: closing.signal,
    close() {
      closing.abort();
      return registry.close();
    },
  };
  return Object.assign(runtime, {
    [Symbol.asyncDispose]: () => runtime.close(),
    [internals]: runtime,
  });
}

/** A registry inside this process; those on one `store` see each other's services. */
export function memoryRegistry(
  parts: { store?: MemoryStore | undefined } & RegistryDeps = {},
): MemoryRegistry {
  const { store = new MemoryStore(), ...deps } = parts;
  return new MemoryRegistry(store, deps);
}

/** The defaults, with `init` over them. */
export function mergeSettings(init: SettingsInit): RuntimeSettings {
  const { callTimeoutMs = defaultSettings.callTimeoutMs } = init;
  const { unwrittenMaxBytes = defaultSettings.unwrittenMaxBytes } = init;
  return {
    callTimeoutMs,
    unwrittenMaxBytes,
    limits: { ...defaultSettings.limits, ...definedOf(init.limits ?? {}) },
    auth: { ...defaultSettings.auth, ...definedOf(init.auth ?? {}) },
    keepalive: { ...defaultSettings.keepalive, ...definedOf(init.keepalive ?? {}) },
    channel: { ...defaultSettings.channel, ...definedOf(init.channel ?? {}) },
    provider: { ...defaultSettings.provider, ...definedOf(init.provider ?? {}) },
    broker: { ...defaultSettings.broker, ...definedOf(init.broker ?? {}) },
  };
}
