// Says why node_modules is not what package-lock.json asks for (exit 1), or nothing (exit 0). It reads two files, where
// `npm ci` would download for a minute.
import { existsSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";

const { positionals } = parseArgs({ allowPositionals: true });
const folder = positionals[0] ?? ".";

/** @param {string} file */
function packagesOf(file) {
  /** @type {{ packages?: Record<string, { version?: string, link?: boolean, optional?: boolean }> }} */
  const lock = JSON.parse(readFileSync(file, "utf8"));
  return lock.packages ?? {};
}

function staleReason() {
  const installedFile = `${folder}/node_modules/.package-lock.json`;
  if (!existsSync(installedFile)) return "nothing is installed yet";
  const installed = packagesOf(installedFile);
  for (const [path, wanted] of Object.entries(packagesOf(`${folder}/package-lock.json`))) {
    if (!path.includes("node_modules/")) continue;
    const found = installed[path];
    // Packages for other systems are optional, and absent here.
    if (found === undefined && wanted.optional) continue;
    if (found === undefined || !existsSync(`${folder}/${path}`)) return `${path} is missing`;
    if (found.version !== wanted.version) return `${path} is ${found.version}, not ${wanted.version}`;
  }
  return undefined;
}

const reason = staleReason();
if (reason !== undefined) {
  console.log(reason);
  process.exitCode = 1;
}
