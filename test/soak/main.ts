// `npm run soak`: a cluster of processes under load and under faults, for as long as one likes.
import { readFileSync } from "node:fs";
import path from "node:path";
import { type Facts, takeFacts } from "../bench/src/report/facts.js";
import { plainReport, writeReport } from "../bench/src/report/write.js";
import { oneOf, positiveNumber, readOptions, wholeNumber } from "../tools/program.js";
import type { Sample } from "./protocol.js";
import { soakReport } from "./report.js";
import { type SoakResult, soak, soakDefaults } from "./soak.js";

const usage = `Usage: npm run soak -- [options]

Processes under load that are killed, drained and started again.

  --minutes N       how long the load runs; fractions are fine (default ${soakDefaults.minutes})
  --seed N          decides the faults and the calls (default: one of chance, which is printed)
  --rate N          calls a second, of all callers together (default ${soakDefaults.rate})
  --registry NAME   zookeeper (a real server, restarted now and then; default) or file
  --every SECONDS   from a fault to the next, on average (default ${soakDefaults.faultEveryMs / 1000})
  --gc SECONDS      from a collection of garbage to the next (default ${soakDefaults.gcEveryMs / 1000})
  --age SECONDS     how old connections of the lasting provider get (default ${soakDefaults.connectionMaxAgeMs / 1000})
  --report FOLDER   soak.json, soak.md and soak.svg go there
  --from FILE       runs nothing: makes the report of a soak.json again
  -h, --help
`;

interface Written {
  facts: Facts;
  results: Omit<SoakResult, "samples"> & { samples: Record<string, Sample[]> };
}

/** The report of a run that is over, as the programs draw it now. */
function drawAgain(file: string, folder: string | undefined): number {
  const { facts, results } = JSON.parse(readFileSync(file, "utf8")) as Written;
  const report = soakReport({ ...results, samples: new Map(Object.entries(results.samples)) });
  console.log(plainReport(report));
  if (folder !== undefined) writeReport(folder, report, facts);
  return 0;
}

async function main(args: readonly string[]): Promise<number> {
  const values = readOptions(usage, {
    minutes: { type: "string", default: String(soakDefaults.minutes) },
    seed: { type: "string", default: String(Math.floor(Math.random() * 1e6) + 1) },
    rate: { type: "string", default: String(soakDefaults.rate) },
    registry: { type: "string", default: soakDefaults.registry },
    every: { type: "string", default: String(soakDefaults.faultEveryMs / 1000) },
    gc: { type: "string", default: String(soakDefaults.gcEveryMs / 1000) },
    age: { type: "string", default: String(soakDefaults.connectionMaxAgeMs / 1000) },
    report: { type: "string" },
    from: { type: "string" },
  });
  if (values.from !== undefined) return drawAgain(values.from, values.report);
  const options = {
    minutes: positiveNumber("minutes", values.minutes),
    seed: wholeNumber("seed", values.seed, 1),
    rate: positiveNumber("rate", values.rate),
    registry: oneOf("registry", values.registry, ["zookeeper", "file"]),
    faultEveryMs: positiveNumber("every", values.every) * 1000,
    gcEveryMs: positiveNumber("gc", values.gc) * 1000,
    connectionMaxAgeMs: positiveNumber("age", values.age) * 1000,
  } as const;
  console.error(`soak: seed ${options.seed}, ${options.minutes} minutes`);
  const facts = takeFacts(
    ["--seed", String(options.seed), ...args.filter((arg) => arg !== "--seed" && arg !== values.seed)],
    "npm run soak --",
  );
  const result = await soak(options, (text) => console.error(`soak: ${text}`));
  const report = soakReport(result);
  console.log(plainReport(report));
  if (values.report !== undefined) {
    const files = writeReport(values.report, report, facts());
    console.log(`written: ${files.map((file) => path.join(values.report ?? "", file)).join(", ")}`);
  }
  for (const fault of result.faults.slice(0, 50)) console.log(`FAULT ${fault}`);
  console.log(result.faults.length === 0 ? "passed" : `FAILED: ${result.faults.length} faults`);
  return result.faults.length === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
