// `npm run bench`: installs the peers on first use, builds lib/ as it is now, compiles the benchmark, and runs it. The
// measured processes run compiled JavaScript with no loader in between.
import { installPeers, step } from "./install.mjs";

let startedMs = 0;
try {
  installPeers();
  // The time limit of --quick counts from here: installing the peers happens once.
  startedMs = performance.now();
  const compiler = "node_modules/typescript/bin/tsc";
  // In place and always: figures of an older lib/ would be taken for those of src/.
  step("building lib/", process.execPath, ["scripts/build-lib.mjs"]);
  step("compiling the benchmark", process.execPath, [compiler, "-p", "test/bench/tsconfig.json"]);
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : error}`);
  process.exit(1);
}

const { main } = await import(new URL("dist/main.js", import.meta.url).href);
await main(process.argv.slice(2), startedMs);
