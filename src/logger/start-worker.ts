import { type WorkerOptions as ThreadOptions, Worker } from "node:worker_threads";
import type { WorkerOptions } from "./writer-worker.js";

/**
 * Starts the writer's thread. It gets neither the flags nor the environment of the process,
 * so that what a user preloads (`--import ./tracing.js`) does not run a second time in it.
 */
export function startWorker(workerData: WorkerOptions): Worker {
  const url = new URL("./writer-worker.js", import.meta.url);
  // Streams of its own, unread because it says nothing: to pipe them, Node would open the process's stdout and stderr and
  // make them non-blocking, which the program's own fs.writeSync(1) would feel.
  const streams = { stdout: true, stderr: true };
  const options: ThreadOptions = { workerData, name: "mprpc-log", execArgv: [], env: {}, ...streams };
  const fromSources = import.meta.url.endsWith(".ts");
  return fromSources ? startFromSources(url, options) : new Worker(url, options);
}

/** Tests and `tsx` run the sources. A thread of Node 20 does not load TypeScript by itself, nor with `--import tsx`. */
function startFromSources(url: URL, options: ThreadOptions): Worker {
  const [tsx, source] = [import.meta.resolve("tsx/esm/api"), url.href.replace(/js$/, "ts")].map((href) =>
    JSON.stringify(href),
  );
  const code = `import(${tsx}).then(({ tsImport }) => tsImport(${source}, ${source}))`;
  return new Worker(code, { ...options, eval: true, env: process.env });
}
