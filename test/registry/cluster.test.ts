import { readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import { RpcChannel } from "../../src/client/channel.js";
import { openRegistry } from "../../src/registry/open.js";
import type { Snapshot } from "../../src/registry/registry.js";
import { createRuntime } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { startScript } from "../tools/child.js";
import { eventually, Recorder } from "../tools/wait.js";
import { freePort, ZooKeeperServer } from "../tools/zookeeper.js";
import { expectNoGap, shows } from "./conformance.js";
import { Scenario } from "./zookeeper-scenario.js";

const service = "probe.ProbeService";

interface Workers {
  readonly pids: number[];
  readonly ports: number[];
  /** Everything the workers warned of. */
  output(): string;
}

async function startWorkers(url: string, port: number, count: number): Promise<Workers> {
  const primary = startScript(
    new URL("cluster-process.ts", import.meta.url),
    url,
    String(port),
    String(count),
  );
  // Workers end with their primary.
  onTestFinished(() => primary.kill());
  const pids: number[] = [];
  const ports: number[] = [];
  for (let i = 0; i < count; i++) {
    const known = pids.join("|") || "none";
    const line = await primary.line(new RegExp(`^worker (?!(?:${known}) )\\d+ at \\d+$`));
    const [, pid, at] = line.split(/worker | at /);
    pids.push(Number(pid));
    ports.push(Number(at));
  }
  return { pids, ports, output: () => primary.output };
}

function startCaller(url: string) {
  const registry = openRegistry(url, { sessionTimeoutMs: 3000, snapshotFolder: false });
  const seen = new Recorder<Snapshot>();
  registry.watch(service, seen.push);
  const runtime = createRuntime({ transport: tcpTransport(systemClock), registry });
  const channel = new RpcChannel(runtime);
  onTestFinished(async () => {
    await channel.close();
    await runtime.close();
  });
  return { seen, stub: new ProbeServiceStub(channel) };
}

/** Three workers of one address; the newest is killed, then the others. */
async function outliveTheNewest(url: string, countEntries: () => Promise<number>): Promise<void> {
  const port = await freePort();
  const { pids, output } = await startWorkers(url, port, 3);
  const { seen, stub } = startCaller(url);
  const { endpoints } = await seen.until("one endpoint", shows(port));
  const whoAnswers = async () => Number((await stub.echo({}, { waitForReady: true })).text);
  const answering = new Set(pids);
  expect(answering).toContain(await whoAnswers());
  const newest = pids.at(-1) ?? 0;
  process.kill(newest, "SIGKILL");
  answering.delete(newest);
  await eventually("its entry goes", async () => (await countEntries()) === 2);
  await eventually("another worker answers", async () => answering.has(await whoAnswers()));
  expect(seen.last?.endpoints).toEqual(endpoints);
  expectNoGap(seen, `127.0.0.1:${port}`);
  for (const pid of answering) process.kill(pid, "SIGKILL");
  await seen.until("nobody", shows());
  expect(output()).not.toContain("warning");
}

describe("workers of node:cluster at one address", () => {
  let server: ZooKeeperServer;
  beforeAll(async () => {
    server = await ZooKeeperServer.start();
  });
  afterAll(() => server.stop());

  test("file: one endpoint as long as any of them serves", { timeout: 120_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), "mprpc-cluster-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const files = async () =>
      readdirSync(join(folder, service)).filter((name) => name.endsWith(".json")).length;
    await outliveTheNewest(`file:${folder}?poll=100ms`, files);
  });

  test("zookeeper: one endpoint as long as any of them serves", { timeout: 120_000 }, () =>
    Scenario.on(server.address, async (scenario) => {
      const admin = await scenario.session();
      const entries = async () => (await admin.children(`/mprpc/${service}/providers`)).length;
      await outliveTheNewest(scenario.url(), entries);
    }),
  );

  test("port 0 is a port of its own for each", async () => {
    const folder = await mkdtemp(join(tmpdir(), "mprpc-cluster-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const url = `file:${folder}`;
    const { ports } = await startWorkers(url, 0, 2);
    expect(new Set(ports).size).toBe(2);
    const { seen } = startCaller(url);
    await seen.until("both", shows(...ports.sort((a, b) => a - b)));
  });
});
