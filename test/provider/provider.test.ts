import { describe, expect, test } from "vitest";
import { Health, Reflection, ServingStatus } from "../../src/call/builtin.js";
import { RpcProvider } from "../../src/provider/provider.js";
import type { Registration, RegistrationHandle } from "../../src/registry/registry.js";
import { memoryRegistry, type SettingsInit, settle } from "../../src/testing/index.js";
import type { Transport } from "../../src/transport/transport.js";
import { deferred, failure } from "../support/async.js";
import { Cluster, startPair } from "../support/cluster.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { ProbeService, ProbeServiceStub, SideService } from "../support/gen/probe.js";
import { ProbeService as TwinService } from "../support/gen/twin.js";
import { RawPeer } from "../support/raw-peer.js";

const probe = {
  echo: <T>(request: T) => request,
  relay: <T>(request: T) => request,
  note: <T>(request: T) => request,
};

/** A registry that writes down what it is asked, and does as `act` says. */
class NotedRegistry extends FixedRegistry {
  readonly registrations: Registration[] = [];
  readonly order: string[] = [];
  act: (registration: Registration, signal?: AbortSignal) => Promise<void> = async () => {};
  leave: () => Promise<void> = async () => {};

  override async register(registration?: Registration, signal?: AbortSignal): Promise<RegistrationHandle> {
    if (registration === undefined) throw new Error("nothing to register");
    await this.act(registration, signal);
    this.registrations.push(registration);
    this.order.push(`register ${registration.service}`);
    return {
      unregister: async () => {
        this.order.push(`unregister ${registration.service}`);
        await this.leave();
      },
    };
  }
}

function fresh(settings: SettingsInit = {}, registry = new NotedRegistry([])) {
  const cluster = new Cluster({ settings });
  const runtime = cluster.runtime({ registry });
  const provider = new RpcProvider(runtime);
  cluster.onClose(() => provider.shutdown());
  return { cluster, runtime, provider, registry };
}

describe("notifyService", () => {
  test("takes several services, and chains", async () => {
    const { provider, registry } = fresh();
    provider.notifyService(ProbeService, probe).notifyService(SideService, { echo: (r) => r });
    await provider.start();
    expect(registry.order).toEqual(["register probe.ProbeService", "register probe.SideService"]);
  });

  test("the same service twice", () => {
    const { provider } = fresh();
    provider.notifyService(ProbeService, probe);
    expect(() => provider.notifyService(ProbeService, probe)).toThrow(
      "notifyService: probe.ProbeService was given already",
    );
  });

  test("missing handlers are named, all of them", () => {
    const { provider } = fresh();
    expect(() => provider.notifyService(ProbeService, { relay: 7 } as never)).toThrow(
      "notifyService: the handlers of probe.ProbeService lack echo(), relay(), note()",
    );
  });

  test.each([
    [undefined, "undefined"],
    [null, "null"],
    ["echo", '"echo"'],
  ])("handlers that are %s", (handlers, text) => {
    const { provider } = fresh();
    expect(() => provider.notifyService(ProbeService, handlers as never)).toThrow(
      `notifyService: the handlers of probe.ProbeService are no object, but ${text}`,
    );
  });

  test.each([
    [{ weight: 0 }, RangeError],
    [{ weight: "2" }, TypeError],
    [{ classic: "no" }, TypeError],
    [{ wieght: 2 }, TypeError],
  ])("a bad option %j", (options, kind) => {
    const { provider } = fresh();
    expect(() => provider.notifyService(ProbeService, probe, options as never)).toThrow(kind);
  });

  test("two services with one short name: an error, unless one is not for classic callers", () => {
    const { provider } = fresh();
    provider.notifyService(ProbeService, probe);
    expect(() => provider.notifyService(TwinService, { echo: (r) => r })).toThrow(
      "notifyService: twin.ProbeService and probe.ProbeService are both ProbeService to classic callers: give one { classic: false }",
    );
    provider.notifyService(TwinService, { echo: (r) => r }, { classic: false });
    const other = fresh({ provider: { classic: false } }).provider;
    other.notifyService(ProbeService, probe).notifyService(TwinService, { echo: (r) => r });
  });

  test("too late once started; a built-in service never", async () => {
    const { provider } = fresh();
    expect(() => provider.notifyService(Health, { check: () => ({}) })).toThrow("is built in");
    await provider.start();
    expect(() => provider.notifyService(ProbeService, probe)).toThrow("comes too late");
  });

  test("attributes, weight and classic reach the registry", async () => {
    const { provider, registry } = fresh();
    const options = { weight: 3, attributes: { version: "1.4" }, classic: false };
    provider.notifyService(ProbeService, probe, options).notifyService(SideService, { echo: (r) => r });
    const { port } = await provider.start();
    expect(registry.registrations[0]).toMatchObject({
      service: "probe.ProbeService",
      methods: ["Echo", "Relay", "Note"],
      address: { host: "127.0.0.1", port },
      ...options,
    });
    expect(registry.registrations[1]).toMatchObject({ service: "probe.SideService", classic: true });
    expect(registry.registrations[1]).not.toHaveProperty("weight");
  });
});

