// node compile-program.mjs PROGRAM FOLDER NOTE: makes plain JavaScript of PROGRAM, a TypeScript file of this repository, and
// of all it imports but packages: FOLDER/main.js, and beside it what is imported later. Writes to NOTE, as JSON, where it
// is and the SHA-256 of every file it was made of, by paths beneath the root. `compiled.ts` starts this.
import { createHash } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { target, workerCodeModule, writerScript } from "../../scripts/self-contained.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const [program = "", folder = "", note = ""] = process.argv.slice(2);
const inputs = {};

/** The content of a file, which is noted as one that the program is made of. */
function contentOf(file) {
  const content = readFileSync(file);
  inputs[path.relative(root, file)] = createHash("sha256").update(content).digest("hex");
  return content.toString();
}

/** Of a module that is imported by a name known later: any of its folder. */
const byName = /import\(new URL\(`([\w/]+\/)\$\{(\w+)\}\.js`, import\.meta\.url\)\.href\)/g;

/** What esbuild is given for a module: files are found beside its source, not beside what is made of it. */
const sourceOf = (file) =>
  contentOf(file)
    .replaceAll(byName, "import('./$1' + $2 + '.ts')")
    .replaceAll("import.meta.url", JSON.stringify(pathToFileURL(file).href));

/** The logger's thread runs no TypeScript: it gets its script. */
const asSources = {
  name: "as-sources",
  setup({ onLoad }) {
    onLoad({ filter: /src\/logger\/worker-code\.ts$/ }, async ({ path: file }) => {
      const writer = await writerScript();
      for (const name of [file, ...writer.files]) contentOf(path.resolve(root, name));
      return { contents: workerCodeModule(writer), loader: "ts" };
    });
    onLoad({ filter: /\.ts$/ }, ({ path: file }) => ({ contents: sourceOf(file), loader: "ts" }));
  },
};

for (const name of ["compile-program.mjs", "../../scripts/self-contained.mjs"])
  contentOf(fileURLToPath(new URL(name, import.meta.url)));
for (const name of ["tsconfig.json", "package-lock.json"]) contentOf(path.join(root, name));
await build({
  absWorkingDir: root,
  entryPoints: { main: program },
  outdir: folder,
  bundle: true,
  // What is imported later stays in files of its own, and is loaded later.
  splitting: true,
  format: "esm",
  platform: "node",
  target,
  packages: "external",
  tsconfig: path.join(root, "tsconfig.json"),
  plugins: [asSources],
  logLevel: "warning",
});
// At once, for those who read it meanwhile.
const draft = `${folder}.json`;
writeFileSync(draft, JSON.stringify({ main: path.join(folder, "main.js"), inputs }));
renameSync(draft, note);
