import { expect, test } from "vitest";
import { RpcChannel } from "../../src/index.js";
import { Simulation } from "../../src/testing/index.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { probeProgram } from "../testing/support.js";

test("a call that waits for a connection to a provider which leaves the registry does not wait for it again", async () => {
  const sim = new Simulation();
  const orders = sim.host("orders", probeProgram());
  await sim.until(orders.ready);
  const shop = sim.host("shop");
  const stub = new ProbeServiceStub(new RpcChannel(shop.app));
  sim.partition(shop, orders);
  const call = stub.echo({}, { timeoutMs: Infinity });
  call.catch(() => {});
  await sim.run(50);
  await sim.until(orders.stop());
  await expect(sim.until(call, 60_000)).rejects.toThrow(
    "[unavailable] no provider of probe.ProbeService in registry simulated:",
  );
});
