// Writes lib/: the types file by file as tsc makes them, the code in one file per entry point and a few that these share.
// Loading a hundred small modules would cost a program that imports mprpc more than running them.
//
//   node scripts/build-lib.mjs [FOLDER]     FOLDER instead of lib/
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { pinoScript, replacing, target, workerCodeModule, writerScript } from "./self-contained.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const outdir = path.resolve(process.argv[2] ?? path.join(root, "lib"));
process.chdir(root);
rmSync(outdir, { recursive: true, force: true });
const types = ["--no-install", "tsc", "-p", "tsconfig.build.json", "--outDir", outdir];
const { status } = spawnSync("npx", types, { stdio: "inherit" });
if (status !== 0) process.exit(status ?? 1);

const [writer, pino] = await Promise.all([writerScript(), pinoScript()]);

const selfContained = replacing({
  "worker-code": workerCodeModule(writer),
  // A function's body is compiled when it is called: who logs plain lines only does not pay for it.
  "load-pino": `let pino;
function evaluate(require, module, exports) {
${pino.code}
}
export function loadPino() {
  if (pino === undefined) {
    const module = { exports: {} };
    evaluate(process.getBuiltinModule, module, module.exports);
    pino = module.exports;
  }
  return pino;
}`,
});

await build({
  entryPoints: {
    index: "src/index.ts",
    "broker/index": "src/broker/index.ts",
    codec: "src/codec.ts",
    json: "src/json.ts",
    "descriptor/index": "src/descriptor/index.ts",
    "testing/index": "src/testing/index.ts",
    "cli/main": "src/cli/main.ts",
    "cli/protoc-plugin": "src/cli/protoc-plugin.ts",
  },
  outdir,
  chunkNames: "[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target,
  packages: "external",
  plugins: [selfContained],
  // With the sources in them: src/ is not in the package.
  sourcemap: "linked",
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

const licences = [...pino.packages].sort().map((name) => {
  const folder = path.join("node_modules", name);
  const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
  if (file === undefined) throw new Error(`${folder} has no licence text`);
  return `${name}\n\n${readFileSync(path.join(folder, file), "utf8").trim()}\n`;
});
writeFileSync(
  path.join(outdir, "THIRD-PARTY.txt"),
  `Parts of these packages are in lib/, under their licences:\n\n${licences.join(`\n${"-".repeat(72)}\n\n`)}`,
);
