import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { Redis } from "ioredis";
import type { TopicDefinition } from "mprpc/broker";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { type BrokerServer, startServer } from "../../../../test/broker/servers.js";
import type { DiskEvents } from "../../src/events/disk-events.js";
import type { JobDue } from "../../src/events/gen/events.js";
import { putDue } from "../../src/events/topics.js";
import { type RunningTransfer, type TransferParts, type World, world } from "../transfer/support/world.js";

// The transfer queue over a real Redis. With a sweep of an hour nothing but a message brings a job here.

const hourMs = 3_600_000;
let server: BrokerServer;
let disks = 0;

beforeAll(async () => {
  server = await startServer("redis");
});
afterAll(() => server.close());

let here: World;
let topic: TopicDefinition<JobDue, Partial<JobDue>>;

beforeEach(async () => {
  here = await world({ broker: `redis://127.0.0.1:${server.port}/0?prefix=disk${++disks}` });
  topic = putDue(here.node);
});

/** What the disk publishes with. */
function events(): DiskEvents {
  const found = here.disk.node.host.events;
  if (found === undefined) throw new Error("this disk has no broker");
  return found;
}

/** One to which the broker hands jobs by now. */
async function handedOut(parts: TransferParts = {}): Promise<RunningTransfer> {
  const running = here.transfer({ byBroker: true, ...parts, worker: { sweepMs: hourMs, ...parts.worker } });
  running.transfer.start();
  await vi.waitFor(
    () => {
      const arriving = here.disk.log.lines.filter(({ text }) => text.endsWith(" arrive"));
      // Puts of this node, and deletes.
      expect(arriving).toHaveLength(2);
    },
    { timeout: 20_000, interval: 10 },
  );
  return running;
}

const putsOf = (fileHash: string): number =>
  here.store.calls.filter((call) => call === `put ${fileHash}`).length;

test("jobs come as messages, none from the outbox: puts and deletes are done once", async () => {
  let claimed = 0;
  const database: TransferParts["database"] = {
    run: async (name, ...rest) => {
      const result = await here.database.run(name, ...rest);
      if (name === "outbox.claim") claimed += (result as { jobs: unknown[] }).jobs.length;
      return result;
    },
  };
  const { events: log } = await handedOut({ database });
  const files = await Promise.all(
    Array.from({ length: 20 }, (_, index) => here.upload(undefined, `f${index}`)),
  );
  for (const { fileHash } of files) await log.find("removed", fileHash);
  expect(claimed).toBe(0);
  for (const { fileHash, bytes } of files) {
    expect(here.store.objects.get(fileHash)).toEqual(bytes);
    expect(putsOf(fileHash)).toBe(1);
    expect(here.isStaged(fileHash)).toBe(false);
  }
  const [first] = files;
  if (first === undefined) throw new Error("no file");
  await here.delete(first);
  await log.find("deleted", first.fileHash);
  await vi.waitUntil(async () => (await here.content(first.fileHash)) === null, { timeout: 20_000 });
  expect(here.store.objects.size).toBe(19);
});

test("a message that comes again does no harm", async () => {
  const { events: log } = await handedOut();
  const { fileHash } = await here.upload();
  const again = Array.from({ length: 5 }, () => events().broker.publish(topic, { fileHash }));
  await Promise.all(again);
  await log.find("removed", fileHash);
  await events().broker.publish(topic, { fileHash });
  const last = await here.upload();
  await log.find("removed", last.fileHash);
  expect(putsOf(fileHash)).toBe(1);
  expect(await here.database.run("outbox.depth", {})).toEqual({ waiting: 0, running: 0, failed: 0 });
});

test("a job whose message the broker has lost is found in the outbox", async () => {
  const { fileHash } = await here.upload();
  const { events: log } = await handedOut({ worker: { sweepMs: 100 } });
  const redis = new Redis({ host: "127.0.0.1", port: server.port });
  onTestFinished(() => redis.disconnect());
  await redis.flushall();
  const { fileHash: second } = await here.upload();
  await redis.flushall();
  await log.find("removed", fileHash);
  await log.find("removed", second);
  expect([putsOf(fileHash), putsOf(second)]).toEqual([1, 1]);
});

test("a store that is away: the message comes again until it is back", async () => {
  here.store.away = true;
  const { events: log } = await handedOut();
  const { fileHash } = await here.upload();
  await log.times(3, "a job is tried again", fileHash);
  here.store.away = false;
  await log.find("removed", fileHash);
  expect(await letters()).toEqual([]);
});

test("what cannot be done is one dead letter, and done when that is replayed with its cause gone", async () => {
  const bytes = randomBytes(2000);
  const { fileHash } = await here.upload(bytes);
  await writeFile(here.staging.content(fileHash), "something else");
  const { events: log } = await handedOut();
  await log.find("a job cannot be done", fileHash);
  const dead = await vi.waitUntil(
    async () => {
      const found = await letters();
      return found.length > 0 ? found : undefined;
    },
    { timeout: 20_000 },
  );
  expect(dead.map(({ error, attempts }) => [error, attempts])).toEqual([
    [expect.stringContaining(`${fileHash}: the staged copy`), 1],
  ]);
  expect((await here.database.run("outbox.status", { fileHash })).state).toBe("failed");
  await here.stage(bytes);
  const box = events().broker.deadLetters(topic, "transfer");
  for (const letter of await box.list()) await box.replay(letter);
  await log.find("removed", fileHash);
  expect(here.store.objects.get(fileHash)).toEqual(bytes);
  expect(await letters()).toEqual([]);
});

test("a message for a job that another worker has waits for it, and is done when that one leaves it", async () => {
  const { fileHash } = await here.upload();
  const [job] = (
    await here.database.run("outbox.claim", { node: here.node, owner: "other", limit: 1, leaseMs: 1500 })
  ).jobs;
  expect(job?.fileHash).toBe(fileHash);
  const { events: log } = await handedOut();
  await log.find("removed", fileHash);
  expect(putsOf(fileHash)).toBe(1);
  expect(await letters()).toEqual([]);
});

function letters() {
  return events().broker.deadLetters(topic, "transfer").list();
}

test("the broker killed and restarted: jobs go on without it, and nothing is stored twice", async () => {
  const { events: log } = await handedOut();
  const first = await Promise.all(
    Array.from({ length: 10 }, (_, index) => here.upload(undefined, `a${index}`)),
  );
  await server.kill();
  const meanwhile = await Promise.all(
    Array.from({ length: 10 }, (_, index) => here.upload(undefined, `b${index}`)),
  );
  for (const { fileHash } of [...first, ...meanwhile]) await log.find("removed", fileHash);
  await server.start();
  const after = await Promise.all(
    Array.from({ length: 10 }, (_, index) => here.upload(undefined, `c${index}`)),
  );
  for (const { fileHash } of after) await log.find("removed", fileHash);
  for (const { fileHash, bytes } of [...first, ...meanwhile, ...after]) {
    expect(here.store.objects.get(fileHash)).toEqual(bytes);
    expect(putsOf(fileHash)).toBe(1);
  }
  expect(await here.database.run("outbox.depth", {})).toEqual({ waiting: 0, running: 0, failed: 0 });
});
