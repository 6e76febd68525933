import { expect, test } from "vitest";
import { Nodes } from "./nodes.js";

test("an event loop that is blocked: the caller's own costs no connection, the provider's no call that has time", {
  timeout: 90_000,
}, async () => {
  const nodes = new Nodes(["--keepalive.interval=5s", "--keepalive.timeout=5s"]);
  const provider = await nodes.provider();
  const caller = await nodes.caller();
  await caller.calls(5);

  // The provider's, for less than its silence may last: calls wait, those without time end at their deadline.
  const blocked = caller.block(600);
  const patient = Array.from({ length: 20 }, () => caller.call());
  const hasty = caller.call({ timeoutMs: 100 });
  expect((await hasty).error).toMatchObject({ codeName: "DEADLINE_EXCEEDED", executed: "maybe" });
  for (const { error } of await Promise.all(patient)) expect(error).toBeUndefined();
  await blocked;

  // The caller's: answers wait in its socket, and are taken when it goes on.
  const unread = Array.from({ length: 20 }, () => caller.call());
  const endMs = performance.now() + 600;
  while (performance.now() < endMs);
  for (const { error } of await Promise.all(unread)) expect(error).toBeUndefined();
  expect(caller.closes).toEqual([]);
  expect(caller.served.get(provider.pid)).toBe(45);
  expect(nodes.violations()).toEqual([]);
});

test("a caller that stands still while its provider leaves loses no call by it", {
  timeout: 90_000,
}, async () => {
  const nodes = new Nodes();
  const [leaving] = await Promise.all([nodes.provider(), nodes.provider()]);
  const caller = await nodes.caller();
  await caller.calls(10);
  expect(caller.served.size).toBe(2);

  const left = leaving.child.kill("SIGTERM");
  const endMs = performance.now() + 2500;
  while (performance.now() < endMs);
  // Sent before the word that lies in the socket can be read, in more bytes than go in one write.
  const unaware = Array.from({ length: 40 }, () => caller.call({ data: Buffer.alloc(10_000) }));
  for (const { error } of await Promise.all(unaware)) expect(error).toBeUndefined();
  await left;
  expect(leaving.child.process.exitCode, leaving.child.output).toBe(0);
  expect(nodes.violations()).toEqual([]);
});
