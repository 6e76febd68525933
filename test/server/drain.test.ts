import { expect, test } from "vitest";
import { RpcChannel } from "../../src/index.js";
import { type SimulatedHost, Simulation } from "../../src/testing/index.js";
import { ProbeService, ProbeServiceStub } from "../support/gen/probe.js";
import { probeProgram } from "../testing/support.js";

function simulation(): Simulation {
  return new Simulation({ network: { latencyMs: [5, 5], jitterMs: 0, split: 0 } });
}

async function started(sim: Simulation, name: string): Promise<SimulatedHost> {
  const host = sim.host(name, probeProgram());
  await sim.until(host.ready);
  return host;
}

/** Stops `orders` when a new connection of `shop` has been accepted and its first bytes are still on their way. */
async function stopMeanwhile(sim: Simulation, orders: SimulatedHost): Promise<void> {
  // At 10 ms the registry has answered the shop, which connects: accepted at 15, its bytes come at 25.
  await sim.run(8);
  // Ten ms until the registry has confirmed; the shop does not hear of it.
  const stopped = orders.stop();
  sim.after(3, () => sim.partition("registry", "shop", { oneWay: true }));
  await sim.until(stopped);
  sim.heal();
}

test("a call that reaches a draining provider on a new connection is told that it never ran", async () => {
  const sim = simulation();
  const orders = await started(sim, "orders");
  const call = new ProbeServiceStub(new RpcChannel(sim.host("shop").app)).echo({ number: 7 });
  call.catch(() => {});
  await stopMeanwhile(sim, orders);
  await expect(sim.until(call)).rejects.toMatchObject({ codeName: "UNAVAILABLE", executed: "never" });
  expect(sim.trace.lines.filter((line) => line.includes("accept"))).toHaveLength(1);
  expect(sim.trace.lines.join("\n")).not.toContain("ECONNRESET");
});

test("and so it goes on at another provider", async () => {
  const sim = simulation();
  await started(sim, "other");
  const orders = await started(sim, "orders");
  const stub = new ProbeServiceStub(new RpcChannel(sim.host("shop").app));
  const calls = [stub.echo({ number: 1 }), stub.echo({ number: 2 })];
  await stopMeanwhile(sim, orders);
  expect(await sim.until(Promise.all(calls))).toMatchObject([{ number: 1 }, { number: 2 }]);
});

test("a call that wants no reply and does not end in time is cancelled like the others", async () => {
  const sim = simulation();
  const aborted: number[] = [];
  const program = probeProgram({
    note: (request, { signal }) =>
      new Promise((resolve) => {
        signal.addEventListener("abort", () => {
          aborted.push(sim.nowMs);
          resolve(request);
        });
      }),
  });
  const orders = sim.host("orders", program, { settings: { provider: { drainTimeoutMs: 300 } } });
  await sim.until(orders.ready);
  const channel = new RpcChannel(sim.host("shop").app);
  await sim.until(channel.oneway(ProbeService.methods.note, {}, { timeoutMs: Infinity }));
  await sim.until(channel.close());
  await sim.run(100);
  expect(aborted).toEqual([]);
  const stoppedAtMs = sim.nowMs;
  await sim.until(orders.stop());
  expect(aborted).toEqual([stoppedAtMs + 310]);
  expect(orders.leftovers).toEqual([]);
});

test.each([
  ["as long as the drain may take", 10_000, "[ok]"],
  ["and no longer", 1000, "connection lost: closed by the provider"],
])("a large reply to a slow caller may leave: %s", async (_what, drainTimeoutMs, outcome) => {
  const sim = new Simulation({ network: { windowBytes: [1000, 1000] } });
  const settings = { provider: { drainTimeoutMs } };
  const program = probeProgram({ echo: () => ({ data: Buffer.alloc(50_000) }) });
  const orders = sim.host("orders", program, { settings });
  await sim.until(orders.ready);
  const shop = sim.host("shop");
  const call = new ProbeServiceStub(new RpcChannel(shop.app)).echo({}, { timeoutMs: 60_000 });
  const ended = call.then(
    ({ data }) => `[ok] ${data.length}`,
    (error) => String(error),
  );
  // The reply takes five seconds.
  shop.readBytesPerMs = 10;
  await sim.run(50);
  const stopped = orders.stop();
  expect(await sim.until(ended)).toContain(outcome);
  await sim.until(stopped);
});
