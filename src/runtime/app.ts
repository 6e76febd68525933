import { checkOptions, describeValue } from "../base/options.js";
import type { CallEmitter } from "../call/events.js";
import { messages } from "../error/messages.js";
import type { Logger } from "../log/logger.js";
import type { Registry } from "../registry/registry.js";
import { type TlsOptions, tlsOptionRules } from "../transport/tls/options.js";
import type { Runtime } from "./runtime.js";

/** The key of an application's runtime, shared by all copies of the library in a process. */
export const internals: unique symbol = Symbol.for("mprpc.internals");

/**
 * The application that channels and providers are created with: `MprpcApplication`, or in tests the result of `createRuntime`.
 * Only the library creates it.
 */
export interface App {
  readonly log: Logger;
  readonly registry: Registry;
  readonly events: CallEmitter;
  /** Aborted as soon as `close` is called: channels then refuse calls, since the registry is closed. */
  readonly closed: AbortSignal;
  /** Ends it: the registry session last. Idempotent. */
  close(): Promise<void>;
  /** The library's own. */
  readonly [internals]: unknown;
}

/** Throws `TypeError`; names the most common mistake, a missing `await` of `MprpcApplication.init`. */
export function runtimeOf(owner: string, given: unknown): Runtime {
  const inside = typeof given === "object" && given !== null && internals in given;
  if (inside) return given[internals] as Runtime;
  throw new TypeError(messages.notAnApplication(owner, describeValue(given)));
}

/**
 * The same runtime with a transport secured by `tls`, which overrides the configuration; the caller closes it.
 * Throws `TypeError` for wrong options, `Error` for files that cannot be used.
 */
export function securedRuntime(owner: string, runtime: Runtime, tls: TlsOptions): Runtime {
  const options = checkOptions<TlsOptions>(`${owner}: tls`, tls, {}, tlsOptionRules);
  const { transport } = runtime;
  if (transport.secured === undefined) throw new TypeError(messages.tlsNotHere(owner));
  return { ...runtime, transport: transport.secured(options) };
}
