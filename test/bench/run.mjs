// `npm run bench`: installs the peers on first use, builds lib/ as it is now, compiles the benchmark, and runs it. The
// measured processes run compiled JavaScript with no loader in between.
import { spawnSync } from "node:child_process";
import { existsSync, symlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";

const bench = fileURLToPath(new URL(".", import.meta.url));
const root = fileURLToPath(new URL("../..", import.meta.url));

/** @param {string} text @param {string} command @param {string[]} args */
function step(text, command, args) {
  console.error(`bench: ${text}`);
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2] });
  if (error) throw error;
  if (status !== 0) process.exit(1);
}

const stale = spawnSync(process.execPath, ["scripts/stale.mjs", bench], { cwd: root, encoding: "utf8" });
if (stale.status !== 0) {
  const reason = stale.stdout.trim();
  const install = ["ci", "--prefix", bench, "--no-workspaces", "--ignore-scripts", "--no-audit", "--no-fund"];
  step(`installing the peers into test/bench/node_modules (${reason})`, "npm", install);
}
// The time limit of --quick counts from here: installing the peers happens once.
const startedMs = performance.now();
// The benchmark imports the library by its name, as users do.
if (!existsSync(`${bench}/node_modules/mprpc`)) symlinkSync("../../..", `${bench}/node_modules/mprpc`);
const compiler = "node_modules/typescript/bin/tsc";
// In place and always: figures of an older lib/ would be taken for those of src/.
step("building lib/", process.execPath, ["scripts/build-lib.mjs"]);
step("compiling the benchmark", process.execPath, [compiler, "-p", "test/bench/tsconfig.json"]);

const { main } = await import(new URL("dist/main.js", import.meta.url).href);
await main(process.argv.slice(2), startedMs);
