import type { GrowthSetting } from "./growth/setting.js";
import type { Meter } from "./meter.js";

/** Something that is measured: its provider runs in one process, its caller in another. */
export interface Target {
  startProvider(): Promise<Provider>;
  /** `endpoint`: what the provider gave. */
  startCaller(endpoint: string): Promise<Caller>;
}

export interface Provider {
  /** What the caller needs to find it: `127.0.0.1:port`, or whatever the target understands. */
  readonly endpoint: string;
  /** Calls answered so far; `payloadBytes` for a target that counts bytes. */
  served(payloadBytes: number): number;
  close(): Promise<void>;
}

export interface Caller {
  /** Keeps `inFlight` calls going while `meter.running`; resolves when the last reply is in. */
  drive(meter: Meter, load: Load): Promise<void>;
  /** Makes one call with a request and a reply of `payloadBytes`; for targets of the command `mixed`. */
  callOnce?(payloadBytes: number): Promise<unknown>;
  /** Opens `count` more connections, proves that each works, and leaves them idle. */
  openIdle(count: number): Promise<void>;
  close(): Promise<void>;
}

export interface Load {
  /** Size of the encoded request message. */
  payloadBytes: number;
  inFlight: number;
  /** Large calls made meanwhile, at an even pace. */
  besides?: { payloadBytes: number; callsPerSecond: number };
}

export const targetNames = [
  "mprpc",
  "mprpc-full",
  "mprpc-async",
  "raw",
  "grpc-js",
  "fastify",
  "nestjs",
  "moleculer",
  "thrift",
  "grpc-cpp",
] as const;

/** mprpc with listeners to its events and with logging: for the command `logger` alone. */
export const observedNames = ["mprpc-events", "mprpc-log-off", "mprpc-log"] as const;

/** mprpc over TLS, and what TLS takes without it: for the command `tls`. Callers with an identity, without and with a policy: for `policy`. */
export const securedNames = ["mprpc-tls", "raw-tls", "mprpc-secret", "mprpc-policy"] as const;

/** mprpc over gRPC: for the command `grpc` alone. */
export const grpcNames = ["mprpc-grpc", "mprpc-grpc-full", "mprpc-grpc-tls"] as const;

export type TargetName =
  | (typeof targetNames)[number]
  | (typeof observedNames)[number]
  | (typeof securedNames)[number]
  | (typeof grpcNames)[number];

/** A target by its name, or mprpc grown to a size. */
export type TargetSource = TargetName | GrowthSetting;

/** Loads only the code of one target: a measured process holds nothing of the others. */
export async function loadTarget(source: TargetSource): Promise<Target> {
  if (typeof source !== "string") return (await import("./growth/target.js")).growthTarget(source);
  const name = source;
  const module: { target: Target } = await import(new URL(`targets/${name}.js`, import.meta.url).href);
  return module.target;
}
