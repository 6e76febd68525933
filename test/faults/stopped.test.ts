import { expect, test } from "vitest";
import { eventually } from "../tools/wait.js";
import { footprint } from "./footprint.js";
import { Load, Nodes, quickKeepalive, returned } from "./nodes.js";

test("a provider that is stopped, and continued", { timeout: 90_000 }, async () => {
  const nodes = new Nodes(quickKeepalive);
  const [stopped, other] = await Promise.all([nodes.provider(), nodes.provider()]);
  const caller = await nodes.caller();
  const asked = await nodes.directly(stopped);
  await Promise.all(Array.from({ length: 20 }, () => caller.call()));
  const before = await footprint();
  const beforeThere = await asked.facts();
  await asked.close();

  stopped.child.suspend();
  // One deadline before the silence is noticed, and none at all.
  const soon = Array.from({ length: 20 }, () => caller.call({ timeoutMs: 100 }));
  const patient = Array.from({ length: 20 }, () => caller.call({ timeoutMs: Infinity }));
  const outcomes = (await Promise.all(soon)).map(({ error }) => error?.codeName ?? "answered");
  expect(outcomes.filter((outcome) => outcome === "answered")).toHaveLength(10);
  expect(outcomes.filter((outcome) => outcome === "DEADLINE_EXCEEDED")).toHaveLength(10);
  const lost = (await Promise.all(patient)).flatMap(({ error }) => error ?? []);
  expect(lost).toHaveLength(10);
  for (const error of lost) {
    expect(error).toMatchObject({ codeName: "UNAVAILABLE", executed: "maybe" });
    expect(error.rawMessage).toMatch(/^connection lost: no answer to a ping, silent for \d+ ms$/);
  }

  // Its system goes on to accept connections. No call is sent there until the provider itself has said a word.
  const failed = nodes.ledger.failures().length;
  const load = new Load(caller, 10);
  const silences = caller.closes.length;
  await eventually("another connection to it is given up", async () => caller.closes.length > silences);
  await load.servedBy(500, other);
  expect(nodes.ledger.failures()).toHaveLength(failed);

  stopped.child.resume();
  await load.servedBy(50, stopped, other);
  await load.stop();
  expect(nodes.ledger.failures()).toHaveLength(failed);
  // What was given up while it stood still, and came to its handlers all the same, has ended there too.
  const again = await nodes.directly(stopped);
  await returned("the provider", beforeThere, async () => {
    const facts = await again.facts();
    return facts.inFlight === 1 ? facts : { ...facts, heapBytes: Infinity };
  });
  await again.close();
  await returned("the caller", before);
  expect(nodes.violations()).toEqual([]);
});

test("a caller that is stopped, and continued: the provider lets it go, and it finds back by itself", {
  timeout: 90_000,
}, async () => {
  const nodes = new Nodes(quickKeepalive);
  const provider = await nodes.provider();
  const asked = await nodes.directly(provider);
  const caller = nodes.callerProcess(50);
  await caller.line(/^large goes on/);
  const { inFlight } = await asked.facts();
  expect(inFlight).toBeGreaterThanOrEqual(51);

  caller.suspend();
  await eventually("its handlers are told", async () => (await asked.facts()).aborted >= 50);
  await eventually("it is let go", async () => {
    const facts = await asked.facts();
    return facts.inFlight === 1 && facts.connections === 1;
  });
  const { calls } = await asked.facts();
  caller.resume();
  expect(await caller.line(/^held calls ended/)).toBe('held calls ended [["UNAVAILABLE",50]]');
  await eventually("it calls again", async () => (await asked.facts()).calls > calls + 20);
  expect(nodes.violations()).toEqual([]);
});
