import { describe, expect, onTestFinished, test } from "vitest";
import { LoginResponse, UserServiceRpcStub } from "../../example/caller/src/gen/user.js";
import { systemClock } from "../../src/base/clock.js";
import { RpcChannel } from "../../src/client/channel.js";
import { encodeMessage } from "../../src/protobuf/types.js";
import type { RpcProvider } from "../../src/server/provider.js";
import { createRuntime } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { ClassicProvider } from "../interop/classic-provider.js";
import { failure } from "../support/async.js";
import type { Cluster } from "../support/cluster.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { addressOf, at, startMany, tally } from "./support.js";

const classicAt = (port: number, methods: readonly string[] = ["Echo", "Relay"]) =>
  at(port, { protocol: "classic", methods });

/** Providers of ours by name, of which callers know some as classic ones. */
async function mixedFleet(ours: readonly string[], classic: readonly string[]) {
  const { cluster, providers } = await startMany([...ours, ...classic]);
  const portOf = (name: string) => addressOf(providers.get(name) as RpcProvider);
  const endpoints = [
    ...ours.map((name) => at(portOf(name))),
    ...classic.map((name) => classicAt(portOf(name))),
  ];
  return { cluster, providers, endpoints, portOf };
}

function stubOf(cluster: Cluster, registry: FixedRegistry): ProbeServiceStub {
  return new ProbeServiceStub(cluster.channel({ registry }));
}

describe("classic providers beside ours", () => {
  test("get no call while one of ours is up", async () => {
    const { cluster, endpoints } = await mixedFleet(["a", "b"], ["c"]);
    const counts = await tally(stubOf(cluster, new FixedRegistry(endpoints)), 20);
    expect(counts).toEqual({ a: 10, b: 10 });
  });

  test("get the calls at once when every one of ours is down, and ours get them again as soon as they are back", async () => {
    const { cluster, endpoints, portOf } = await mixedFleet([], ["c", "d"]);
    const registry = new FixedRegistry([at(4713), ...endpoints]);
    const stub = stubOf(cluster, registry);
    const counts = await tally(stub, 40);
    expect(Object.keys(counts).sort()).toEqual(["c", "d"]);
    expect(cluster.clock.now()).toBe(1_000_000);
    // For minutes: the backoff of ours has grown by then.
    for (let i = 0; i < 100; i++) {
      await cluster.clock.run(2000);
      expect(["c", "d"]).toContain((await stub.echo({})).text);
    }
    await cluster.provider(
      { echo: () => ({ text: "ours" }) },
      { settings: { provider: { listen: { host: "127.0.0.1", port: 4713 } } } },
    );
    await cluster.clock.run(1000);
    await stub.echo({});
    await cluster.clock.run(10);
    expect(await tally(stub, 10)).toEqual({ ours: 10 });
    expect(portOf("c")).not.toBe(4713);
  });

  test("are asked for the methods they have, and the text names all that are down", async () => {
    const { cluster, providers, endpoints, portOf } = await mixedFleet(["a"], ["c"]);
    const registry = new FixedRegistry([...endpoints, classicAt(4714, ["Note"])]);
    const stub = stubOf(cluster, registry);
    expect((await stub.echo({})).text).toBe("a");
    const [a, c] = [portOf("a"), portOf("c")];
    await providers.get("a")?.shutdown();
    expect(await tally(stub, 20)).toEqual({ c: 20 });
    await providers.get("c")?.shutdown();
    const error = await failure(stub.echo({}));
    expect(error).toMatchObject({ codeName: "UNAVAILABLE", executed: "never", phase: "connect" });
    expect(error.rawMessage).toBe(
      `every endpoint of probe.ProbeService is down: cannot connect to 127.0.0.1:${a}: ECONNREFUSED, ` +
        `cannot connect to 127.0.0.1:${c}: ECONNREFUSED (classic), classic 127.0.0.1:4714 has no Echo`,
    );
  });

  test("get no oneway call, which their wire does not have", async () => {
    const { cluster, endpoints } = await mixedFleet([], ["c"]);
    const registry = new FixedRegistry([at(4715), ...endpoints]);
    const channel = cluster.channel({ registry });
    const { ProbeService } = await import("../support/gen/probe.js");
    const error = await failure(channel.oneway(ProbeService.methods.echo, {}));
    expect(error).toMatchObject({ codeName: "UNAVAILABLE", executed: "never" });
    expect(error.rawMessage).toContain("127.0.0.1:4715: ECONNREFUSED");
  });

  test("a call that waits for ours goes to a classic one that comes", async () => {
    const { cluster, endpoints } = await mixedFleet([], ["c"]);
    const registry = new FixedRegistry([at(4716)]);
    const call = stubOf(cluster, registry).echo({}, { waitForReady: true });
    await cluster.clock.run(100);
    registry.publish([at(4716), ...endpoints]);
    expect((await call).text).toBe("c");
  });
});

