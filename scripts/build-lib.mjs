// Writes lib/: the types file by file as tsc makes them, the code in one file per entry point and a few that these share.
// Loading a hundred small modules would cost a program that imports mprpc more than running them.
//
//   node scripts/build-lib.mjs [FOLDER]     FOLDER instead of lib/
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { transform } from "esbuild";
import { rollup } from "rollup";
import { pinoScript, target, workerCodeModule, writerScript } from "./self-contained.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const outdir = path.resolve(process.argv[2] ?? path.join(root, "lib"));
process.chdir(root);
rmSync(outdir, { recursive: true, force: true });
const types = ["--no-install", "tsc", "-p", "tsconfig.build.json", "--outDir", outdir];
const { status } = spawnSync("npx", types, { stdio: "inherit" });
if (status !== 0) process.exit(status ?? 1);

const [writer, pino] = await Promise.all([writerScript(), pinoScript()]);

/** What takes the place of modules of src in lib/, by their names. */
const replaced = {
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
};

/** Programs import the first; the others and what they alone need are in files of their own. */
const entries = {
  index: "src/index.ts",
  "broker/index": "src/broker/index.ts",
  codec: "src/codec.ts",
  json: "src/json.ts",
  "descriptor/index": "src/descriptor/index.ts",
  "testing/index": "src/testing/index.ts",
  "cli/main": "src/cli/main.ts",
  "cli/protoc-plugin": "src/cli/protoc-plugin.ts",
};
/** TypeScript, one module at a time. */
const typescript = {
  name: "typescript",
  resolveId(source, importer) {
    if (!source.startsWith(".") || importer === undefined) return null;
    return path.resolve(path.dirname(importer), source.replace(/\.js$/, ".ts"));
  },
  async transform(code, id) {
    const source = replaced[path.basename(id, ".ts")] ?? code;
    return await transform(source, {
      loader: "ts",
      format: "esm",
      target,
      sourcefile: id,
      sourcemap: true,
      sourcesContent: true,
    });
  },
};

/** All that a module imports, but for what it loads when it is needed. */
function closureOf(id, getModuleInfo, found = new Set()) {
  if (found.has(id)) return found;
  found.add(id);
  for (const one of getModuleInfo(id)?.importedIds ?? []) closureOf(one, getModuleInfo, found);
  return found;
}

let closures;

function readClosures(getModuleInfo) {
  const of = (...names) => {
    const found = new Set();
    for (const name of names) closureOf(path.resolve(entries[name]), getModuleInfo, found);
    return found;
  };
  return {
    codec: of("codec"),
    values: of("json", "descriptor/index"),
    core: of("index"),
    command: of("cli/main"),
  };
}

/**
 * What `import "mprpc"` loads is in one file, besides what generated code needs without the rest: each file costs time and memory.
 * What the commands share is not in `cli/main` itself, which awaits them: a command that imports that file would wait for itself.
 */
function chunkOf(id, { getModuleInfo }) {
  closures ??= readClosures(getModuleInfo);
  const { codec, values, core, command } = closures;
  if (codec.has(id) || (core.has(id) && values.has(id))) return "values";
  if (core.has(id)) return "core";
  if (values.has(id)) return undefined;
  return command.has(id) && id !== path.resolve(entries["cli/main"]) ? "command" : undefined;
}

const bundle = await rollup({
  input: Object.fromEntries(Object.entries(entries).map(([name, file]) => [name, path.resolve(file)])),
  external: (id) => !id.startsWith(".") && !path.isAbsolute(id),
  plugins: [typescript],
  treeshake: { moduleSideEffects: false },
  onLog(level, { message }) {
    // Files that import each other in a circle, above all.
    if (level === "warn") throw new Error(message);
  },
});
await bundle.write({
  dir: outdir,
  format: "es",
  entryFileNames: "[name].js",
  chunkFileNames: "[name]-[hash].js",
  manualChunks: chunkOf,
  hoistTransitiveImports: false,
  // With the sources in them: src/ is not in the package.
  sourcemap: true,
});
await bundle.close();

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
