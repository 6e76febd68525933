import { describe, expect, test } from "vitest";
import { RpcChannel } from "../../src/client/channel.js";
import { Cluster } from "../support/cluster.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { startMany, tally } from "./support.js";

describe("options", () => {
  test.each([
    [{ timeoutMs: 0 }, RangeError, 'option "timeoutMs"'],
    [{ timeoutMs: "5s" }, TypeError, 'option "timeoutMs"'],
    [{ balancer: "fastest" }, TypeError, '"roundrobin", "random", "p2c"'],
    [{ interceptors: [1] }, TypeError, 'option "interceptors"'],
    [{ registry: {} }, TypeError, 'option "registry"'],
    [{ waitforready: true }, TypeError, "waitForReady"],
  ])("%j is refused with its name", (options, kind, text) => {
    const runtime = new Cluster({}).runtime();
    expect(() => new RpcChannel(runtime, options as never)).toThrow(kind);
    expect(() => new RpcChannel(runtime, options as never)).toThrow(text);
  });
});

describe("balancing", () => {
  test("round robin: each in turn", async () => {
    const { cluster } = await startMany(["a", "b", "c"]);
    expect(await tally(new ProbeServiceStub(cluster.channel()), 30)).toEqual({ a: 10, b: 10, c: 10 });
  });

  test("weights of the registry count", async () => {
    const cluster = new Cluster({});
    await cluster.provider({ echo: () => ({ text: "a" }) }, { weight: 3 });
    await cluster.provider({ echo: () => ({ text: "b" }) });
    expect(await tally(new ProbeServiceStub(cluster.channel()), 40)).toEqual({ a: 30, b: 10 });
  });

  test("random and p2c reach everybody", async () => {
    const { cluster } = await startMany(["a", "b", "c"]);
    for (const balancer of ["random", "p2c"] as const) {
      const counts = await tally(new ProbeServiceStub(cluster.channel({ balancer })), 120);
      expect(Object.keys(counts).sort()).toEqual(["a", "b", "c"]);
    }
  });

  test("p2c goes where it is quick", async () => {
    const cluster = new Cluster({});
    let waits = 0;
    await cluster.provider({ echo: () => ({ text: "quick" }) });
    await cluster.provider({
      echo() {
        cluster.clock.advance(200);
        waits++;
        return { text: "slow" };
      },
    });
    const counts = await tally(new ProbeServiceStub(cluster.channel({ balancer: "p2c" })), 100);
    expect(waits).toBeLessThan(10);
    expect(counts.quick).toBeGreaterThan(90);
  });

  test("p2c: an endpoint that swallows calls until their deadline is not a quick one", async () => {
    const cluster = new Cluster({ settings: { callTimeoutMs: 100 } });
    await cluster.provider({ echo: () => ({ text: "good" }) });
    let swallowed = 0;
    await cluster.provider({
      echo() {
        swallowed++;
        return new Promise(() => {});
      },
    });
    const stub = new ProbeServiceStub(cluster.channel({ balancer: "p2c" }));
    for (let i = 0; i < 60; i++) {
      const call = stub.echo({}).catch(() => {});
      await cluster.clock.run(i % 4 === 0 ? 120 : 1);
      if (i % 4 === 0) await call;
    }
    expect(swallowed).toBeLessThan(12);
    await cluster.clock.run(200);
  });
});
