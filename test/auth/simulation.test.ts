import { expect, test } from "vitest";
import { RpcChannel, RpcProvider, Status } from "../../src/index.js";
import { simulate } from "../../src/testing/index.js";
import { failure } from "../support/async.js";
import { ProbeService, ProbeServiceStub } from "../support/gen/probe.js";

test("a policy holds in the simulation, whatever the network does", async () => {
  await simulate({ seeds: 10, twice: 1 }, async (sim) => {
    sim.host("orders", async (app) => {
      const provider = new RpcProvider(app, { policy: { "probe.*": "secret:shop" } });
      provider.notifyService(ProbeService, {
        echo: (_request, { peer }) => ({ text: peer.identities.transport ?? "" }),
        relay: (request) => request,
        note: (request) => request,
      });
      await provider.start();
      return provider;
    });
    const shop = sim.host("shop", () => {}, { identity: "secret:shop" });
    const stranger = sim.host("stranger");
    await sim.run(200);
    const stubOf = (host: typeof shop) => new ProbeServiceStub(new RpcChannel(host.app));
    const served = sim.until(stubOf(shop).echo({}));
    expect((await served).text).toBe("secret:shop");
    const refused = await sim.until(failure(stubOf(stranger).echo({})));
    expect(refused).toMatchObject({ code: Status.UNAUTHENTICATED, executed: "never" });
  });
});
