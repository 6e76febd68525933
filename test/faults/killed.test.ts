import { expect, onTestFinished, test } from "vitest";
import { footprint } from "./footprint.js";
import { Load, Nodes, returned } from "./nodes.js";

test("a provider killed under load: its calls end at once, the other takes the load, a new one joins", {
  timeout: 90_000,
}, async () => {
  const nodes = new Nodes();
  const [killed, other] = await Promise.all([nodes.provider(), nodes.provider()]);
  const caller = await nodes.caller();
  await caller.calls(50);
  const before = await footprint();
  const load = new Load(caller, 40);
  await load.servedBy(100, killed, other);
  const held = Array.from({ length: 20 }, () => caller.call({ work: -1, timeoutMs: Infinity }));
  await load.servedBy(20, killed, other);

  await killed.child.kill("SIGKILL");
  await load.servedBy(500, other);
  const failures = nodes.ledger.failures();
  // Half of those that are never answered, and no more than were in flight.
  expect(failures.length).toBeGreaterThanOrEqual(10);
  expect(failures.length).toBeLessThanOrEqual(10 + 40);
  expect(new Set(failures.map(({ codeName, executed }) => `${codeName} ${executed}`))).toEqual(
    new Set(["UNAVAILABLE maybe"]),
  );
  // By reset, or by an end where everything had been read.
  expect(caller.closes).toHaveLength(1);

  const joined = await nodes.provider();
  await load.servedBy(100, joined, other);
  await load.stop();
  expect(nodes.ledger.failures()).toHaveLength(failures.length);
  await other.child.kill("SIGKILL");
  await Promise.all(held);
  expect(nodes.violations()).toEqual([]);
  // One provider less than at first is connected, and nobody waits for anything.
  await returned("the caller", before);
});

test("a caller killed in the middle: its handlers are told, what had not arrived never runs, nothing of it stays", {
  timeout: 90_000,
}, async () => {
  const nodes = new Nodes();
  const provider = await nodes.provider();
  const asked = await nodes.directly(provider);
  await asked.facts();
  const before = await asked.facts();
  const victim = nodes.callerProcess(100);
  await victim.line(/^large goes on/);
  const { inFlight, connections } = await asked.facts();
  expect(inFlight).toBeGreaterThanOrEqual(101);
  expect(connections).toBe(2);

  await victim.kill("SIGKILL");
  await returned("the provider", before, async () => {
    const facts = await asked.facts();
    // Itself is the one.
    return facts.inFlight === 1 && facts.connections === 1 ? facts : { ...facts, heapBytes: Infinity };
  });
  const after = await asked.facts();
  expect(after.aborted - before.aborted).toBeGreaterThanOrEqual(100);
  await asked.calls(10);
  expect(nodes.violations()).toEqual([]);
  onTestFinished(() => provider.child.kill());
});
