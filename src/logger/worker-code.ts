/** What the writer's thread runs, as a script. */
export interface WorkerCode {
  code: string;
  env: NodeJS.ProcessEnv;
}

/**
 * From the sources: the file beside this one. `scripts/build-lib.mjs` puts the code itself in the place of this module, so
 * that a program bundled into one file has it too.
 */
export function workerCode(): WorkerCode {
  const url = new URL("./writer-worker.js", import.meta.url).href;
  if (!import.meta.url.endsWith(".ts")) return { code: `import(${JSON.stringify(url)})`, env: {} };
  // Tests and `tsx` run the sources. A thread of Node 20 does not load TypeScript by itself, nor with `--import tsx`.
  const [tsx, source] = [import.meta.resolve("tsx/esm/api"), url.replace(/js$/, "ts")].map((href) =>
    JSON.stringify(href),
  );
  return { code: `import(${tsx}).then(({ tsImport }) => tsImport(${source}, ${source}))`, env: process.env };
}
