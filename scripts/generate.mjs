// Runs `mprpc generate` for every .proto of this repository whose code is committed. With --check: writes nothing, and
// fails when a committed file is not what the generator makes today. Needs lib/ (npm run build).
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Each row: the files given to the generator, and the committed folder it writes. */
const targets = [
  { protos: ["example/proto/user.proto", "example/proto/friend.proto"], out: "example/callee/src/gen" },
  { protos: ["example/proto/user.proto", "example/proto/friend.proto"], out: "example/caller/src/gen" },
  { protos: ["test/bench/bench.proto"], out: "test/bench/src/gen" },
  { protos: ["test/support/protos/probe.proto", "test/support/protos/twin.proto"], out: "test/support/gen" },
  { protos: ["test/cli/protos/kinds.proto"], out: "test/cli/gen" },
  { protos: ["test/protobuf/test.proto"], out: "test/protobuf/gen" },
];

/** @param {string[]} protos @param {string} out */
function generate(protos, out) {
  const args = [path.join(root, "bin/mprpc"), "generate", ...protos, "--out", out];
  const { status, error } = spawnSync(process.execPath, args, {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`mprpc generate ${protos.join(" ")} failed with exit code ${status}`);
}

/** The files below a folder with their text; empty when there is no such folder. @param {string} folder */
function filesOf(folder) {
  const names = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: "utf8" }) : [];
  const files = names.filter((name) => name.endsWith(".ts")).sort();
  return new Map(files.map((name) => [name, readFileSync(path.join(folder, name), "utf8")]));
}

/** @param {string[]} protos @param {string} out @returns {string[]} the stale files */
function staleFiles(protos, out) {
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-generate-"));
  try {
    generate(protos, folder);
    const fresh = filesOf(folder);
    const committed = filesOf(path.join(root, out));
    const names = [...new Set([...fresh.keys(), ...committed.keys()])];
    return names
      .filter((name) => fresh.get(name) !== committed.get(name))
      .map((name) => path.join(out, name));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const { values } = parseArgs({ options: { check: { type: "boolean", default: false } } });
try {
  const stale = targets.flatMap(({ protos, out }) => {
    if (values.check) return staleFiles(protos, out);
    generate(protos, out);
    return [];
  });
  if (stale.length > 0) throw new Error(`stale, run \`npm run generate\` and commit: ${stale.join(", ")}`);
} catch (error) {
  console.error(`generate: ${error.message}`);
  process.exitCode = 1;
}
