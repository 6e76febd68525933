import { describe, expect, test } from "vitest";
import { settle } from "../../src/testing/index.js";
import { deferred, failure } from "../support/async.js";
import { Cluster, startPair } from "../support/cluster.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { ProbeServiceStub as TwinServiceStub } from "../support/gen/twin.js";
import { addressOf, at } from "./support.js";

describe("connections", () => {
  test("one each, or as many as the conf says", async () => {
    for (const connections of [1, 3]) {
      const { stub, provider } = await startPair({ settings: { channel: { connections } } });
      for (let i = 0; i < 10; i++) await stub.echo({});
      expect(provider.connections).toBe(connections);
    }
  });

  test("calls are spread over them, the least busy first", async () => {
    const peers = new Map<string, number>();
    const hold = deferred();
    const { stub } = await startPair({
      settings: { channel: { connections: 2 } },
      handlers: {
        async relay(request, { peer }) {
          peers.set(peer.address, (peers.get(peer.address) ?? 0) + 1);
          await hold.promise;
          return request;
        },
      },
    });
    await stub.echo({});
    await stub.echo({});
    const calls = Array.from({ length: 20 }, () => stub.relay({}));
    await settle();
    expect([...peers.values()]).toEqual([10, 10]);
    hold.resolve();
    await Promise.all(calls);
  });

  test("an endpoint that leaves the registry: calls in flight end, then its connection", async () => {
    const hold = deferred();
    const { cluster, provider } = await startPair({
      handlers: {
        async echo(request) {
          await hold.promise;
          return request;
        },
      },
    });
    const registry = new FixedRegistry([at(addressOf(provider))]);
    const stub = new ProbeServiceStub(cluster.channel({ registry }));
    const call = stub.echo({ text: "in flight" });
    await settle();
    registry.publish([]);
    await settle();
    expect(provider.connections).toBe(1);
    expect((await failure(stub.echo({}))).rawMessage).toContain("no provider of");
    hold.resolve();
    expect((await call).text).toBe("in flight");
    await settle();
    expect(provider.connections).toBe(0);
  });

  test("the same address with a new incarnation: new calls on a new connection, old ones end", async () => {
    const hold = deferred();
    const {
      cluster,
      provider,
      runtime: _,
    } = await startPair({
      handlers: {
        async relay(request) {
          await hold.promise;
          return request;
        },
        echo: (_request, { peer }) => ({ text: peer.address }),
      },
    });
    const port = addressOf(provider);
    const registry = new FixedRegistry([at(port, { incarnation: "1" })]);
    const stub = new ProbeServiceStub(cluster.channel({ registry }));
    const first = (await stub.echo({})).text;
    const old = stub.relay({ text: "old" });
    await settle();
    registry.publish([at(port, { incarnation: "2" })]);
    const second = (await stub.echo({})).text;
    expect(second).not.toBe(first);
    hold.resolve();
    expect((await old).text).toBe("old");
    await settle();
    expect(provider.connections).toBe(1);
    registry.publish([at(port, { incarnation: "2", weight: 7 })]);
    expect((await stub.echo({})).text).toBe(second);
  });

  test.each([
    ["within seconds of its restart, for each of its services: its connection stays", 1000, true],
    ["long after: it has restarted once more, perhaps unseen", 11_000, false],
  ])("a provider that was met again before the registry tells of it, %s", async (_, laterMs, stays) => {
    const cluster = new Cluster({ seed: 3 });
    const settings = { provider: { listen: { host: "127.0.0.1", port: 4711 } } };
    const handlers = {
      echo: (_request: unknown, { peer }: { peer: { address: string } }) => ({ text: peer.address }),
    };
    const before = await cluster.provider(handlers, { settings });
    const registry = new FixedRegistry([at(4711, { incarnation: "1" })]);
    const channel = cluster.channel({ registry });
    const stub = new ProbeServiceStub(channel);
    const first = (await stub.echo({})).text;
    expect((await failure(new TwinServiceStub(channel).echo({}))).codeName).toBe("UNIMPLEMENTED");
    const stopped = before.shutdown();
    await cluster.clock.run(2000);
    await stopped;
    const after = await cluster.provider(handlers, { settings });
    const again = (await stub.echo({})).text;
    expect(again).not.toBe(first);
    await cluster.clock.run(laterMs);
    // Two services watch: each is told, and one connection serves both.
    registry.publish([at(4711, { incarnation: "2" })]);
    await cluster.clock.run(500);
    const then = (await stub.echo({})).text;
    expect(then === again).toBe(stays);
    expect(after.connections).toBe(1);
  });

  test("a half-open connection is found out, and the next call uses a new one", async () => {
    const { stub, network, clock, provider } = await startPair();
    await stub.echo({});
    network.dropAll();
    const call = failure(stub.echo({}, { timeoutMs: 60_000 }));
    await clock.run(14_100);
    expect(await call).toMatchObject({ codeName: "UNAVAILABLE", executed: "maybe" });
    expect((await stub.echo({ text: "again" })).text).toBe("again");
    expect(provider.connections).toBe(1);
  });

  test("a connection at its age is replaced without a failed call", async () => {
    const { stub, clock, provider } = await startPair({
      settings: { provider: { connectionMaxAgeMs: 60_000 } },
      handlers: { echo: (_, { peer }) => ({ text: peer.address }) },
    });
    const peers = new Set<string>();
    for (let i = 0; i < 80; i++) {
      peers.add((await stub.echo({})).text);
      await clock.run(2000);
    }
    expect(peers.size).toBe(3);
    expect(provider.connections).toBe(1);
  });
});