test("over TCP: a provider of ours that is gone, and one of the classic framework that serves on", async () => {
  const classic = await ClassicProvider.start("le32", (service, method) =>
    service === "UserServiceRpc" && method === "Login"
      ? encodeMessage(LoginResponse, { result: { errmsg: "classic" }, success: true })
      : undefined,
  );
  onTestFinished(() => classic.stop());
  const gone = await ClassicProvider.start("le32", () => undefined);
  await gone.stop();
  const registry = new FixedRegistry([at(gone.port), classicAt(classic.port, ["Login"])]);
  const runtime = createRuntime({ transport: tcpTransport(systemClock), registry });
  const channel = new RpcChannel(runtime);
  onTestFinished(() => channel.close());
  const user = new UserServiceRpcStub(channel);
  for (let i = 0; i < 20; i++) {
    expect((await user.login({ name: "zhang san" })).result?.errmsg.toString()).toBe("classic");
  }
  expect(classic.connections).toBe(20);
});

describe("classic providers that are not to be called", () => {
  const authenticated = (registry: FixedRegistry) => Object.assign(registry, { authenticated: true });

  test("the conf says no: the text names them and the key", async () => {
    const { cluster, endpoints, portOf } = await mixedFleet([], ["c"]);
    const registry = new FixedRegistry(endpoints);
    const runtime = cluster.runtime({ settings: { channel: { classic: false } } });
    const error = await failure(new ProbeServiceStub(cluster.channel({ registry }, runtime)).echo({}));
    expect(error).toMatchObject({ codeName: "UNAVAILABLE", executed: "never", attempts: 0 });
    expect(error.rawMessage).toBe(
      "no mprpc provider of probe.ProbeService in registry fixed:; " +
        `classic providers are not called, channel.classic: 127.0.0.1:${portOf("c")}`,
    );
  });

  test("nor beside ours that are down", async () => {
    const { cluster, endpoints, portOf } = await mixedFleet([], ["c"]);
    const registry = new FixedRegistry([at(4717), ...endpoints]);
    const error = await failure(new ProbeServiceStub(cluster.channel({ registry, classic: false })).echo({}));
    expect(error.rawMessage).toBe(
      "every endpoint of probe.ProbeService is down: cannot connect to 127.0.0.1:4717: ECONNREFUSED; " +
        `classic providers are not called, channel.classic: 127.0.0.1:${portOf("c")}`,
    );
  });

  test("by default those of a registry with credentials, as the text says", async () => {
    const { cluster, endpoints, portOf } = await mixedFleet([], ["c"]);
    const registry = authenticated(new FixedRegistry(endpoints));
    const error = await failure(stubOf(cluster, registry).echo({}));
    expect(error.rawMessage).toBe(
      "no mprpc provider of probe.ProbeService in registry fixed:; classic providers are not called, anybody can " +
        `write their entries (with zookeeper.auth the default is no; channel.classic): 127.0.0.1:${portOf("c")}`,
    );
  });

  test.each([
    [{ "probe.ProbeService": true, "*": false }, undefined, "c"],
    [{ ProbeService: true }, false, "c"],
    [undefined, { "*": true, "other.Service": false }, "c"],
    [{ "probe.ProbeService": false }, true, "UNAVAILABLE"],
    [{ "other.Service": true }, undefined, "UNAVAILABLE"],
    [{ "other.Service": true }, true, "c"],
    [true, false, "c"],
  ] as const)("the channel's choice %j, the conf's %j: %s", async (given, conf, expected) => {
    const { cluster, endpoints } = await mixedFleet([], ["c"]);
    const registry = authenticated(new FixedRegistry(endpoints));
    const runtime = cluster.runtime({ settings: { channel: { classic: conf } } });
    const options = { registry, ...(given === undefined ? {} : { classic: given }) };
    const called = new ProbeServiceStub(cluster.channel(options, runtime)).echo({});
    const found = await called.then(
      ({ text }) => text,
      (error) => error.codeName,
    );
    expect(found).toBe(expected);
  });
});
