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

/** Whether classic providers may be called: a dialect says yes, and in which they are where their entry does not tell. */
export type ClassicUse = boolean | ClassicDialect;

/**
 * Whether classic providers may be called, and how: all, or by service. A name is full or short; `"*"` is every service not
 * named. What it does not name is left to the next weaker choice.
 */
export type ClassicChoice = ClassicUse | Readonly<Record<string, ClassicUse>>;

/** Whether a channel may reach a provider of its own process or machine in another way than by the network. */
export const localChoices = ["auto", "off"] as const;
export type LocalChoice = (typeof localChoices)[number];

/** What a configuration says to channels and providers. */
export interface RuntimeSettings {
  /** Deadline of a call that brings none, ms; `Infinity`: none. Default 5000. */
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
     * Call classic providers while none of ours can be. Default undefined: yes, unless providers prove who they are in the
     * registry (`Registry.authenticated`), since anybody may then still write a classic entry.
     */
    classic: ClassicChoice | undefined;
    /**
     * `auto`: a provider of this process is called without bytes or sockets, and one of this machine and user by its unix
     * socket where it offers one; `off`: only as its address says. Default `auto`.
     */
    local: LocalChoice;
    /** Silence on a connection to a gRPC server before a ping is sent, ms, at least 5 min. Default `Infinity`: none is. */
    grpcPingIntervalMs: number;
  };
  provider: {
    /** Port 0 takes a free one; also `unix:/path` or `inproc:`. Default 127.0.0.1:0. */
    listen: Address;
    /** Path of a unix socket to listen on as well, which callers of this machine and user prefer. Default none. */
    unix: string | undefined;
    /** What callers are told instead of the bound address. */
    advertise: Address | undefined;
    /** Default 10,000. */
    connectionsMax: number;
    /** Default 65,536. */
    inFlightMax: number;
    /** Default: a quarter of `inFlightMax`, at least 1,024; so one caller cannot take every place. */
    inFlightPerConnectionMax: number | undefined;
    /**
     * Connections of one address, and of one identity of the transport. Default `Infinity`: its share of `connectionsMax`, which
     * counts once three quarters of those are open.
     */
    connectionsPerCallerMax: number;
    /**
     * Calls in flight of one identity, or of one address whose callers have none. Default `Infinity`: its share of `inFlightMax`,
     * which counts once three quarters of those are taken.
     */
    inFlightPerCallerMax: number;
    /** Calls a second of one identity or address; a second's worth may come at once. Default `Infinity`. */
    callsPerSecondMax: number;
    /** Bytes that may wait on all connections of one identity or address before its calls are refused. Default `Infinity`. */
    unreadPerCallerMaxBytes: number;
    /** How long calls in flight may go on when the provider stops. Default 10,000. */
    drainTimeoutMs: number;
    /** Messages of streams that may lie on all connections and wait for handlers, bytes. Default 512 MiB. */
    streamBufferBytes: number;
    /** Serve callers of the classic framework on the same port. Default true. */
    classic: boolean;
    /** What callers may speak on the port. `classic` only where that is served at all. Default all three. */
    protocols: ReadonlyArray<"mprpc" | "classic" | "grpc">;
    /** A connection is replaced after this, spread by 10 %, so that load follows new instances. Default 30 min. */
    connectionMaxAgeMs: number;
  };
  broker: {
    /** What `Broker` publishes to and subscribes at. Default `memory:`. */
    url: string;
    /** For a broker that asks for one. */
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

/** No connection may be left without a place because there are few in all. */
const connectionShareMin = 1024;

/** Calls that may be in flight on one connection of a provider. */
export function inFlightPerConnectionMax({ provider }: Readonly<RuntimeSettings>): number {
  return (
    provider.inFlightPerConnectionMax ?? Math.max(Math.ceil(provider.inFlightMax / 4), connectionShareMin)
  );
}

/** What a signal asks of a server. */
export interface EndHooks {
  /** The first signal: finish what was begun. */
  drain(signal: NodeJS.Signals): void;
  /** One more: there is no time for that. */
  hurry(signal: NodeJS.Signals): void;
}

/** The signals that end the process, for one that may listen for them. */
export interface ProcessSignals {
  /** Listens until what it returns is called. */
  listen(hooks: EndHooks): () => void;
  /** Ends the process as shells say that `signal` does. */
  exit(signal: NodeJS.Signals): void;
}

/** What channels and providers stand on. */
export interface Runtime {
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly registry: Registry;
  readonly transport: Transport;
  /** The providers of this process. Undefined: they are reached by the transport only, as in a simulation. */
  readonly local: LocalProviders | undefined;
  readonly events: CallEmitter;
  /** Deadlines of every call of the process share it. */
  readonly wheel: DeadlineWheel;
  readonly settings: Readonly<RuntimeSettings>;
  /** Undefined: the process is not ours to end, as in a simulation. */
  readonly signals: ProcessSignals | undefined;
  /** Aborted as soon as `close` is called: channels then refuse calls, which no registry would answer. */
  readonly closed: AbortSignal;
  /** Ends it: the registry session last. Idempotent. */
  close(): Promise<void>;
}
