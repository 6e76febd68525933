import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { expect, onTestFinished, test } from "vitest";
import { systemProbe } from "../../src/registry/file/liveness.js";
import { FileRegistry } from "../../src/registry/file/registry.js";
import type { Snapshot } from "../../src/registry/registry.js";
import { compiled } from "../tools/compiled.js";
import { eventually, guarded, Recorder } from "../tools/wait.js";
import { registration, shows } from "./conformance.js";

const service = "fixbug.UserServiceRpc";

async function startThread(url: string, port: number): Promise<Worker> {
  const program = compiled(new URL("thread-process.ts", import.meta.url));
  const worker = new Worker(program, { workerData: { url, port } });
  onTestFinished(() => void worker.terminate());
  await guarded(once(worker, "message"), "the thread registers");
  return worker;
}

test("the entry of a worker thread goes with its thread, those of its process and of others stay", async () => {
  const folder = mkdtempSync(join(tmpdir(), "mprpc-threads-"));
  const registry = new FileRegistry({ folder, pollMs: 50 });
  onTestFinished(async () => {
    await registry.close();
    rmSync(folder, { recursive: true });
  });
  const entries = () => readdirSync(join(folder, service)).filter((name) => name.endsWith(".json"));
  const seen = new Recorder<Snapshot>();
  registry.watch(service, seen.push);
  await registry.register(registration(8000));
  const first = await startThread(`file:${folder}`, 8001);
  await startThread(`file:${folder}`, 8002);
  await seen.until("all", shows(8000, 8001, 8002));
  const identities = entries().map(
    (name) => JSON.parse(readFileSync(join(folder, service, name), "utf8")).process,
  );
  expect(identities.map(systemProbe())).toEqual([true, true, true]);
  expect(new Set(identities.map(({ pid }) => pid))).toEqual(new Set([process.pid]));
  await first.terminate();
  await seen.until("the others", shows(8000, 8002));
  await eventually("its file is gone", async () => entries().length === 2);
  const judged = identities.map(systemProbe());
  expect(judged.filter((alive) => alive === false)).toHaveLength(1);
});
