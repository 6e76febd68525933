import { randomBytes } from "node:crypto";
import type { BackoffOptions } from "../base/backoff.js";
import type { MetadataInit } from "../base/metadata.js";
import {
  callback,
  checkOptions,
  durationMs,
  type Filled,
  having,
  integer,
  number,
  type OptionRule,
  type OptionRules,
  text,
} from "../base/options.js";
import type { Peer } from "../call/peer.js";
import type { StartPosition } from "./driver.js";
import type { DeliveryInterceptor, PublishInterceptor } from "./interceptor.js";

export interface PublishOptions {
  /** What the message is about: handlers see it. Messages of one key have no order among themselves. Default none. */
  key?: string | undefined;
  /**
   * What the message is called. A second one with it within two minutes is not kept by `memory:` and `nats://`, so that a publish that failed
   * `maybe` can be made once more. Default: its position.
   */
  id?: string | undefined;
  /** Sent with the message. Keys that begin with `mprpc-` are refused. */
  metadata?: MetadataInit | undefined;
  /** How long the broker may take, ms. Default `calltimeout`. */
  timeoutMs?: number | undefined;
  /** Gives up waiting; the message may be published all the same. */
  signal?: AbortSignal | undefined;
  /** From so long after now on the message is handled no more, ms. Default `Infinity`. */
  ttlMs?: number | undefined;
  /** The caller for whom it is published, `context.peer` of a handler: the policy must allow it to that caller as well. Default none. */
  onBehalfOf?: Peer | undefined;
}

export interface SubscribeOptions {
  /**
   * Of the members of a group one gets each message; each group gets all. 1 to 64 characters of A-Z, a-z, 0-9, "_" and "-". Default: a group of
   * the subscription's own, so that every subscriber gets every message. It ends with the subscription, keeps no dead letters, and the broker
   * forgets it when the process is silent for 10 times `ackWaitMs`; one that is back after that goes on where it was, with what is still kept.
   */
  group?: string | undefined;
  /** Handlers that run at a time. Default 16. */
  concurrency?: number | undefined;
  /** Messages taken and not settled, running ones included: the bound of memory. Default 8 times `concurrency`, 10,000 at most. */
  maxInFlight?: number | undefined;
  /** How often a message is handed out before it is a dead letter. Crashes of its handler's process count. Default 5. */
  maxAttempts?: number | undefined;
  /**
   * A message whose process says nothing for so long is handed to another, ms. Running handlers are kept alive by the library, however long
   * they take. The same for all of a group. 1,000 or more, default 30,000.
   */
  ackWaitMs?: number | undefined;
  /** Between attempts; `maxMs` at most `ackWaitMs`. Default from 200 ms, doubled up to 30 s or `ackWaitMs`, spread by 20 %. */
  retry?: Partial<BackoffOptions> | undefined;
  /** A handler that takes longer has its signal aborted, ms. Default `Infinity`. */
  timeoutMs?: number | undefined;
  /** Where a group that is new begins. Default `"first"`: nothing that is kept is missed; without a group `"new"`. */
  from?: StartPosition | undefined;
  /** The caller for whom it is read, `context.peer` of a handler: the policy must allow it to that caller as well. Default none. */
  onBehalfOf?: Peer | undefined;
}

export interface CloseOptions {
  /** How long running handlers may go on, ms. Default `provider.draintimeout`. */
  drainTimeoutMs?: number | undefined;
}

export interface BrokerInterceptors {
  /** Around every publish, the first the outermost. */
  readonly publish?: readonly PublishInterceptor[] | undefined;
  /** Around every handler, the first the outermost. */
  readonly deliver?: readonly DeliveryInterceptor[] | undefined;
}

type CallerOption = Pick<SubscribeOptions, "onBehalfOf">;

/** Of these `onBehalfOf` alone has no default. */
type FilledSubscribe = Filled<Omit<SubscribeOptions, keyof CallerOption>> & CallerOption;

/** A subscription's options with every default filled in. */
export interface ResolvedSubscribe extends Omit<FilledSubscribe, "retry"> {
  readonly retry: BackoffOptions;
  /** Of a subscription without a group, ms: see `ConsumeOptions`. */
  readonly forgetAfterMs: number | undefined;
}

/** So many times `ackWaitMs` a subscriber without a group may be silent. */
const forgetAfterWaits = 10;

/** The group of a subscription that names none. No group that a program names has a "=". */
function ownGroup(): string {
  return `=${randomBytes(10).toString("hex")}`;
}

/** Whether a group is the own one of a subscription. */
export function isOwnGroup(group: string): boolean {
  return group.startsWith("=");
}

