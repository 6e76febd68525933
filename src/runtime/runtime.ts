import { type AuthSettings, defaultAuthSettings } from "../auth/settings.js";
import type { Address } from "../base/address.js";
import type { Clock } from "../base/clock.js";
import type { DeadlineWheel } from "../base/deadlines.js";
import type { CallEmitter } from "../call/events.js";
import type { Logger } from "../log/logger.js";
import type { ClassicDialect } from "../protocol/classic/classic-wire.js";
import type { LocalProviders } from "../protocol/inproc/local-providers.js";
import { defaultKeepalive, type KeepaliveOptions } from "../protocol/mprpc/keepalive.js";
import { defaultWireLimits, type WireLimits } from "../protocol/mprpc/wire/limits.js";
import type { Registry } from "../registry/registry.js";
import type { Transport } from "../transport/transport.js";

export const balancerNames = ["roundrobin", "random", "p2c"] as const;
export type BalancerName = (typeof balancerNames)[number];

/** Whether classic providers may be called. A dialect means yes, and is used where an entry names none. */
export type ClassicUse = boolean | ClassicDialect;

/**
 * Whether classic providers may be called, and how: all, or by service. A name is full or short; `"*"` is every service not
 * named. Services it does not name are decided by the choice of the next level.
 */
export type ClassicChoice = ClassicUse | Readonly<Record<string, ClassicUse>>;

/** Whether a channel may reach a provider of its own process or machine without the network. */
export const localChoices = ["auto", "off"] as const;
export type LocalChoice = (typeof localChoices)[number];

/** The configuration of channels and providers. */
export interface RuntimeSettings {
  /** Deadline of a call without its own, ms; `Infinity`: none. Default 5000. */
  callTimeoutMs: number;
  limits: WireLimits;
  auth: AuthSettings;
  keepalive: KeepaliveOptions;
  /** Bytes that may wait on one connection before calls fail RESOURCE_EXHAUSTED. Default 64 MiB. */
  unwrittenMaxBytes: number;
  channel: {
    balancer: BalancerName;
    /** Connections to each instance. Default 1. */
    connections: number;
    /** Default 2000. */
    connectTimeoutMs: number;
    /** Calls that may wait for an instance; more fail RESOURCE_EXHAUSTED. Default 10,000. */
    pendingMax: number;
    /**
     * Call classic providers while no mprpc provider can be. Default undefined: yes, unless the registry has credentials
     * (`Registry.authenticated`), since classic entries can be written without them.
     */
    classic: ClassicChoice | undefined;
    /**
     * `auto`: a provider of this process is called without bytes or sockets, and one of this machine and user by its unix
     * socket if it offers one; `off`: only at its address. Default `auto`.
     */
    local: LocalChoice;
    /** Silence on a connection to a gRPC server before a ping is sent, ms, at least 5 min. Default `Infinity`: never. */
    grpcPingIntervalMs: number;
  };
  provider: {
    /** Port 0 takes a free one; also `unix:/path` or `inproc:`. Default 127.0.0.1:0. */
    listen: Address;
    /** Path of a unix socket to listen on as well, which callers of this machine and user prefer. Default none. */
    unix: string | undefined;
    /** Published instead of the bound address. */
    advertise: Address | undefined;
    /** Default 10,000. */
    connectionsMax: number;
    /** Default 65,536. */
    inFlightMax: number;
    /** Default: a quarter of `inFlightMax`, at least 1,024; so that one caller cannot use up the limit. */
    inFlightPerConnectionMax: number | undefined;
    /**
     * Connections of one transport identity, or of one address if it proves none. Default `Infinity`: its share of `connectionsMax`,
     * which applies once three quarters of those are open, and those three quarters if there is no other.
     */
    connectionsPerCallerMax: number;
    /**
     * Calls in flight of one identity, or of one address if its callers have no identity. Default `Infinity`: its share of
     * `inFlightMax`, which applies once three quarters of those are taken.
     */
    inFlightPerCallerMax: number;
    /** Calls a second of one identity or address; a burst of one second's worth is allowed. Default `Infinity`. */
    callsPerSecondMax: number;
    /** Bytes that may wait on all connections of one identity or address before its calls are refused. Default `Infinity`. */
    unreadPerCallerMaxBytes: number;
    /** How long calls in flight may go on when the provider stops. Default 10,000. */
    drainTimeoutMs: number;
    /** Messages of streams that may wait for handlers on all connections, bytes. Default 512 MiB. */
    streamBufferBytes: number;
    /** Serve callers of the classic framework on the same port. Default true. */
    classic: boolean;
    /** What callers may speak on the port. `classic` needs `classic: true` as well. Default all three. */
    protocols: ReadonlyArray<"mprpc" | "classic" | "grpc">;
    /** A connection is replaced after this time, ± 10 %, so that load moves to new instances. Default 30 min. */
    connectionMaxAgeMs: number;
  };
  broker: {
    /** What `Broker` publishes to and subscribes at. Default `memory:`. */
    url: string;
    /** For a broker that requires one. */
    password: string | undefined;
  };
}

