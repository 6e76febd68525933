import { describe, expect, test } from "vitest";
import { Kind } from "../../src/protocol/mprpc/wire/header.js";
import { RpcProvider } from "../../src/server/provider.js";
import { Health, ServingStatus } from "../../src/services/builtin.js";
import { settle } from "../../src/testing/index.js";
import { deferred, failure } from "../support/async.js";
import { Cluster, startPair } from "../support/cluster.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { ProbeService, ProbeServiceStub } from "../support/gen/probe.js";
import { RawPeer, settingsFrame } from "../support/raw-peer.js";
import { fresh, NotedRegistry, probe } from "./support.js";

describe("shutdown", () => {
  test("in order: out of the registry, no new calls, the calls in flight, the connections", async () => {
    const order: string[] = [];
    const hold = deferred();
    const registry = new NotedRegistry([]);
    const cluster = new Cluster({ settings: { provider: { drainTimeoutMs: 10_000 } } });
    const runtime = cluster.runtime({ registry });
    const provider = new RpcProvider(runtime);
    provider.notifyService(ProbeService, {
      ...probe,
      async echo(request) {
        await hold.promise;
        order.push("handler done");
        return request;
      },
    });
    const health = deferred<number>();
    runtime.events.on("connectionClose", () => void order.push("connection closed"));
    registry.leave = async () => {
      order.push("left the registry");
      // Health says so before callers are sent away.
      const { status } = await channel.call(Health.methods.check, { service: "" });
      health.resolve(status);
    };
    const address = await provider.start();
    const channel = cluster.channel({
      registry: new FixedRegistry([{ ...address, protocol: "mprpc", weight: 1, attributes: {} }]),
    });
    const call = new ProbeServiceStub(channel).echo({ text: "in flight" });
    await settle();
    const stopped = provider.shutdown();
    expect(await health.promise).toBe(ServingStatus.NOT_SERVING);
    await settle();
    expect(provider.inFlight).toBe(1);
    // Gone from the listener too.
    await expect(cluster.network.connect(address, { timeoutMs: 10 })).rejects.toThrow("ECONNREFUSED");
    hold.resolve();
    expect((await call).text).toBe("in flight");
    await cluster.clock.run(1100);
    await stopped;
    expect(order).toEqual(["left the registry", "handler done", "connection closed"]);
    expect([provider.inFlight, provider.connections]).toEqual([0, 0]);
  });

  test("what does not end in time is cancelled, told to the caller, and warned about", async () => {
    const signals: AbortSignal[] = [];
    const { provider, stub, clock, log } = await startPair({
      settings: { provider: { drainTimeoutMs: 3000 } },
      handlers: {
        echo(_, { signal }) {
          signals.push(signal);
          return new Promise(() => {});
        },
      },
    });
    const call = failure(stub.echo({}, { timeoutMs: Infinity }));
    await settle();
    const stopped = provider.shutdown();
    await clock.run(2900);
    expect(signals[0]?.aborted).toBe(false);
    await clock.run(200);
    await stopped;
    expect(await call).toMatchObject({
      codeName: "UNAVAILABLE",
      executed: "maybe",
      rawMessage: "the provider stopped",
    });
    expect(signals[0]?.aborted).toBe(true);
    expect(log.at("warn")).toEqual(["1 calls still in flight are cancelled (provider.draintimeout)"]);
    expect([provider.inFlight, provider.connections]).toEqual([0, 0]);
  });

  test("a registry that does not answer holds it up no longer than the drain", async () => {
    const { provider, registry, cluster } = fresh({ provider: { drainTimeoutMs: 2000 } });
    provider.notifyService(ProbeService, probe);
    await provider.start();
    registry.leave = () => new Promise(() => {});
    const stopped = provider.shutdown();
    await cluster.clock.run(2100);
    await stopped;
  });

  test("a registry that fails is no reason to fail", async () => {
    const { provider, registry } = fresh();
    provider.notifyService(ProbeService, probe);
    await provider.start();
    registry.leave = () => Promise.reject(new Error("away"));
    await provider.shutdown();
  });

  test("is idempotent, works before start, and is what `await using` does", async () => {
    const { provider } = fresh();
    expect(provider.shutdown()).toBe(provider.shutdown());
    await provider.shutdown();
    await expect(provider.start()).rejects.toThrow("the provider is stopped");
    const cluster = new Cluster({});
    let port = 0;
    {
      await using own = new RpcProvider(cluster.runtime());
      port = (await own.start()).port;
    }
    await expect(cluster.network.connect({ host: "127.0.0.1", port }, { timeoutMs: 10 })).rejects.toThrow();
  });

  test("connections that never said a word are reset when they have had a second to", async () => {
    const { provider, cluster } = fresh();
    const address = await provider.start();
    const peer = await RawPeer.connect(cluster.network, address);
    await settle();
    const stopped = provider.shutdown();
    await cluster.clock.run(990);
    expect(provider.connections).toBe(1);
    await cluster.clock.run(10);
    await stopped;
    await peer.end();
    expect(provider.connections).toBe(0);
  });

  test("nothing recognised within 5 s is refused", async () => {
    const { provider, cluster } = fresh();
    const address = await provider.start();
    const peer = await RawPeer.connect(cluster.network, address);
    peer.send(Buffer.of(0x19));
    await cluster.clock.run(4900);
    expect(peer.ended || peer.closed).toBe(false);
    await cluster.clock.run(200);
    await peer.end();
    expect(cluster.log.at("warn")).toEqual([
      "no service was given (notifyService)",
      "connection refused: no protocol recognised within 5000 ms (1 bytes came)",
    ]);
  });

  test("unless the provider had no time to read them", async () => {
    const { provider, cluster } = fresh();
    const peer = await RawPeer.connect(cluster.network, await provider.start());
    peer.send(settingsFrame());
    // As after a stall of its process: the timer is first.
    cluster.clock.jump(6000);
    await peer.frame(Kind.SETTINGS);
    await cluster.clock.run(6000);
    expect(provider.connections).toBe(1);
  });

  test("nor is a first header that does not end by then", async () => {
    const { provider, cluster } = fresh();
    const address = await provider.start();
    const peer = await RawPeer.connect(cluster.network, address);
    peer.send(Buffer.from("6000000020", "hex"));
    for (let i = 0; i < 49; i++) {
      await cluster.clock.run(100);
      peer.send(Buffer.of(0x20));
    }
    expect(peer.ended || peer.closed).toBe(false);
    await cluster.clock.run(200);
    await peer.end();
    expect(cluster.log.at("warn").at(-1)).toBe(
      "connection refused: its first header was not whole within 5000 ms (54 bytes came)",
    );
    expect(provider.connections).toBe(0);
  });
});
