import { randomBytes } from "node:crypto";
import { RpcError, Status } from "mprpc";
import { afterAll, beforeAll, expect, test } from "vitest";
import { RedisProgress } from "../../src/progress/redis-progress.js";
import { RedisServer } from "../support/redis.js";

let server: RedisServer;
let progress: RedisProgress;

beforeAll(async () => {
  server = await RedisServer.start();
  progress = new RedisProgress(server.url, 60_000);
});
afterAll(async () => {
  await progress.close();
  await server.close();
});

const partHash = "ab".repeat(32);

test("one owner at a time writes a part, and what is recorded stays", async () => {
  const uploadId = randomBytes(16).toString("hex");
  const part = { uploadId, index: 7 };
  const [first, second] = [
    { ...part, owner: "a:1" },
    { ...part, owner: "b:2" },
  ];
  expect(await progress.claim(first, 60_000)).toEqual({ outcome: "claimed" });
  expect(await progress.claim(first, 60_000)).toEqual({ outcome: "claimed" });
  expect(await progress.claim(second, 60_000)).toEqual({ outcome: "busy", owner: "a:1" });
  expect(await progress.list(uploadId)).toEqual({ parts: new Map(), claims: 1 });
  expect(await progress.record(second, partHash)).toBe(false);
  await progress.release(second);
  expect(await progress.record(first, partHash)).toBe(true);
  expect(await progress.claim(second, 60_000)).toEqual({ outcome: "recorded", partHash });
  expect(await progress.list(uploadId)).toEqual({ parts: new Map([[7, partHash]]), claims: 0 });
  await progress.clear(uploadId);
  expect(await progress.list(uploadId)).toEqual({ parts: new Map(), claims: 0 });
});

test("a claim that was given back, or ran out, is another's", async () => {
  const part = { uploadId: randomBytes(16).toString("hex"), index: 0 };
  await progress.claim({ ...part, owner: "a" }, 60_000);
  await progress.release({ ...part, owner: "a" });
  expect(await progress.claim({ ...part, owner: "b" }, 1)).toEqual({ outcome: "claimed" });
  await expect.poll(() => progress.claim({ ...part, owner: "c" }, 60_000)).toEqual({ outcome: "claimed" });
  expect(await progress.record({ ...part, owner: "b" }, partHash)).toBe(false);
});

test("while Redis is away callers are told so, and afterwards everything is there again", async () => {
  const part = { uploadId: randomBytes(16).toString("hex"), index: 0, owner: "a" };
  await progress.claim(part, 60_000);
  await progress.record(part, partHash);
  await server.end("SIGTERM");
  const refused = await progress.claim(part, 60_000).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(RpcError);
  expect(refused).toMatchObject({ code: Status.UNAVAILABLE });
  await server.restart();
  await expect
    .poll(() => progress.list(part.uploadId).catch(() => undefined))
    .toEqual({ parts: new Map([[0, partHash]]), claims: 0 });
});