export const defaultSettings: Readonly<RuntimeSettings> = {
  callTimeoutMs: 5000,
  limits: defaultWireLimits,
  auth: defaultAuthSettings,
  keepalive: defaultKeepalive,
  unwrittenMaxBytes: 64 * 1024 * 1024,
  channel: {
    balancer: "roundrobin",
    connections: 1,
    connectTimeoutMs: 2000,
    pendingMax: 10_000,
    classic: undefined,
    local: "auto",
    grpcPingIntervalMs: Number.POSITIVE_INFINITY,
  },
  provider: {
    listen: { host: "127.0.0.1", port: 0 },
    unix: undefined,
    advertise: undefined,
    connectionsMax: 10_000,
    inFlightMax: 65_536,
    inFlightPerConnectionMax: undefined,
    connectionsPerCallerMax: Infinity,
    inFlightPerCallerMax: Infinity,
    callsPerSecondMax: Infinity,
    unreadPerCallerMaxBytes: Infinity,
    drainTimeoutMs: 10_000,
    streamBufferBytes: 512 * 1024 * 1024,
    classic: true,
    protocols: ["mprpc", "classic", "grpc"],
    connectionMaxAgeMs: 30 * 60_000,
  },
  broker: { url: "memory:", password: undefined },
};

/** The least limit of a connection, even if the limit of the provider is small. */
const connectionShareMin = 1024;

/** Calls that may be in flight on one connection of a provider. */
export function inFlightPerConnectionMax({ provider }: Readonly<RuntimeSettings>): number {
  return (
    provider.inFlightPerConnectionMax ?? Math.max(Math.ceil(provider.inFlightMax / 4), connectionShareMin)
  );
}

/** How a server reacts to signals. */
export interface EndHooks {
  /** The first signal: drain. */
  drain(signal: NodeJS.Signals): void;
  /** A further signal: stop at once. */
  hurry(signal: NodeJS.Signals): void;
}

/** The signals that end the process, for a runtime that may listen for them. */
export interface ProcessSignals {
  /** Listens until the returned function is called. */
  listen(hooks: EndHooks): () => void;
  /** Ends the process as shells say that `signal` does. */
  exit(signal: NodeJS.Signals): void;
}

/** What channels and providers share. */
export interface Runtime {
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly registry: Registry;
  readonly transport: Transport;
  /** The providers of this process. Undefined: they are reached by the transport only, as in a simulation. */
  readonly local: LocalProviders | undefined;
  readonly events: CallEmitter;
  /** Shared by the deadlines of all calls of the process. */
  readonly wheel: DeadlineWheel;
  readonly settings: Readonly<RuntimeSettings>;
  /** Undefined: the process must not be ended, as in a simulation. */
  readonly signals: ProcessSignals | undefined;
  /** Aborted as soon as `close` is called: channels then refuse calls, which no registry would answer. */
  readonly closed: AbortSignal;
  /** Ends it: the registry session last. Idempotent. */
  close(): Promise<void>;
}
