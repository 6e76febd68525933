// For esbuild: puts what the library loads as files of its own (the writer's thread, pino) into the code that loads them.
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

/** The oldest Node.js that code is made for. */
export const target = "node20.17";

/** One script that requires nothing but Node's own modules, the packages that are in it, and its own files. */
async function scriptOf(entryPoint, plugins = []) {
  const options = {
    // Names are relative to it, whatever folder the command was given in.
    absWorkingDir: root,
    bundle: true,
    minify: true,
    write: false,
    format: "cjs",
    platform: "node",
    metafile: true,
  };
  const built = await build({ ...options, entryPoints: [entryPoint], target, plugins });
  const inputs = Object.keys(built.metafile.inputs);
  const packages = inputs.map((file) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1]);
  return {
    code: built.outputFiles[0].text,
    packages: new Set(packages.filter((name) => name !== undefined)),
    files: inputs.filter((file) => !file.startsWith("node_modules/")),
  };
}

/** Pino's transports, which are not used, would bring a second kind of thread. */
const withoutTransports = {
  name: "without-transports",
  setup({ onLoad }) {
    onLoad({ filter: /node_modules\/thread-stream\/index\.js$/ }, () => ({
      contents: "module.exports = undefined;",
    }));
  },
};

/** The writer's thread: its code, and the files of src it is made of. */
export const writerScript = () => scriptOf("src/logger/writer-worker.ts");

export const pinoScript = () => scriptOf("node_modules/pino/pino.js", [withoutTransports]);

/** What takes the place of src/logger/worker-code.ts, so that a program bundled into one file has all it needs. */
export const workerCodeModule = ({ code }) =>
  `export const workerCode = () => ({ code: ${JSON.stringify(code)}, env: {} });`;

/** Modules of src/logger by name, and what takes the place of each. */
export const replacing = (modules) => ({
  name: "self-contained",
  setup({ onLoad }) {
    onLoad(
      { filter: new RegExp(`src/logger/(${Object.keys(modules).join("|")})\\.ts$`) },
      ({ path: file }) => ({
        contents: modules[path.basename(file, ".ts")],
      }),
    );
  },
});
