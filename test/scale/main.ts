import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { oneOf, readOptions, wholeNumber } from "../tools/program.js";
import { ZooKeeperServer } from "../tools/zookeeper.js";
import { ScaleRun, type Sides } from "./measure.js";

const usage = `Usage: node --import tsx test/scale/main.ts [options]

What a provider holds on this machine: client connections, calls in flight, services, and the memory of each.

  --connections N   default 10,000; needs as many open files in the provider
  --calls N         in flight at a time, over 1 and over 100 connections; default 100,000
  --services N      of one provider, in a folder and in a ZooKeeper server; default 1,000
  --only LIST       of connections, calls, services; default all
  -h, --help
`;

/** Connections one process of callers opens. */
const perProcess = 2500;

const count = (value: number): string => Math.round(value).toLocaleString("en-US");
const kib = (bytes: number): string => (bytes / 1024).toFixed(1);

function print(title: string, head: readonly string[], rows: ReadonlyArray<readonly string[]>): void {
  const lines = [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`);
  console.log(`\n${title}\n\n${lines.join("\n")}`);
}

const memoryHead = (what: string): string[] => ["heap", "external", "RSS"].map((kind) => `${what}: ${kind}`);
const memoryCells = ({ heapBytes, externalBytes, rssBytes }: Sides["provider"]): string[] =>
  [heapBytes, externalBytes, rssBytes].map(kib);

async function withRun<T>(processes: number, use: (run: ScaleRun) => Promise<T>): Promise<T> {
  const run = await ScaleRun.start(processes);
  try {
    return await use(run);
  } finally {
    await run.kill();
  }
}

async function connections(size: number): Promise<void> {
  const limit = Number(spawnSync("sh", ["-c", "ulimit -Hn"], { encoding: "utf8" }).stdout.trim());
  if (limit < size + 64) console.log(`${count(size)} connections need more open files than ${limit}`);
  const callsEach = 10;
  const one = await withRun(Math.ceil(size / perProcess), (run) => run.connections(size, callsEach));
  print(
    `${count(one.counts.connections)} connections, ${count(one.answered)} of ${count(size * callsEach)} calls answered; KiB of each`,
    ["", "in", ...memoryHead("provider"), ...memoryHead("caller")],
    (["idle", "used"] as const).map((state) => [
      state === "idle" ? "after one call" : `after ${callsEach} more`,
      `${count(state === "idle" ? one.openedInMs : one.usedInMs)} ms`,
      ...memoryCells(one[state].provider),
      ...memoryCells(one[state].caller),
    ]),
  );
}

async function inFlight(calls: number): Promise<void> {
  const results = await withRun(1, async (run) => [
    await run.inFlight(calls, 1),
    await run.inFlight(calls, 100),
  ]);
  print(
    `${count(calls)} calls in flight; KiB of each`,
    [
      "connections",
      "all held in",
      "in flight",
      "answered",
      ...memoryHead("provider"),
      ...memoryHead("caller"),
    ],
    results.map((one) => [
      count(one.connections),
      `${count(one.heldInMs)} ms`,
      count(one.counts.inFlight),
      count(one.settled.answered),
      ...memoryCells(one.held.provider),
      ...memoryCells(one.held.caller),
    ]),
  );
}

async function services(size: number): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-scale-"));
  const server = await ZooKeeperServer.start();
  try {
    const rows: string[][] = [];
    for (const registry of [`file:${folder}`, `zookeeper://127.0.0.1:${server.port}`]) {
      const one = await withRun(1, (run) => run.services(size, registry));
      rows.push([
        registry.slice(0, registry.indexOf(":")),
        ...[one.registeredInMs, one.resolvedInMs, one.againInMs, one.withdrawnInMs].map(count),
        ...memoryCells(one.each.provider),
        ...memoryCells(one.each.caller),
      ]);
    }
    print(
      `${count(size)} services of one provider, called through one channel; ms, and KiB of each service`,
      [
        "registry",
        "registered",
        "first calls",
        "next calls",
        "withdrawn",
        ...memoryHead("provider"),
        ...memoryHead("caller"),
      ],
      rows,
    );
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

const values = readOptions(usage, {
  connections: { type: "string", default: "10000" },
  calls: { type: "string", default: "100000" },
  services: { type: "string", default: "1000" },
  only: { type: "string", default: "connections,calls,services" },
});
const measures = { connections, calls: inFlight, services };
const names = ["connections", "calls", "services"] as const;
const only = values.only.split(",").map((name) => oneOf("only", name, names));
const sizes = names.map((name) => [name, wholeNumber(name, values[name], 1)] as const);
for (const [name, size] of sizes) if (only.includes(name)) await measures[name](size);
