import { SeededRandom } from "../../src/testing/index.js";

/**
 * `kill` and `drain` are a provider's SIGKILL and SIGTERM, `killCaller` and `stopCaller` a caller's; `registry` ends
 * the registry's server. Whatever was ended starts again.
 */
export const faultKinds = ["kill", "drain", "killCaller", "stopCaller", "registry"] as const;
export type FaultKind = (typeof faultKinds)[number];

export interface Fault {
  /** Since the load began. */
  atMs: number;
  kind: FaultKind;
  /** Which of the processes that may be ended. */
  place: number;
  /** From its end to its start. */
  downMs: number;
  /** A provider comes back on another port. */
  moves: boolean;
}

/** The faults of one shuffled round; a long run plays many. */
const round: readonly FaultKind[] = [
  "kill",
  "kill",
  "drain",
  "drain",
  "killCaller",
  "stopCaller",
  "registry",
];

export interface PlanOptions {
  seed: number;
  durationMs: number;
  /** From a fault to the next, on average. */
  everyMs: number;
  providers: number;
  callers: number;
  /** There is a server of the registry to restart. */
  registry: boolean;
}

function shuffled(random: SeededRandom, kinds: readonly FaultKind[]): FaultKind[] {
  const left = [...kinds];
  const order: FaultKind[] = [];
  while (left.length > 0) order.push(...left.splice(random.integer(0, left.length - 1), 1));
  return order;
}

/** All faults of a run: the seed decides what happens when, the machine how the calls fall between. */
export function planFaults({ seed, durationMs, everyMs, ...cluster }: PlanOptions): Fault[] {
  const random = SeededRandom.of(seed, "faults");
  const kinds = round.filter((kind) => kind !== "registry" || cluster.registry);
  const faults: Fault[] = [];
  let bag: FaultKind[] = [];
  // The last one has time to be repaired.
  for (let atMs = everyMs; atMs < durationMs - everyMs; atMs += everyMs * random.between(0.5, 1.5)) {
    if (bag.length === 0) bag = shuffled(random, kinds);
    const kind = bag.shift() ?? "kill";
    const ofCaller = kind === "killCaller" || kind === "stopCaller";
    faults.push({
      atMs: Math.round(atMs),
      kind,
      place: random.integer(0, (ofCaller ? cluster.callers : cluster.providers) - 1),
      // A session of the registry lasts 10 s: some outages are longer than that.
      downMs: kind === "registry" ? random.integer(0, 14_000) : random.integer(0, 2000),
      moves: random.chance(0.5),
    });
  }
  return faults;
}
