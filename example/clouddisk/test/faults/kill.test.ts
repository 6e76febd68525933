import { createHash, randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type ServiceName, serviceNames } from "../../src/common/part.js";
import { openFeed } from "../apigw/feed-reader.js";
import { type Disk, type DiskProcess, startDisk, type User } from "../support/disk.js";

const partBytes = 65_536;
const conf = { "upload.part": "64KiB", "transfer.retrymin": "50ms", "transfer.retrymax": "200ms" };

let disk: Disk;
let user: User;
const processes = new Map<ServiceName, DiskProcess>();

beforeAll(async () => {
  disk = await startDisk({ services: [], conf, keep: true });
  await Promise.all(serviceNames.map(start));
  user = await disk.user();
}, 120_000);

afterAll(() => disk.stop());

async function start(service: ServiceName): Promise<void> {
  processes.set(service, await disk.startProcess([service]));
}

/** `kill -9`, and a fresh process in its place. */
async function killAndRestart(service: ServiceName): Promise<void> {
  const victim = processes.get(service);
  if (victim === undefined) throw new Error(`${service} does not run`);
  expect(await victim.kill("SIGKILL")).toBe("SIGKILL");
  disk.processes.splice(disk.processes.indexOf(victim), 1);
  await start(service);
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

type Reply = Record<string, unknown> & { code?: number };

/** As a client that does not give up: again while the server is away or could not. */
async function persistently(request: () => Promise<Response>): Promise<Reply> {
  return vi.waitFor(
    async () => {
      const response = await request();
      const reply = (await response.json()) as Reply;
      if (response.status >= 500 || reply.code === 10_002) throw new Error(JSON.stringify(reply));
      return reply;
    },
    { timeout: 40_000, interval: 100 },
  );
}

function post(service: ServiceName, route: string, form: Record<string, string>): Promise<Reply> {
  return persistently(() =>
    fetch(disk.urlOf(service) + route, {
      method: "POST",
      headers: user.headers,
      body: new URLSearchParams(form),
    }),
  );
}

function putPart(uploadId: string, bytes: Buffer, index: number): Promise<Reply> {
  const part = bytes.subarray(index * partBytes, (index + 1) * partBytes);
  const query = new URLSearchParams({ uploadid: uploadId, index: String(index), chkhash: sha256(part) });
  return persistently(() =>
    fetch(`${disk.urlOf("upload")}/file/mpupload/uppart?${query}`, {
      method: "POST",
      headers: { ...user.headers, "content-type": "application/octet-stream" },
      body: new Uint8Array(part),
    }),
  );
}

/** `during` happens while parts are on their way. */
async function uploadWhile(bytes: Buffer, name: string, during: () => Promise<void>): Promise<void> {
  const file = { filename: name, filehash: sha256(bytes), filesize: String(bytes.length) };
  const init = await post("upload", "/file/mpupload/init", file);
  const uploadId = String(init.uploadID);
  const count = Math.ceil(bytes.length / partBytes);
  const indices = Array.from({ length: count }, (_, index) => index);
  expect((await putPart(uploadId, bytes, 0)).code).toBe(0);
  const [replies] = await Promise.all([
    Promise.all(indices.slice(1).map((index) => putPart(uploadId, bytes, index))),
    during(),
  ]);
  expect(replies.map(({ code }) => code)).toEqual(replies.map(() => 0));
  await vi.waitFor(
    async () => {
      const reply = await post("upload", "/file/mpupload/complete", { ...file, uploadid: uploadId });
      // -2 while the merge of a process that is gone still has its lease.
      expect(reply.code).toBe(0);
    },
    { timeout: 60_000, interval: 200 },
  );
}

async function download(bytes: Buffer): Promise<string> {
  const query = `filehash=${sha256(bytes)}`;
  return vi.waitFor(
    async () => {
      const response = await fetch(`${disk.urlOf("download")}/file/download?${query}`, {
        headers: user.headers,
      });
      expect(response.status).toBe(200);
      return sha256(Buffer.from(await response.arrayBuffer()));
    },
    { timeout: 40_000, interval: 100 },
  );
}

/** The gateway and the account service are back, and know the file. */
async function listed(bytes: Buffer): Promise<void> {
  await vi.waitFor(
    async () => {
      const files = (await post("apigw", "/file/query", { limit: "100" })) as unknown as Array<{
        FileHash: string;
      }>;
      expect(files.map((file) => file.FileHash)).toContain(sha256(bytes));
    },
    { timeout: 40_000, interval: 100 },
  );
}

test.each(serviceNames)(
  "kill -9 of %s in the middle of an upload in parts: it ends with the right bytes",
  {
    timeout: 120_000,
  },
  async (service) => {
    const bytes = randomBytes(partBytes * 12 + 123);
    await uploadWhile(bytes, `${service}.bin`, () => killAndRestart(service));
    expect(await download(bytes)).toBe(sha256(bytes));
    await listed(bytes);
  },
);

/** As the page does: comes back when a feed ends, with the last it had. Resolves when `wanted` have come. */
async function follow(wanted: readonly string[], told: string[], from: string): Promise<void> {
  for (let last = from; told.length < wanted.length; ) {
    const feed = await openFeed(disk, user, { headers: { "last-event-id": last } }).catch(() => undefined);
    if (feed?.status === 200) {
      const all = (): boolean => told.length + feed.told.filter(isChange).length >= wanted.length;
      await Promise.race([feed.ended.catch(() => {}), vi.waitUntil(all, { timeout: 60_000, interval: 20 })]);
      told.push(...feed.told.filter(isChange));
      last = feed.events.at(-1)?.id ?? last;
      feed.close();
    } else await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const isChange = (text: string): boolean => text.startsWith("added ");

test.each(["account", "dbproxy", "apigw"] as const)(
  "kill -9 of %s under a change feed: each change is told once, in order",
  { timeout: 120_000 },
  async (service) => {
    const first = await openFeed(disk, user);
    await vi.waitUntil(() => first.events.length > 0, { timeout: 20_000 });
    const from = first.events[0]?.id ?? "";
    first.close();
    const names = Array.from({ length: 20 }, (_, index) => `${service} ${index}`);
    const wanted = names.map((name) => `added ${name}`);
    const told: string[] = [];
    const followed = follow(wanted, told, from);
    for (const [index, name] of names.entries()) {
      const killed = index === 7 ? killAndRestart(service) : undefined;
      await makeFolder(name);
      await killed;
    }
    await followed;
    expect(told).toEqual(wanted);
  },
);

/** Makes it once, however often it has to be asked for. */
function makeFolder(name: string): Promise<Reply> {
  return persistently(async () => {
    const headers = { ...user.headers, "content-type": "application/json" };
    const body = JSON.stringify({ parentId: 0, name });
    const reply = await fetch(`${disk.urlOf("apigw")}/api/folders`, { method: "POST", headers, body });
    // It was made by a try whose answer was lost.
    return reply.status === 409 ? Response.json({ code: 0 }) : reply;
  });
}
