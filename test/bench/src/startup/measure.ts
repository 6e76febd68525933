import { Child } from "../child.js";
import { median } from "../report.js";
import { rotated } from "../rounds.js";
import type { StartAnswers, StartFacts, StartRequest, StartRole, StartTarget } from "./protocol.js";

/** Medians over fresh processes. */
export interface StartRow {
  target: StartTarget;
  runs: number;
  nodeMs: number;
  importMs: number;
  importRssMib: number;
  listeningMs: number;
  listeningAfterImportMs: number;
  firstCallMs: number;
  tenthCallMs: number;
}

type Fresh = Child<StartRequest, StartAnswers>;

function start(target: StartTarget, role: StartRole, endpoint = ""): Promise<Fresh> {
  const name = `${role} of ${target}`;
  return Child.start({ name, program: "startup/process", args: [target, role, endpoint] });
}

/** One provider, a caller of it, and a process that only imports, one after the other and each for itself. */
async function measureOnce(target: StartTarget): Promise<Record<StartRole, StartFacts>> {
  const alive: Fresh[] = [];
  const factsOf = async (role: StartRole, endpoint?: string) => {
    const fresh = await start(target, role, endpoint);
    alive.push(fresh);
    return { facts: await fresh.ask({ kind: "facts" }), endpoint: fresh.endpoint };
  };
  try {
    const imported = await factsOf("import");
    const provider = await factsOf("provider");
    const caller = await factsOf("caller", provider.endpoint);
    return { import: imported.facts, provider: provider.facts, caller: caller.facts };
  } finally {
    await Promise.all(alive.map((fresh) => fresh.killed()));
  }
}

function toRow(target: StartTarget, all: readonly Record<StartRole, StartFacts>[]): StartRow {
  const of = (role: StartRole, value: (facts: StartFacts) => number | undefined) =>
    median(all.map((facts) => value(facts[role]) ?? Number.NaN));
  return {
    target,
    runs: all.length,
    nodeMs: of("import", ({ nodeMs }) => nodeMs),
    importMs: of("import", ({ importMs }) => importMs),
    importRssMib: of("import", ({ importRssBytes }) => importRssBytes / 2 ** 20),
    listeningMs: of("provider", ({ listeningMs }) => listeningMs),
    listeningAfterImportMs: of("provider", ({ listeningAfterImportMs }) => listeningAfterImportMs),
    firstCallMs: of("caller", ({ callsMs }) => callsMs?.[0]),
    tenthCallMs: of("caller", ({ callsMs }) => callsMs?.[9]),
  };
}

/** The targets take turns, so that noise of the machine hits all alike. */
export async function measureStarts(targets: readonly StartTarget[], runs: number): Promise<StartRow[]> {
  const measured = new Map<StartTarget, Record<StartRole, StartFacts>[]>(targets.map((name) => [name, []]));
  for (let round = 0; round < runs; round += 1) {
    for (const target of rotated(targets, round)) measured.get(target)?.push(await measureOnce(target));
  }
  return [...measured].map(([target, all]) => toRow(target, all));
}
