import { Worker } from "node:worker_threads";
import { workerCode } from "./worker-code.js";
import type { WorkerOptions } from "./writer-worker.js";

/**
 * Starts the writer's thread. It gets neither the flags nor the environment of the process,
 * so that what a user preloads (`--import ./tracing.js`) does not run a second time in it.
 */
export function startWorker(workerData: WorkerOptions): Worker {
  const { code, env } = workerCode();
  // Streams of its own, unread because it says nothing: to pipe them, Node would open the process's stdout and stderr and
  // make them non-blocking, which the program's own fs.writeSync(1) would feel.
  const streams = { stdout: true, stderr: true };
  return new Worker(code, { eval: true, workerData, name: "mprpc-log", execArgv: [], env, ...streams });
}
