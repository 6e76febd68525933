import type { BalancerName } from "../../src/index.js";
import { type NetworkOptions, SeededRandom, type SettingsInit } from "../../src/testing/index.js";

/** What can go wrong in a run. Each seed takes some of them, so that one kind does not hide another. */
const faultKinds = [
  "cut",
  "cutAt",
  "drop",
  "partition",
  "oneWay",
  "crash",
  "drain",
  "pause",
  "refuse",
  "slow",
  "registry",
  "callerCrash",
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** How a run goes, drawn from its seed. */
export interface Plan {
  /** `rolling`: nothing but restarts that drain, one provider after the other, and no call may fail. */
  readonly mode: "faults" | "rolling";
  readonly faults: readonly FaultKind[];
  readonly faultsEndMs: number;
  readonly network: NetworkOptions;
  readonly settings: SettingsInit;
  readonly balancer: BalancerName;
  readonly fixedPorts: boolean;
  readonly intercepted: boolean;
  /** Providers take fewer connections than there are callers: some callers wait for as long as they may. */
  readonly starves: boolean;
  readonly callsPerCaller: number;
  readonly callGapMs: number;
}

export function planOf(seed: number): Plan {
  const random = SeededRandom.of(seed, "plan");
  const mode = random.chance(0.25) ? "rolling" : "faults";
  const some = random.between(0.15, 0.7);
  const faults = faultKinds.filter(() => random.chance(some));
  const harsh = mode === "faults";
  const latencyMs = random.pick([0.1, 1, 10]);
  const settings = settingsOf(random, harsh);
  // A ping waits behind the bytes that are being sent: through a narrow window a short keepalive takes those for silence.
  const narrow = settings.keepalive === undefined && random.chance(0.5);
  return {
    mode,
    faults: faults.length > 0 ? faults : ["cut", "crash"],
    faultsEndMs: random.between(1000, 3500),
    network: {
      latencyMs: [0.05, latencyMs],
      jitterMs: random.pick([0, 0.5, 5]),
      split: random.pick([0, 0.1, 0.6]),
      coalesce: random.pick([0.2, 0.9]),
      windowBytes: narrow ? [2048, 8192] : [32_768, 262_144],
      ...(harsh && random.chance(0.3) ? { cut: 0.3 } : {}),
      ...(harsh && random.chance(0.2) ? { drop: 0.15 } : {}),
      ...(harsh && random.chance(0.2) ? { refuse: 0.3 } : {}),
    },
    settings,
    balancer: random.pick(["roundrobin", "random", "p2c"] as const),
    fixedPorts: random.chance(0.5),
    intercepted: random.chance(0.4),
    starves: settings.provider?.connectionsMax !== undefined,
    callsPerCaller: random.integer(4, 14),
    callGapMs: random.pick([5, 60, 300]),
  };
}

function settingsOf(random: SeededRandom, harsh: boolean): SettingsInit {
  const quick = random.chance(0.5);
  return {
    ...(quick ? { keepalive: { intervalMs: 600, timeoutMs: 300 } } : {}),
    ...(harsh && random.chance(0.15) ? { unwrittenMaxBytes: 100_000 } : {}),
    channel: {
      connections: random.integer(1, 3),
      connectTimeoutMs: random.pick([300, 2000]),
      ...(harsh && random.chance(0.15) ? { pendingMax: 3 } : {}),
    },
    provider: {
      drainTimeoutMs: harsh ? random.pick([100, 3000]) : 10_000,
      ...(random.chance(0.3) ? { connectionMaxAgeMs: random.between(300, 2000) } : {}),
      ...(harsh && random.chance(0.15) ? { inFlightPerConnectionMax: 2 } : {}),
      ...(harsh && random.chance(0.1) ? { connectionsMax: 3 } : {}),
    },
  };
}
