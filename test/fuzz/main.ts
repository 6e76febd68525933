// Attacks a provider and callers with mutated frames, until so many were read or so much time has passed.
import { oneOf, positiveNumber, readOptions, wholeNumber, wrongUsage } from "../tools/program.js";
import { Fuzzer, type FuzzReport } from "./fuzzer.js";
import { type LaneName, laneNames } from "./lanes.js";
import { fuzzParser } from "./parser-fuzzer.js";

const usage = `Usage: npm run fuzz -- [options]

Attacks a provider and callers with mutated frames, until so many were read or so much time has passed.

  --frames N        how many; default 1000000
  --minutes N       how long at most; default 60
  --seed N          decides the mutations; default 1
  --case LANE:N     one case of the seed alone, as a failure names it; LANE is one of
                    ${laneNames.join(", ")}
  --parser          mutated .proto files for the parser in the place of frames; --case takes N
  --protoc          with --parser: protoc reads each file too, and has to agree
  -h, --help
`;

const values = readOptions(usage, {
  frames: { type: "string", default: "1000000" },
  seed: { type: "string", default: "1" },
  minutes: { type: "string", default: "60" },
  case: { type: "string" },
  parser: { type: "boolean", default: false },
  protoc: { type: "boolean", default: false },
});

function caseOf(text: string): { lane: LaneName; index: number } {
  const [name = "", number = ""] = text.split(":");
  if (!/^\d+$/.test(number)) wrongUsage(`--case takes LANE:N, not "${text}"`);
  return { lane: oneOf("case", name, laneNames), index: Number(number) };
}

const sum = (counts: Record<LaneName, number>): number =>
  laneNames.reduce((all, lane) => all + counts[lane], 0);
const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;

function progress(report: FuzzReport): string {
  const frames = sum(report.frames);
  const rate = Math.round((frames * 1000) / report.elapsedMs);
  return [
    `${(report.elapsedMs / 1000).toFixed(0)} s`,
    `${frames} mutated frames (${rate}/s)`,
    `${sum(report.cases)} connections`,
    `${report.honestCalls} honest calls`,
    `RSS ${mebibytes(report.providerRssBytes)} provider, ${mebibytes(report.clientRssBytes)} callers`,
  ].join(", ");
}

function table(title: string, counts: Iterable<[string, number]>): string {
  const rows = [...counts].sort(([, a], [, b]) => b - a).slice(0, 40);
  return [`\n${title}`, ...rows.map(([text, count]) => `${String(count).padStart(9)}  ${text}`)].join("\n");
}

async function parser(): Promise<never> {
  const options = {
    seed: wholeNumber("seed", values.seed),
    cases: wholeNumber("frames", values.frames),
    untilMs: positiveNumber("minutes", values.minutes) * 60_000,
    protoc: values.protoc,
    only: values.case === undefined ? undefined : wholeNumber("case", values.case),
    onDifference: (text: string) => console.error(`\n${text}`),
  };
  try {
    const report = await fuzzParser(options);
    console.log(`seed ${values.seed}: ${JSON.stringify(report)}`);
    process.exit(report.differences === 0 ? 0 : 1);
  } catch (error) {
    console.error(`\nFAILED\n${(error as Error).message}`);
    process.exit(1);
  }
}

if (values.parser) await parser();

const only = values.case === undefined ? undefined : caseOf(values.case);
let saidMs = 0;
await using fuzzer = await Fuzzer.start({
  frames: wholeNumber("frames", values.frames),
  seed: wholeNumber("seed", values.seed),
  untilMs: positiveNumber("minutes", values.minutes) * 60_000,
  ...(only === undefined ? {} : { only }),
  onProgress(report) {
    if (report.elapsedMs < saidMs) return;
    saidMs = report.elapsedMs + 5000;
    console.error(progress(report));
  },
});
try {
  const report = await fuzzer.run();
  for (const lane of laneNames)
    console.log(`${lane}: ${report.frames[lane]} frames, ${report.cases[lane]} cases`);
  console.log(table("What the provider said:", Object.entries(report.provider)));
  console.log(table("How calls to evil providers ended:", report.callers));
  console.log(`\nseed ${values.seed}: ${progress(report)}; no crash, no hang, nothing left behind`);
} catch (error) {
  console.error(`\nFAILED after ${progress(fuzzer.report)}\n${(error as Error).message}`);
  process.exitCode = 1;
}
