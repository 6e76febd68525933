import { expect, test } from "vitest";
import { RpcChannel } from "../../src/index.js";
import { Simulation } from "../../src/testing/index.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { probeProgram } from "../testing/support.js";

/** Its registry keeps the entry of a provider that stands still, as a list of addresses or files of a machine do. */
function quietSimulation(): Simulation {
  return new Simulation({
    network: { latencyMs: [1, 1], jitterMs: 0, split: 0 },
    sessionTimeoutMs: 100 * 3_600_000,
  });
}

/** Calls every 100 ms for so long, and says how many failed. */
async function callFor(sim: Simulation, stub: ProbeServiceStub, ms: number): Promise<number> {
  let failures = 0;
  const calls: Promise<unknown>[] = [];
  for (const endMs = sim.nowMs + ms; sim.nowMs < endMs; await sim.run(100)) {
    const call = stub.echo({ number: 1 }, { timeoutMs: 1000 });
    calls.push(call.catch(() => failures++));
  }
  await sim.until(Promise.all(calls));
  return failures;
}

test("a provider that stands still: calls are lost until the keepalive notices, and none is after that", async () => {
  const sim = quietSimulation();
  const [still, other] = [sim.host("still", probeProgram()), sim.host("other", probeProgram())];
  await sim.until(Promise.all([still.ready, other.ready]));
  const { app } = sim.host("shop");
  const closes: (string | undefined)[] = [];
  app.events.on("connectionClose", ({ reason }) => void closes.push(reason));
  const channel = new RpcChannel(app);
  const stub = new ProbeServiceStub(channel);
  expect(await callFor(sim, stub, 1000)).toBe(0);

  still.pause();
  expect(await callFor(sim, stub, 15_000)).toBeGreaterThan(50);
  // Its system accepts every connection the caller makes to see whether it is back.
  expect(await callFor(sim, stub, 120_000)).toBe(0);
  expect(closes.length).toBeGreaterThan(4);
  expect(new Set(closes.slice(1))).toEqual(
    new Set(["nothing came on it within 2000 ms (channel.connecttimeout)"]),
  );

  still.resume();
  // By the longest backoff it is in use again.
  expect(await callFor(sim, stub, 150_000)).toBe(0);
  other.crash();
  await sim.run(1000);
  expect(await callFor(sim, stub, 1000)).toBe(0);
  await sim.until(channel.close());
  await sim.end();
});

test("the only provider stands still: no call is lost, each fails `never`, and those that wait go on when it does", async () => {
  const sim = quietSimulation();
  const still = sim.host("still", probeProgram());
  await sim.until(still.ready);
  const channel = new RpcChannel(sim.host("shop").app);
  const stub = new ProbeServiceStub(channel);
  await sim.until(stub.echo({}));
  still.pause();
  await sim.run(15_000);
  // One of two may try whether it is back.
  const calls = await sim.until(
    Promise.allSettled([stub.echo({}, { timeoutMs: 500 }), stub.echo({}, { timeoutMs: 500 })]),
  );
  for (const call of calls) expect(call).toMatchObject({ status: "rejected", reason: { executed: "never" } });
  expect(calls[1]).toMatchObject({
    reason: { codeName: "UNAVAILABLE", rawMessage: expect.stringMatching(/fell silent|nothing came/) },
  });
  const waiting = stub.echo({ number: 7 }, { waitForReady: true, timeoutMs: 60_000 });
  await sim.run(20_000);
  still.resume();
  expect(await sim.until(waiting)).toMatchObject({ number: 7 });
  await sim.until(channel.close());
  await sim.end();
});
