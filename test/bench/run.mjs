// `npm run bench`: installs the peers on first use, builds lib/ as it is now, compiles the benchmark, and runs it. The
// measured processes run compiled JavaScript with no loader in between. `--install` does all but run it; `--help` answers
// from the sources, at once.
import { fileURLToPath } from "node:url";
import { installPeers, step } from "./install.mjs";

const args = process.argv.slice(2);
const load = async (/** @type {string} */ file) => (await import(new URL(file, import.meta.url).href)).main;

/** Without lib/ the library is found by its name only where the tsconfig of the root says. */
async function help() {
  process.env.TSX_TSCONFIG_PATH = fileURLToPath(new URL("../../tsconfig.json", import.meta.url));
  (await import("tsx/esm/api")).register();
  const main = await load("src/main.ts");
  await main(args, performance.now());
}

/** Returns when the time limit of --quick begins: installing the peers happens once, and does not count. */
function prepare() {
  installPeers();
  const startedMs = performance.now();
  const compiler = "node_modules/typescript/bin/tsc";
  // In place and always: figures of an older lib/ would be taken for those of src/.
  step("building lib/", process.execPath, ["scripts/build-lib.mjs"]);
  step("compiling the benchmark", process.execPath, [compiler, "-p", "test/bench/tsconfig.json"]);
  return startedMs;
}

async function run() {
  let startedMs = 0;
  try {
    startedMs = prepare();
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : error}`);
    process.exit(1);
  }
  const main = await load("dist/main.js");
  if (!args.includes("--install")) await main(args, startedMs);
}

await (args.includes("--help") || args.includes("-h") ? help() : run());