const groupRule: OptionRule = {
  expected: '1 to 64 characters of A-Z, a-z, 0-9, "_" and "-"',
  accepts: (value) => typeof value === "string" && /^[\w-]{1,64}$/.test(value),
};

const peerRule: OptionRule = {
  expected: "a caller, as context.peer of a handler",
  accepts: (value) => {
    const { identities } = (value ?? {}) as { readonly identities?: unknown };
    return typeof identities === "object" && identities !== null;
  },
};

const startRule: OptionRule = {
  expected: '"first", "new", a Date, or { after: position }',
  accepts: (value) =>
    value === "first" ||
    value === "new" ||
    (value instanceof Date && !Number.isNaN(value.getTime())) ||
    (typeof value === "object" && value !== null && typeof (value as { after?: unknown }).after === "string"),
};

const jitterRule: OptionRule = {
  expected: '"full", or a number from 0 to 1',
  accepts: (value) => value === "full" || (typeof value === "number" && value >= 0 && value <= 1),
};

const subscribeRules: OptionRules<FilledSubscribe> = {
  group: groupRule,
  concurrency: integer(1, 10_000),
  maxInFlight: integer(1, 10_000),
  maxAttempts: integer(1, 1_000_000),
  ackWaitMs: integer(1000, 24 * 3_600_000),
  retry: having(),
  timeoutMs: durationMs(1),
  from: startRule,
  onBehalfOf: peerRule,
};

const subscribeDefaults: FilledSubscribe = {
  group: "",
  concurrency: 16,
  maxInFlight: 0,
  maxAttempts: 5,
  ackWaitMs: 30_000,
  retry: {},
  timeoutMs: Infinity,
  from: "first",
};

/** Throws `TypeError` or `RangeError` that names the option. */
export function resolveSubscribe(owner: string, given: SubscribeOptions): ResolvedSubscribe {
  const isOwn = (given as SubscribeOptions | undefined)?.group === undefined;
  const defaults: FilledSubscribe = isOwn
    ? { ...subscribeDefaults, group: ownGroup(), from: "new" }
    : subscribeDefaults;
  const options = checkOptions(owner, given, defaults, subscribeRules);
  const { concurrency, ackWaitMs } = options;
  if (options.maxInFlight === 0) options.maxInFlight = Math.min(concurrency * 8, 10_000);
  if (options.maxInFlight < concurrency) {
    throw new RangeError(
      `${owner}: option "maxInFlight": expected at least concurrency (${concurrency}), got ${options.maxInFlight}`,
    );
  }
  const retry = checkOptions<BackoffOptions>(
    `${owner}: option "retry"`,
    options.retry,
    { initialMs: Math.min(200, ackWaitMs), maxMs: Math.min(30_000, ackWaitMs), factor: 2, jitter: 0.2 },
    {
      initialMs: number(0, ackWaitMs),
      maxMs: number(0, ackWaitMs),
      factor: number(1, 100),
      jitter: jitterRule,
    },
  );
  return { ...options, retry, forgetAfterMs: isOwn ? forgetAfterWaits * ackWaitMs : undefined };
}

const publishRules: OptionRules<PublishOptions> = {
  key: text,
  id: text,
  metadata: having(),
  timeoutMs: durationMs(1),
  signal: having("addEventListener"),
  ttlMs: durationMs(1),
  onBehalfOf: peerRule,
};

/** Throws `TypeError` or `RangeError` that names the option. */
export function checkPublish(owner: string, given: PublishOptions): PublishOptions {
  return checkOptions<PublishOptions>(owner, given, {}, publishRules);
}

/** Throws `TypeError` or `RangeError`. */
export function checkPosition(owner: string, position: StartPosition): void {
  checkOptions<{ to: StartPosition }>(owner, { to: position }, { to: "first" }, { to: startRule });
}

/** Throws `TypeError`. */
export function checkGroup(owner: string, group: string): void {
  checkOptions<{ group: string }>(owner, { group }, { group: "" }, { group: groupRule });
}

export function checkHandler(owner: string, handler: unknown): void {
  checkOptions<{ handler: unknown }>(owner, { handler }, { handler }, { handler: callback });
  if (handler === undefined)
    throw new TypeError(`${owner}: expected a handler (message, context) => ..., got undefined`);
}

/** The delay behind attempt `attempt`, ms, never beyond `maxMs`. */
export function retryDelayMs(options: BackoffOptions, attempt: number, random: () => number): number {
  const { initialMs, maxMs, factor, jitter } = options;
  const delayMs = Math.min(initialMs * factor ** Math.min(attempt - 1, 100), maxMs);
  if (jitter === "full") return delayMs * random();
  return Math.min(delayMs * (1 + jitter * (2 * random() - 1)), maxMs);
}
