import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { ServiceName } from "../../src/common/part.js";
import { openStore } from "../../src/store/index.js";
import { type Disk, startDisk } from "../support/disk.js";
import { ProductionServers, type ServerName, serverNames } from "../support/production.js";
import { LoadClient, type LoadReport, partBytes, takeReports } from "./load.js";

const front: readonly ServiceName[] = ["dbproxy", "account", "apigw"];
const back: readonly ServiceName[] = ["transfer", "download", "upload"];

export interface OutageReport {
  server: ServerName;
  during: LoadReport;
  after: LoadReport;
}

export interface OutagesReport {
  before: LoadReport;
  outages: OutageReport[];
  files: number;
  /** Names the disk lists more than once, or not although it said it has them. */
  wrongNames: string[];
  /** Objects of the store nobody knows, or that are missing. */
  wrongObjects: string[];
}

export interface OutagesOptions {
  /** How long each server is away. */
  awayMs: number;
  clients: number;
  /** How long a client rests between two files. Without it most of the run is the store taking what has piled up. */
  restMs: number;
  onProgress?: (text: string) => void;
}

/**
 * Two machines, each with all six services in two processes, over ZooKeeper, MariaDB, Redis and Swift. While clients work,
 * each of the four is killed and comes back. In the end every file must be in the store, once, with its bytes.
 */
export async function runOutages(options: OutagesOptions): Promise<OutagesReport> {
  const servers = await ProductionServers.start();
  const second = await mkdtemp(path.join(os.tmpdir(), "clouddisk-second-"));
  const conf = {
    ...servers.conf(),
    "upload.part": String(partBytes),
    "transfer.retrymin": "100ms",
    // What was taken with an answer that the outage swallowed is free again after this.
    "transfer.lease": "5s",
    "transfer.retrymax": "1s",
  };
  const disk = await startDisk({ services: [], conf, keep: true });
  try {
    options.onProgress?.("the servers are up");
    await startMachine(disk, disk.dataFolder);
    await startMachine(disk, second);
    options.onProgress?.("both machines are up");
    return await underLoad(disk, servers, options);
  } catch (error) {
    const lines = disk.processes.flatMap(({ output }) => output.split("\n"));
    const errors = lines.filter((line) => line.includes("[error]") && !line.includes("[unavailable]"));
    throw new Error(`${String(error)}\n${errors.slice(-3).join("\n")}`, { cause: error });
  } finally {
    await disk.stop();
    await servers.close();
    await rm(second, { recursive: true, force: true });
  }
}

async function startMachine(disk: Disk, folder: string): Promise<void> {
  const own = { "clouddisk.data": folder };
  await Promise.all([disk.startProcess(front, own), disk.startProcess(back, own)]);
}

async function underLoad(
  disk: Disk,
  servers: ProductionServers,
  { awayMs, clients: count, restMs, onProgress }: OutagesOptions,
): Promise<OutagesReport> {
  const gateways = disk.processes.flatMap(({ httpAddresses }) => httpAddresses.get("apigw") ?? []);
  const clients = Array.from({ length: count }, (_, index) => new LoadClient(`user-${index}`, gateways));
  await Promise.all(clients.map((client) => client.signUp()));
  const stop = new AbortController();
  const failed = new AbortController();
  const running = clients.map((client) => client.run(stop.signal, restMs));
  for (const one of running) one.catch((error: unknown) => failed.abort(error));
  const wait = async (ms: number): Promise<LoadReport> => {
    await delay(ms, undefined, { signal: failed.signal }).catch(() => failed.signal.throwIfAborted());
    return takeReports(clients);
  };
  const before = await wait(awayMs);
  const outages: OutageReport[] = [];
  for (const server of serverNames) {
    const outage = servers.outage(server);
    await outage.down();
    const during = await wait(awayMs);
    await outage.up();
    // Everybody gets something done again before the next one goes.
    const atMs = performance.now();
    for (const client of clients) while (client.report.done === 0) await delay(20, undefined);
    const recoveredMs = Math.round(performance.now() - atMs);
    const after = await wait(awayMs);
    outages.push({ server, during, after });
    onProgress?.(
      `${server}: ${during.done} done while it was away, ${after.done} after; all at work after ${recoveredMs} ms`,
    );
  }
  stop.abort();
  await Promise.all(running);
  onProgress?.("the clients are done; the store is compared");
  return { before, outages, ...(await compare(servers, clients)) };
}

async function compare(
  servers: ProductionServers,
  clients: readonly LoadClient[],
): Promise<Pick<OutagesReport, "files" | "wrongNames" | "wrongObjects">> {
  const wrongNames: string[] = [];
  const hashes = new Set<string>();
  let files = 0;
  for (const client of clients) {
    let entries = await client.list();
    while (entries.some((entry) => entry.state !== "stored")) {
      await delay(100);
      entries = await client.list();
    }
    files += entries.length;
    for (const { fileHash } of entries) hashes.add(fileHash);
    const names = entries.map(({ name }) => name);
    for (const { name, fileHash } of client.stored) {
      const same = entries.filter((entry) => entry.fileHash === fileHash);
      if (same.length !== 1 || !names.includes(name)) wrongNames.push(`${name}: ${same.length} times`);
      await client.download({ name, fileHash });
    }
  }
  const store = await openStore({ store: servers.swift.settings("clouddisk"), dataFolder: "" });
  const wrongObjects: string[] = [];
  // Asked for one by one: Swift's listing may come to know an object later.
  for (const hash of hashes)
    if ((await store.sizeOf(hash)) === undefined) wrongObjects.push(`${hash} is missing`);
  for await (const hash of store.list()) if (!hashes.has(hash)) wrongObjects.push(`${hash} is nobody's`);
  await store.close();
  return { files, wrongNames, wrongObjects };
}
