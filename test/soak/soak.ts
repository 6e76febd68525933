import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Cluster, mortalCallers, mortalProviders } from "./cluster.js";
import {
  type Disturbance,
  judgedAfterMs,
  near,
  objection,
  type Stall,
  servedWithinMs,
  stallOf,
} from "./judge.js";
import { LedgerBook, type LedgerTotals } from "./ledger.js";
import type { Member } from "./member.js";
import { planFaults } from "./plan.js";
import { buildPrograms } from "./programs.js";
import type { Sample } from "./protocol.js";
import { type Verdict, verdictsOf } from "./verdict.js";

export interface SoakOptions {
  minutes: number;
  seed: number;
  /** Calls a second, of all callers together. */
  rate: number;
  registry: "file" | "zookeeper";
  /** From a fault to the next, on average. */
  faultEveryMs: number;
  gcEveryMs: number;
  /** How old a connection of the provider that is never restarted gets. */
  connectionMaxAgeMs: number;
}

export const soakDefaults: SoakOptions = {
  minutes: 5,
  seed: 1,
  rate: 1200,
  registry: "zookeeper",
  faultEveryMs: 10_000,
  gcEveryMs: 30_000,
  connectionMaxAgeMs: 45_000,
};

export interface Life {
  name: string;
  role: "provider" | "caller";
  life: number;
  /** Seconds since the load began. */
  fromSeconds: number;
  toSeconds: number;
}

export interface SoakResult {
  options: SoakOptions;
  /** When the load began, Unix time. */
  startedMs: number;
  seconds: number;
  /** Names of the processes that live through the run. */
  steady: readonly string[];
  lives: readonly Life[];
  disturbances: readonly Disturbance[];
  /** Faults of the plan whose target was still away. */
  leftOut: number;
  /** By name, over all lives. */
  samples: ReadonlyMap<string, readonly Sample[]>;
  /** Ends of calls by `kind|code|executed`, over all processes. */
  classes: Readonly<Record<string, number>>;
  ledger: LedgerTotals;
  longestUnservedMs: number;
  verdicts: readonly Verdict[];
  /** What must never happen, and did. None: the soak is passed. */
  faults: readonly string[];
}

/** More of them tell nothing new. */
const keptFaults = 1000;

/** Everything that is seen while the cluster runs. */
class Watcher {
  readonly samples = new Map<string, Sample[]>();
  readonly classes: Record<string, number> = {};
  readonly faults: string[] = [];
  longestUnservedMs = 0;
  disturbances: readonly Disturbance[] = [];
  readonly stalls: Stall[] = [];
  readonly #toJudge: { member: Member; sample: Sample }[] = [];
  readonly #log: (text: string) => void;

  constructor(log: (text: string) => void) {
    this.#log = log;
  }

  onSample(member: Member, sample: Sample): void {
    const { name } = member.spec;
    const samples = this.samples.get(name) ?? [];
    this.samples.set(name, samples);
    samples.push(sample);
    for (const [kind, count] of Object.entries(sample.ended))
      this.classes[kind] = (this.classes[kind] ?? 0) + count;
    const stall = stallOf(sample);
    if (stall !== undefined) this.stalls.push(stall);
    this.#toJudge.push({ member, sample });
    this.longestUnservedMs = Math.max(this.longestUnservedMs, sample.unservedMs);
    if (sample.unservedMs > servedWithinMs)
      this.onFault(`${member.name} was not served for ${Math.round(sample.unservedMs)} ms`);
  }

  /** Looks at what ended in samples that are old enough, or in all. */
  judge(untilMs = Date.now() - judgedAfterMs): void {
    const first = this.#toJudge[0]?.sample.atMs ?? untilMs;
    const recent = this.stalls.filter(({ toMs }) => toMs > first - 60_000);
    while ((this.#toJudge[0]?.sample.atMs ?? Number.POSITIVE_INFINITY) <= untilMs) {
      const { member, sample } = this.#toJudge.shift() ?? {};
      if (member === undefined || sample === undefined) return;
      const nearby = near(sample, this.disturbances, recent);
      for (const [kind, count] of Object.entries(sample.ended)) {
        const why = objection(kind, count, nearby);
        const text = sample.texts[kind];
        if (why !== undefined) this.onFault(`${member.name}: ${why}${text === undefined ? "" : `: ${text}`}`);
      }
      // They were for the judge.
      sample.texts = {};
    }
  }

  onFault(text: string): void {
    this.#log(`FAULT ${text}`);
    if (this.faults.length < keptFaults) this.faults.push(text);
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Runs the soak; resolves with all that was seen, whether it is passed or not. */
export async function soak(options: SoakOptions, log: (text: string) => void): Promise<SoakResult> {
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-soak-"));
  const watcher = new Watcher(log);
  const book = new LedgerBook(path.join(folder, "ledger"), (text) => watcher.onFault(text));
  const cluster = new Cluster(
    { ...options, folder },
    {
      onSample: (member, sample) => watcher.onSample(member, sample),
      onFault: (text) => watcher.onFault(text),
    },
  );
  watcher.disturbances = cluster.disturbances;
  const durationMs = options.minutes * 60_000;
  const plan = planFaults({
    ...{ seed: options.seed, durationMs, everyMs: options.faultEveryMs },
    ...{ providers: mortalProviders, callers: mortalCallers, registry: options.registry === "zookeeper" },
  });
  let watching: NodeJS.Timeout | undefined;
  // Its processes end when it does.
  const clean = (): void => rmSync(folder, { recursive: true, force: true });
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) process.once(signal, clean);
  try {
    await buildPrograms();
    await cluster.start();
    const startedMs = Date.now();
    log(`${cluster.members.length} processes run, ${plan.length} faults are planned`);
    watching = setInterval(() => {
      book.read();
      cluster.checkServing();
      watcher.judge();
    }, 1000);
    let leftOut = 0;
    for (const fault of plan) {
      await pause(startedMs + fault.atMs - Date.now());
      const inflicted = cluster.inflict(fault);
      if (!inflicted) leftOut++;
      log(
        `${(fault.atMs / 1000).toFixed(1)} s: ${fault.kind} ${fault.place}${inflicted ? "" : ", left out: still away"}`,
      );
    }
    await pause(startedMs + durationMs - Date.now());
    const seconds = (Date.now() - startedMs) / 1000;
    await cluster.stop();
    clearInterval(watching);
    book.read();
    watcher.judge(Number.MAX_SAFE_INTEGER);
    const { samples, classes, longestUnservedMs } = watcher;
    const verdicts = verdictsOf({ samples, steady: cluster.steady, startedMs, seconds });
    for (const { name, what, flatness, text } of verdicts) {
      if (flatness === "grows") watcher.onFault(`${name}: ${what} grows: ${text}`);
    }
    const inSeconds = (ms: number) => Math.max(0, (ms - startedMs) / 1000);
    return {
      ...{
        options,
        startedMs,
        seconds,
        steady: cluster.steady,
        leftOut,
        samples,
        classes,
        longestUnservedMs,
      },
      lives: cluster.members.map(({ role, spec, startedMs: from, endedMs }) => ({
        ...{ name: spec.name, role, life: spec.life },
        ...{ fromSeconds: inSeconds(from), toSeconds: inSeconds(endedMs ?? Date.now()) },
      })),
      ...{ disturbances: cluster.disturbances, ledger: book.totals, verdicts, faults: watcher.faults },
    };
  } finally {
    clearInterval(watching);
    await cluster.end();
    book.close();
    for (const signal of signals) process.off(signal, clean);
    clean();
  }
}
