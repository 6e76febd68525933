// `npm run conformance`: protobuf's own conformance suite, for calls in JSON and for generated code.
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ways } from "./prepare.js";
import { isClean, runConformance } from "./run.js";

const usage = `Usage: npm run conformance -- [options]

Runs protobuf's conformance suite, binary and JSON, with the recommended tests and edition 2023, and no list of failures
that are expected. The text format is not supported: its suite is skipped. Exit code 0: no test failed, none was skipped.

  --path dynamic|generated   one of the two: calls in JSON, or generated code (default: both)
  --verbose                  all that the runner says
  -h, --help                 this text
`;

const folder = fileURLToPath(new URL("../../.cache/conformance", import.meta.url));
const { values } = parseArgs({
  options: {
    path: { type: "string" },
    verbose: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});
const chosen = ways.filter((way) => values.path === undefined || way === values.path);
if (values.help || chosen.length === 0) {
  console.log(usage);
  process.exitCode = values.help ? 0 : 2;
} else {
  for (const way of chosen) {
    const outcome = await runConformance(way, path.join(folder, way));
    const clean = isClean(outcome);
    if (values.verbose || !clean) console.log(outcome.output);
    console.log(`${way}, binary and JSON: ${outcome.main.line}`);
    if (outcome.textFormat) console.log(`${way}, text format, out of scope: ${outcome.textFormat.line}`);
    if (!clean) process.exitCode = 1;
  }
}