describe("start", () => {
  test("registers only when it listens", async () => {
    const { provider, registry, cluster } = fresh();
    let reachable = false;
    registry.act = async ({ address }) => {
      const peer = await RawPeer.connect(cluster.network, address);
      reachable = true;
      peer.connection.destroy();
    };
    provider.notifyService(ProbeService, probe);
    await provider.start();
    expect(reachable).toBe(true);
  });

  test("without a service it starts, for its health and reflection, and warns", async () => {
    const cluster = new Cluster({});
    const provider = new RpcProvider(cluster.runtime());
    await provider.start();
    expect(cluster.log.at("warn")).toEqual(["no service was given (notifyService)"]);
    await provider.shutdown();
  });

  test("a port that is taken: says so and leaves nothing behind", async () => {
    const first = fresh();
    const { port } = await first.provider.start();
    const registry = new NotedRegistry([]);
    const listen = { host: "127.0.0.1", port };
    const runtime = first.cluster.runtime({ registry, settings: { provider: { listen } } });
    const provider = new RpcProvider(runtime);
    provider.notifyService(ProbeService, probe);
    await expect(provider.start()).rejects.toThrow(`cannot listen on 127.0.0.1:${port}: EADDRINUSE`);
    expect(registry.order).toEqual([]);
    await expect(provider.start()).rejects.toThrow("the provider is stopped");
    await provider.shutdown();
  });

  test.each([false, true])(
    "a registry that refuses the second service: the first is withdrawn, the port free (tcp %s)",
    async (tcp) => {
      const cluster = new Cluster({ tcp });
      const registry = new NotedRegistry([]);
      let peer: RawPeer | undefined;
      let port = 0;
      registry.act = async ({ service, address }) => {
        port = address.port;
        // Somebody is connected already; it must not hold up the failure.
        peer ??= await RawPeer.connect(cluster.transport, address);
        if (service === "probe.SideService") throw new Error("no permission");
      };
      const provider = new RpcProvider(cluster.runtime({ registry }));
      provider.notifyService(ProbeService, probe).notifyService(SideService, { echo: (r) => r });
      await expect(provider.start()).rejects.toThrow("no permission");
      expect(registry.order).toEqual(["register probe.ProbeService", "unregister probe.ProbeService"]);
      await peer?.end();
      const listener = await cluster.transport.listen({ host: "127.0.0.1", port }, () => {});
      await listener.close();
      await provider.shutdown();
    },
  );

  test("twice is an error", async () => {
    const { provider } = fresh();
    await provider.start();
    await expect(provider.start()).rejects.toThrow("RpcProvider.start(): the provider is serving");
  });

  test("shutdown meanwhile breaks it off, even when the registry does not answer", async () => {
    const { provider, registry } = fresh();
    const asked = deferred();
    registry.act = (_, signal) =>
      new Promise((_resolve, reject) => {
        asked.resolve();
        signal?.addEventListener("abort", () => reject(signal.reason));
      });
    provider.notifyService(ProbeService, probe);
    const started = provider.start();
    started.catch(() => {});
    await asked.promise;
    await provider.shutdown();
    await expect(started).rejects.toThrow("the provider was shut down while it started");
    expect(provider.connections).toBe(0);
  });
});

