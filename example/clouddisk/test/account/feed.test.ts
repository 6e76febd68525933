import { once } from "node:events";
import { silentLogger } from "mprpc";
import { expect, onTestFinished, test } from "vitest";
import { Feed } from "../../src/account/feed.js";
import type { ChangeRow } from "../../src/dbproxy/actions.js";
import type { Database } from "../../src/dbproxy/client.js";

/** A database that has so many changes of user 1, and counts the questions. */
function databaseOf(count: number) {
  const questions: number[] = [];
  const changes = Array.from({ length: count }, (_, index) => ({
    ...{ id: index + 1, userId: 1, kind: "added", entryId: index, parentId: 0, fromParentId: 0, name: "a" },
    ...{
      folder: false,
      uploadId: "",
      sizeBytes: 0,
      partsDone: 0,
      partCount: 0,
      uploadState: "",
      createdAtMs: 1,
    },
  })) as ChangeRow[];
  const run = async (name: string, params: { watches?: Array<{ after: number }> }) => {
    if (name === "change.begin") return { cursor: 0, complete: true };
    const after = params.watches?.[0]?.after;
    if (after === undefined) return { changes: [], ended: [], more: false };
    questions.push(after);
    return { changes: changes.slice(after, after + 2000), ended: [], more: count > after + 2000 };
  };
  return { questions, database: { run } as unknown as Database };
}

function contextOf() {
  const call = new AbortController();
  const draining = new AbortController();
  const context = { signal: call.signal, draining: draining.signal } as Parameters<Feed["watch"]>[1];
  return { call, draining, context };
}

const request = { userId: 1n, session: "a".repeat(64), after: undefined };

test("a watcher that takes nothing is given 500 changes, and the others as it takes those", async () => {
  const { database, questions } = databaseOf(5000);
  const feed = new Feed(database, silentLogger);
  feed.start();
  onTestFinished(() => feed.stop());
  const { context } = contextOf();
  const events = feed.watch(request, context);
  expect((await events.next()).value).toMatchObject({ kind: "ready", cursor: 0 });
  expect((await events.next()).value).toMatchObject({ cursor: 1 });
  for (let times = 0; times < 3; times++) {
    feed.changed(1);
    await new Promise((resolve) => setImmediate(resolve));
  }
  // Full with what it was given first: it is not asked for.
  expect(questions.every((after) => after === 0 || after === 501 || after === 500)).toBe(true);
  const seen: unknown[] = [];
  for (let count = 2; count <= 5000; count++) seen.push((await events.next()).value?.cursor);
  expect(seen).toEqual(Array.from({ length: 4999 }, (_, index) => index + 2));
});

test("a watch ends when its instance is about to stop, and nothing of it is left", async () => {
  const { database } = databaseOf(0);
  const feed = new Feed(database, silentLogger);
  feed.start();
  onTestFinished(() => feed.stop());
  const { context, draining } = contextOf();
  const events = feed.watch(request, context);
  await events.next();
  const next = events.next();
  expect(feed.size).toBe(1);
  const fired = once(draining.signal, "abort");
  draining.abort();
  await fired;
  expect(await next).toEqual({ done: true, value: undefined });
  expect(feed.size).toBe(0);
});
