import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { SeededRandom } from "../../src/testing/index.js";
import { accepted } from "../codegen/proto/accepted.js";
import { helpers } from "../codegen/proto/cases.js";
import { runProtoc } from "../codegen/proto/protoc.js";
import { refused } from "../codegen/proto/refused.js";
import { compiled } from "../tools/compiled.js";
import type { Verdict } from "./parser-process.js";
import { mutateProto } from "./proto-mutations.js";

/** A case takes milliseconds; one that takes this long hangs, or costs more than its size. */
const caseMaxMs = 10_000;

const oddities = fileURLToPath(new URL("../codegen/protos/oddities", import.meta.url));

export interface ParserFuzzOptions {
  readonly seed: number;
  readonly cases: number;
  readonly untilMs: number;
  /** Whether protoc reads every file too, and has to agree. */
  readonly protoc: boolean;
  /** One case alone. */
  readonly only?: number | undefined;
  readonly onDifference?: (text: string) => void;
}

export interface ParserFuzzReport {
  cases: number;
  accepted: number;
  refused: number;
  slowestMs: number;
  /** How often protoc took another decision, or gave another descriptor. */
  differences: number;
  /** How often protoc crashed, which says nothing of ours. */
  protocCrashes: number;
}

/** Gives mutated .proto files to the parser. Throws for a hang, or an error that is no `CodegenError`; names the case. */
export async function fuzzParser(options: ParserFuzzOptions): Promise<ParserFuzzReport> {
  const report = { cases: 0, accepted: 0, refused: 0, slowestMs: 0, differences: 0, protocCrashes: 0 };
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-parser-fuzz-"));
  const imports = path.join(folder, "imports");
  mkdirSync(imports);
  // What is accepted is the better start: most changes of it are refused, and for more reasons.
  const sources = [...refused.filter((text) => text.length < 5000)];
  for (let i = 0; i < 12; i++) sources.push(...accepted);
  for (const [name, text] of Object.entries(helpers)) writeFileSync(path.join(imports, name), text);
  for (const name of readdirSync(oddities)) {
    const text = readFileSync(path.join(oddities, name), "utf8");
    writeFileSync(path.join(imports, name), text);
    sources.push(text);
  }
  const child = fork(compiled(new URL("parser-process.ts", import.meta.url)), { execArgv: [] });
  const begun = performance.now();
  try {
    const first = options.only ?? 0;
    const last = options.only ?? options.cases - 1;
    for (let i = first; i <= last && performance.now() - begun < options.untilMs; i++) {
      const text = mutateProto(SeededRandom.of(options.seed, String(i)), sources);
      await oneCase(
        child,
        { folder, imports, text, name: `case ${i} of seed ${options.seed}` },
        options,
        report,
      );
    }
    return report;
  } finally {
    child.kill();
    rmSync(folder, { recursive: true });
  }
}

interface Case {
  readonly folder: string;
  readonly imports: string;
  readonly text: string;
  readonly name: string;
}

async function oneCase(
  child: ChildProcess,
  { folder, imports, text, name }: Case,
  options: ParserFuzzOptions,
  report: ParserFuzzReport,
): Promise<void> {
  const own = path.join(folder, "case");
  mkdirSync(own, { recursive: true });
  const file = path.join(own, "case.proto");
  writeFileSync(file, text);
  child.send({ file, importPath: imports });
  const signal = AbortSignal.timeout(caseMaxMs);
  const [verdict] = (await once(child, "message", { signal }).catch(() => {
    throw new Error(`${name} takes more than ${caseMaxMs} ms:\n${text}`);
  })) as [Verdict];
  report.cases++;
  report.slowestMs = Math.max(report.slowestMs, verdict.elapsedMs);
  if (verdict.outcome === "accepted") report.accepted++;
  else if (verdict.outcome === "refused") report.refused++;
  else throw new Error(`${name}: ${verdict.outcome}\n${text}`);
  if (!options.protoc) return;
  const { status, files, errors } = runProtoc(own, ["case.proto"], { importPaths: [imports] });
  if (status !== 0 && status !== 1) report.protocCrashes++;
  else {
    const theirs = status === 0 ? (files.get("case.proto")?.toString("hex") ?? "") : "refused";
    const ours = verdict.outcome === "accepted" ? verdict.descriptor : "refused";
    // A string of a descriptor is text here, and bytes that are no UTF-8 are U+FFFD in it.
    if (theirs === ours || ours.includes("efbfbd")) return;
    report.differences++;
    const said = `protoc: ${status === 0 ? "accepted" : errors}\nours: ${verdict.outcome} ${verdict.message}`;
    options.onDifference?.(`${name}\n${said}\n${text}`);
  }
}
