import { describe, expect, test } from "vitest";
import type { RpcProvider } from "../../src/server/provider.js";
import { settle } from "../../src/testing/index.js";
import { failure } from "../support/async.js";
import { Cluster, startPair } from "../support/cluster.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { addressOf, at, startMany, tally } from "./support.js";

describe("endpoints that are down", () => {
  test("are skipped; calls that find one go on to the next, transparently", async () => {
    const { cluster, providers } = await startMany(["a"]);
    const registry = new FixedRegistry([at(1), at(addressOf(providers.get("a") as RpcProvider)), at(2)]);
    const runtime = cluster.runtime();
    const retries: number[] = [];
    runtime.events.on("attemptEnd", ({ attempt, again }) => {
      if (again) retries.push(attempt.number);
    });
    const stub = new ProbeServiceStub(cluster.channel({ registry }, runtime));
    expect(await tally(stub, 20)).toEqual({ a: 20 });
    // Each dead endpoint cost one attempt, once.
    expect(retries.length).toBeLessThanOrEqual(2);
  });

  test("are tried again after 1 s, 1.6 s, 2.56 s ... up to 120 s, and a registry event resets it", async () => {
    const { cluster, clock } = await startMany([]);
    const attempts: number[] = [];
    const transport = {
      connect: async () => {
        attempts.push(clock.now());
        throw new Error("ECONNREFUSED");
      },
      listen: cluster.network.listen.bind(cluster.network),
      localHostTowards: async () => "127.0.0.1",
    };
    const registry = new FixedRegistry([at(1)]);
    const runtime = cluster.runtime({ transport, random: () => 0.5 });
    const stub = new ProbeServiceStub(cluster.channel({ registry }, runtime));
    await failure(stub.echo({}));
    await clock.run(700_000);
    const gaps = attempts.slice(1).map((ms, i) => Math.round(ms - (attempts[i] as number)));
    expect(gaps.slice(0, 5)).toEqual([1000, 1600, 2560, 4096, 6554]);
    expect(gaps.at(-1)).toBe(120_000);
    const before = attempts.length;
    registry.publish([at(1, { incarnation: "new" })]);
    await settle();
    // All callers hear of it in the same moment, and come spread over a quarter of a second.
    expect(attempts.length).toBe(before);
    await clock.run(250);
    expect(attempts.length).toBe(before + 1);
  });

  test("a provider that comes back is used again without a registry event", async () => {
    const cluster = new Cluster({});
    const registry = new FixedRegistry([at(4711)]);
    const stub = new ProbeServiceStub(cluster.channel({ registry }));
    await failure(stub.echo({}));
    const runtime = cluster.runtime({
      settings: { provider: { listen: { host: "127.0.0.1", port: 4711 } } },
    });
    const { RpcProvider } = await import("../../src/server/provider.js");
    const { ProbeService } = await import("../support/gen/probe.js");
    const provider = new RpcProvider(runtime);
    provider.notifyService(ProbeService, { echo: () => ({ text: "back" }), relay: (r) => r, note: (r) => r });
    await provider.start();
    cluster.onClose(() => provider.shutdown());
    expect((await failure(stub.echo({}))).codeName).toBe("UNAVAILABLE");
    await cluster.clock.run(1300);
    expect((await stub.echo({})).text).toBe("back");
  });

  test("a call tries one anyway when its last attempt is a second old", async () => {
    const { cluster, clock } = await startMany([]);
    const registry = new FixedRegistry([at(1)]);
    const runtime = cluster.runtime({ random: () => 0.99 });
    const stub = new ProbeServiceStub(cluster.channel({ registry }, runtime));
    await failure(stub.echo({}));
    await clock.run(3000);
    await cluster.network.listen({ host: "127.0.0.1", port: 1 }, () => {});
    const call = failure(stub.echo({}, { timeoutMs: 50 }));
    await clock.run(60);
    expect(await call).toMatchObject({ attempts: 1 });
  });
});

describe("waitForReady", () => {
  test("waits for a provider to register", async () => {
    const { cluster, stub } = await startPair({ handlers: null });
    const call = stub.echo({ text: "patient" }, { waitForReady: true });
    await settle();
    await cluster.provider();
    expect((await call).text).toBe("patient");
  });

  test("waits for one that is down to come back", async () => {
    const cluster = new Cluster({ channel: { waitForReady: true } });
    const registry = new FixedRegistry([at(4712)]);
    const stub = new ProbeServiceStub(cluster.channel({ registry }));
    const call = stub.echo({ text: "patient" }, { timeoutMs: 60_000 });
    await cluster.clock.run(3000);
    const provider = await cluster.provider(
      {},
      { settings: { provider: { listen: { host: "127.0.0.1", port: 4712 } } } },
    );
    await cluster.clock.run(8000);
    expect((await call).text).toBe("patient");
    expect(provider.inFlight).toBe(0);
  });

  test("ends with the deadline, which says what was waited for", async () => {
    const { stub, clock } = await startPair({ handlers: null });
    const call = failure(stub.echo({}, { waitForReady: true, timeoutMs: 300 }));
    await clock.run(310);
    const error = await call;
    expect(error).toMatchObject({ codeName: "DEADLINE_EXCEEDED", executed: "never" });
    expect(error.rawMessage).toContain("no provider of probe.ProbeService in registry memory:");
  });

  test("can be cancelled", async () => {
    const { stub } = await startPair({ handlers: null });
    const abort = new AbortController();
    const call = failure(stub.echo({}, { waitForReady: true, signal: abort.signal }));
    await settle();
    abort.abort();
    expect(await call).toMatchObject({ codeName: "CANCELLED", executed: "never" });
  });

  test("so many and no more", async () => {
    const { stub } = await startPair({ handlers: null, settings: { channel: { pendingMax: 3 } } });
    const abort = new AbortController();
    const options = { waitForReady: true, signal: abort.signal };
    const calls = Array.from({ length: 5 }, () => failure(stub.echo({}, options)));
    const error = await (calls[4] as Promise<Awaited<(typeof calls)[number]>>);
    expect(error).toMatchObject({ codeName: "RESOURCE_EXHAUSTED", executed: "never" });
    expect(error.rawMessage).toContain(
      "3 calls wait for an endpoint of probe.ProbeService already (channel.maxpending)",
    );
    abort.abort();
    await Promise.all(calls);
  });
});

test("calls that wait for a connection: so many and no more", async () => {
  const cluster = new Cluster({ settings: { channel: { pendingMax: 3 } } });
  const transport = {
    connect: () => new Promise<never>(() => {}),
    listen: cluster.network.listen.bind(cluster.network),
    localHostTowards: async () => "127.0.0.1",
  };
  const registry = new FixedRegistry([at(1)]);
  const stub = new ProbeServiceStub(cluster.channel({ registry }, cluster.runtime({ transport })));
  const first = failure(stub.echo({}, { timeoutMs: 100 }));
  await settle();
  const calls = [first, ...Array.from({ length: 4 }, () => failure(stub.echo({}, { timeoutMs: 100 })))];
  await cluster.clock.run(120);
  const errors = await Promise.all(calls);
  expect(errors.map(({ codeName }) => codeName).sort()).toEqual([
    "DEADLINE_EXCEEDED",
    "DEADLINE_EXCEEDED",
    "DEADLINE_EXCEEDED",
    "RESOURCE_EXHAUSTED",
    "RESOURCE_EXHAUSTED",
  ]);
  expect(errors[4]?.rawMessage).toBe(
    "3 calls wait for a connection to 127.0.0.1:1 already (channel.maxpending)",
  );
});