describe("the advertised address", () => {
  const advertisedOf = async (
    settings: SettingsInit["provider"],
    servers?: { host: string; port: number }[],
  ) => {
    const registry = new NotedRegistry([]);
    if (servers !== undefined) Object.assign(registry, { servers });
    const cluster = new Cluster({});
    const asked: string[] = [];
    const transport: Transport = {
      connect: cluster.network.connect.bind(cluster.network),
      listen: cluster.network.listen.bind(cluster.network),
      localHostTowards: async ({ host }) => {
        asked.push(host);
        return "10.0.0.7";
      },
    };
    const runtime = cluster.runtime({ registry, transport, settings: { provider: { ...settings } } });
    const provider = new RpcProvider(runtime);
    provider.notifyService(ProbeService, probe);
    cluster.onClose(() => provider.shutdown());
    const bound = await provider.start();
    return { bound, advertised: registry.registrations[0]?.address, asked };
  };

  test("is the bound one", async () => {
    const { bound, advertised } = await advertisedOf({ listen: { host: "127.0.0.1", port: 0 } });
    expect(bound.port).toBeGreaterThan(0);
    expect(advertised).toEqual(bound);
  });

  test("is what the conf says; its port 0 is the bound port", async () => {
    const fixed = await advertisedOf({ advertise: { host: "api.example", port: 99 } });
    expect(fixed.advertised).toEqual({ host: "api.example", port: 99 });
    const open = await advertisedOf({ advertise: { host: "api.example", port: 0 } });
    expect(open.advertised).toEqual({ host: "api.example", port: open.bound.port });
  });

  test.each(["0.0.0.0", "::"])("of a wildcard %s is the local address towards the registry", async (host) => {
    const { bound, advertised, asked } = await advertisedOf({ listen: { host, port: 0 } }, [
      { host: "10.0.0.1", port: 2181 },
    ]);
    expect(advertised).toEqual({ host: "10.0.0.7", port: bound.port });
    expect(asked).toEqual(["10.0.0.1"]);
  });

  test("of a wildcard without a server is 127.0.0.1", async () => {
    const { bound, advertised } = await advertisedOf({ listen: { host: "0.0.0.0", port: 0 } });
    expect(advertised).toEqual({ host: "127.0.0.1", port: bound.port });
  });
});

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

describe("built-in services", () => {
  async function withBuiltin() {
    const pair = await startPair();
    const { channel } = pair;
    const resolvable = { service: "probe.ProbeService" };
    // Built-in services stand in no registry: they are asked at an endpoint.
    const check = (service: string) =>
      channel.call({ ...Health.methods.check }, { service }) as Promise<{ status: number }>;
    return { ...pair, check, resolvable };
  }

  test("health: SERVING, NOT_SERVING, NOT_FOUND", async () => {
    const { cluster, provider } = await withBuiltin();
    const address = provider.address as { host: string; port: number };
    const registry = new FixedRegistry([{ ...address, protocol: "mprpc", weight: 1, attributes: {} }]);
    const channel = cluster.channel({ registry });
    const check = (service: string) => channel.call(Health.methods.check, { service });
    expect(await check("")).toEqual({ status: ServingStatus.SERVING });
    expect(await check("probe.ProbeService")).toEqual({ status: ServingStatus.SERVING });
    provider.setServing("probe.ProbeService", false);
    expect(await check("probe.ProbeService")).toEqual({ status: ServingStatus.NOT_SERVING });
    expect(await check("")).toEqual({ status: ServingStatus.SERVING });
    provider.setServing("probe.ProbeService", true);
    expect(await check("probe.ProbeService")).toEqual({ status: ServingStatus.SERVING });
    expect(await failure(check("no.Such"))).toMatchObject({
      codeName: "NOT_FOUND",
      rawMessage: "this provider has no service no.Such",
    });
    expect(() => provider.setServing("no.Such", true)).toThrow(TypeError);
  });

  test("health that was set before the start stays", async () => {
    const { provider, cluster } = fresh();
    provider.notifyService(ProbeService, probe);
    provider.setServing("probe.ProbeService", false);
    const address = await provider.start();
    const registry = new FixedRegistry([{ ...address, protocol: "mprpc", weight: 1, attributes: {} }]);
    const reply = await cluster
      .channel({ registry })
      .call(Health.methods.check, { service: "probe.ProbeService" });
    expect(reply.status).toBe(ServingStatus.NOT_SERVING);
  });

  test("reflection: names and descriptors", async () => {
    const { cluster, provider } = await withBuiltin();
    const address = provider.address as { host: string; port: number };
    const registry = new FixedRegistry([{ ...address, protocol: "mprpc", weight: 1, attributes: {} }]);
    const channel = cluster.channel({ registry });
    const { services } = await channel.call(Reflection.methods.listServices, {});
    expect(services).toEqual(["probe.ProbeService"]);
    const { descriptors } = await channel.call(Reflection.methods.describe, {
      service: "probe.ProbeService",
    });
    expect(JSON.parse(descriptors[0] as string)).toHaveProperty("nested.probe");
    expect((await failure(channel.call(Reflection.methods.describe, { service: "x.Y" }))).codeName).toBe(
      "NOT_FOUND",
    );
  });
});

test("memory registry: a caller finds the provider, and loses it at shutdown", async () => {
  const cluster = new Cluster({});
  const registry = memoryRegistry({ store: cluster.store, clock: cluster.clock });
  const provider = await cluster.provider();
  const seen: number[] = [];
  const watch = registry.watch("probe.ProbeService", ({ endpoints }) => void seen.push(endpoints.length));
  await settle();
  await provider.shutdown();
  await settle();
  watch.close();
  expect(seen).toEqual([1, 0]);
});
