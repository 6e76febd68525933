import { describe, expect, test } from "vitest";
import { RpcProvider } from "../../src/server/provider.js";
import { Health } from "../../src/services/builtin.js";
import type { SettingsInit } from "../../src/testing/index.js";
import type { Transport } from "../../src/transport/transport.js";
import { deferred } from "../support/async.js";
import { Cluster } from "../support/cluster.js";
import { ProbeService, SideService } from "../support/gen/probe.js";
import { ProbeService as TwinService } from "../support/gen/twin.js";
import { RawPeer } from "../support/raw-peer.js";
import { fresh, NotedRegistry, probe } from "./support.js";

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
    expect(() =>
      provider.notifyService(Health, { check: () => ({}), watch: () => [], list: () => ({}) }),
    ).toThrow("is built in");
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
      ...{ weight: 3, attributes: { version: "1.4" }, protocols: ["mprpc"] },
    });
    expect(registry.registrations[1]).toMatchObject({
      service: "probe.SideService",
      protocols: ["mprpc", "classic"],
    });
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
