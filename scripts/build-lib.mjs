// Writes lib/: the types file by file as tsc makes them, the code in one file per entry point and a few that these share.
// Loading a hundred small modules would cost a program that imports mprpc more than running them.
//
//   node scripts/build-lib.mjs [FOLDER]     FOLDER instead of lib/
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const outdir = path.resolve(process.argv[2] ?? path.join(root, "lib"));
process.chdir(root);
rmSync(outdir, { recursive: true, force: true });
const types = ["--no-install", "tsc", "-p", "tsconfig.build.json", "--outDir", outdir];
const { status } = spawnSync("npx", types, { stdio: "inherit" });
if (status !== 0) process.exit(status ?? 1);
await build({
  entryPoints: {
    index: "src/index.ts",
    codec: "src/codec.ts",
    "testing/index": "src/testing/index.ts",
    "cli/main": "src/cli/main.ts",
    "writer-worker": "src/logger/writer-worker.ts",
  },
  outdir,
  chunkNames: "[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20.17",
  packages: "external",
  legalComments: "none",
  logLevel: "warning",
});

// esbuild calls a class that names itself inside `_RpcError`, and that is what stacks and logs would show. The variable
// outside is assigned once, so the class may have its name.
for (const file of readdirSync(outdir, { recursive: true }).filter((name) => name.endsWith(".js"))) {
  const target = path.join(outdir, file);
  const code = readFileSync(target, "utf8");
  const renamed = [...code.matchAll(/^var (\w+) = class (_\1)\b/gm)].reduce(
    (text, [, name, inner]) => text.replaceAll(new RegExp(`(?<![\\w$.#])${inner}\\b`, "g"), name),
    code,
  );
  if (renamed !== code) writeFileSync(target, renamed);
}
