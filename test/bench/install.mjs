// Installs the peers into test/bench/node_modules, unless they are there as package-lock.json asks for them.
import { spawnSync } from "node:child_process";
import { existsSync, symlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";

const bench = fileURLToPath(new URL(".", import.meta.url));
export const root = fileURLToPath(new URL("../..", import.meta.url));

/**
 * What the command writes goes to stderr, so that stdout holds the result alone.
 * @param {string} text @param {string} command @param {string[]} args
 */
export function step(text, command, args) {
  console.error(`bench: ${text}`);
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2] });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed`);
}

export function installPeers() {
  const stale = spawnSync(process.execPath, ["scripts/stale.mjs", bench], { cwd: root, encoding: "utf8" });
  if (stale.status !== 0) {
    const reason = stale.stdout.trim();
    const install = [
      "ci",
      "--prefix",
      bench,
      "--no-workspaces",
      "--ignore-scripts",
      "--no-audit",
      "--no-fund",
    ];
    step(`installing the peers into test/bench/node_modules (${reason})`, "npm", install);
  }
  // The benchmark imports the library by its name, as users do.
  if (!existsSync(`${bench}/node_modules/mprpc`)) symlinkSync("../../..", `${bench}/node_modules/mprpc`);
}
