import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test, vi } from "vitest";
import { startServer } from "../../../../test/broker/servers.js";
import { putDue } from "../../src/events/topics.js";
import { openStore } from "../../src/store/index.js";
import { type Disk, startDisk, type User } from "../support/disk.js";

// Processes of transfer that die in the middle of a job, and a broker that dies too. With a sweep of an hour the outbox is not looked at for what no
// message brings, unless the broker is away.
const conf = {
  "clouddisk.sweep": "1h",
  "transfer.lease": "1s",
  "transfer.retrymin": "50ms",
  "transfer.retrymax": "200ms",
};

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const script = fileURLToPath(new URL("support/killed-transfer.ts", import.meta.url));

/** Resolves with the signal it died of. */
async function runKilledTransfer(step: string, argv: readonly string[]): Promise<unknown> {
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, ["--import", "tsx", script, step, ...argv], {
    cwd: root,
    env: { PATH, HOME, TSX_TSCONFIG_PATH: "tsconfig.json" },
    stdio: ["ignore", "ignore", "ignore"],
  });
  const [code, signal] = await once(child, "close");
  return signal ?? code;
}

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

/** All at once. */
async function uploadAll(disk: Disk, user: User, contents: readonly Buffer[]): Promise<void> {
  const replies = contents.map(async (bytes) => {
    const reply = await fetch(`${disk.urlOf("upload")}/file/upload?filename=${sha256(bytes)}`, {
      method: "POST",
      headers: { ...user.headers, "content-type": "application/octet-stream" },
      body: new Uint8Array(bytes),
    });
    expect(await reply.json()).toMatchObject({ code: 0 });
  });
  await Promise.all(replies);
}

/** How often a process of transfer said that it has stored each. */
function timesStored(output: string): Map<string, number> {
  const times = new Map<string, number>();
  for (const [, hash = ""] of output.matchAll(/\bstored\b.*?\b([0-9a-f]{64})\b/g)) {
    times.set(hash, (times.get(hash) ?? 0) + 1);
  }
  return times;
}

test.each(["redis", "nats"] as const)(
  "%s: transfer and the broker killed -9 in the middle: no file is lost, and none is stored twice",
  { timeout: 120_000 },
  async (scheme) => {
    const server = await startServer(scheme);
    onTestFinished(() => server.close());
    const broker = `${scheme}://127.0.0.1:${server.port}?prefix=crash`;
    const services = ["dbproxy", "account", "upload", "apigw"] as const;
    const disk = await startDisk({ services, conf: { ...conf, broker } });
    const user = await disk.user();
    const contents = Array.from({ length: 30 }, () => randomBytes(200_000));
    await uploadAll(disk, user, contents.slice(0, 10));
    for (const step of ["opened", "stored", "done"]) {
      expect(await runKilledTransfer(step, disk.argv())).toBe("SIGKILL");
    }
    const transfer = await disk.startProcess(["transfer"]);
    await uploadAll(disk, user, contents.slice(10, 20));
    await server.kill();
    // Nobody can be told of these until it is back.
    await uploadAll(disk, user, contents.slice(20, 25));
    await server.start();
    await uploadAll(disk, user, contents.slice(25));
    const { database } = disk.node.host;
    await vi.waitFor(
      async () => {
        const depth = await database.run("outbox.depth", {});
        expect(depth).toEqual({ waiting: 0, running: 0, failed: 0 });
      },
      { timeout: 60_000, interval: 50 },
    );
    const store = await openStore(disk.node.settings);
    onTestFinished(() => store.close());
    for (const bytes of contents) expect(await store.verify(sha256(bytes), bytes.length)).toBe("good");
    const objects: string[] = [];
    for await (const hash of store.list()) objects.push(hash);
    expect(objects.sort()).toEqual(contents.map(sha256).sort());
    const times = timesStored(transfer.output);
    expect(times.size).toBeGreaterThan(20);
    expect([...times.values()].filter((count) => count !== 1)).toEqual([]);
    const topic = putDue(disk.node.settings.node);
    expect(await disk.node.host.events?.broker.deadLetters(topic, "transfer").list()).toEqual([]);
  },
);
