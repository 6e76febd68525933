import { describe, expect, test } from "vitest";
import type { Endpoint } from "../../src/registry/registry.js";
import { RpcProvider } from "../../src/server/provider.js";
import { settle } from "../../src/testing/index.js";
import { failure } from "../support/async.js";
import { startPair } from "../support/cluster.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { addressOf, at, startMany } from "./support.js";

describe("the registry", () => {
  test("is watched once a service, however many calls and stubs", async () => {
    const { cluster, providers } = await startMany(["a"]);
    const registry = new FixedRegistry([at(addressOf(providers.get("a") as RpcProvider))]);
    const channel = cluster.channel({ registry });
    await Promise.all(Array.from({ length: 20 }, () => new ProbeServiceStub(channel).echo({})));
    expect(registry.watches).toBe(1);
    await channel.close();
    expect(registry.watches).toBe(0);
    expect(registry.closed).toBe(false);
  });

  test("a call waits until it has answered, and goes by the first list", async () => {
    const { cluster, providers } = await startMany(["a"]);
    const registry = new FixedRegistry();
    const stub = new ProbeServiceStub(cluster.channel({ registry }));
    const call = stub.echo({});
    await settle();
    registry.publish([at(addressOf(providers.get("a") as RpcProvider))]);
    expect((await call).text).toBe("a");
  });

  test("that never answers: the deadline says so", async () => {
    const { cluster, clock } = await startMany([]);
    const stub = new ProbeServiceStub(cluster.channel({ registry: new FixedRegistry() }));
    const call = failure(stub.echo({}, { timeoutMs: 100 }));
    await clock.run(110);
    const error = await call;
    expect(error).toMatchObject({
      codeName: "DEADLINE_EXCEEDED",
      executed: "never",
      phase: "resolve",
      attempts: 0,
    });
    expect(error.rawMessage).toBe(
      "no reply within 100 ms (timeoutMs, calltimeout): registry fixed: has not answered yet",
    );
  });

  test("the first pick after an event uses the new list", async () => {
    const { cluster, providers } = await startMany(["a", "b"]);
    const [a, b] = ["a", "b"].map((name) => at(addressOf(providers.get(name) as RpcProvider))) as [
      Endpoint,
      Endpoint,
    ];
    const registry = new FixedRegistry([a]);
    const stub = new ProbeServiceStub(cluster.channel({ registry }));
    expect((await stub.echo({})).text).toBe("a");
    registry.publish([b]);
    expect((await stub.echo({})).text).toBe("b");
    registry.publish([a]);
    expect((await stub.echo({})).text).toBe("a");
  });

  test("nobody offers the service: the text says where it looked", async () => {
    const { stub } = await startPair({ handlers: null });
    const error = await failure(stub.echo({}));
    expect(error).toMatchObject({ codeName: "UNAVAILABLE", executed: "never", attempts: 0 });
    expect(error.rawMessage).toBe("no provider of probe.ProbeService in registry memory:");
  });

  test("everybody is down: the text says why, of each", async () => {
    const { cluster, clock } = await startMany([]);
    const registry = new FixedRegistry([at(1), at(2)]);
    const stub = new ProbeServiceStub(cluster.channel({ registry }));
    const error = await failure(stub.echo({}));
    expect(error).toMatchObject({
      codeName: "UNAVAILABLE",
      executed: "never",
      phase: "connect",
      attempts: 2,
    });
    expect(error.rawMessage).toBe(
      "every endpoint of probe.ProbeService is down: cannot connect to 127.0.0.1:1: ECONNREFUSED, cannot connect to 127.0.0.1:2: ECONNREFUSED",
    );
    registry.publish([at(1), at(2)], true);
    await settle();
    expect((await failure(stub.echo({}))).rawMessage).toContain(
      "registry fixed: is away, its last list is used",
    );
    expect(clock.now()).toBe(1_000_000);
  });

  test("many that are down are not all named", async () => {
    const { cluster } = await startMany([]);
    const registry = new FixedRegistry(Array.from({ length: 20 }, (_, i) => at(i + 1)));
    const error = await failure(new ProbeServiceStub(cluster.channel({ registry })).echo({}));
    expect(error.rawMessage).toMatch(/, and 16 more$/);
    expect(error.attempts).toBe(20);
  });

  test("a bad service name fails the call, and no other", async () => {
    const { channel, stub } = await startPair();
    const { ProbeService } = await import("../support/gen/probe.js");
    const odd = { ...ProbeService.methods.echo, service: "no good!" };
    const error = await failure(channel.call(odd, {}));
    expect(error).toMatchObject({ codeName: "INTERNAL", executed: "never" });
    expect(error.rawMessage).toContain('"no good!" is not valid');
    expect((await stub.echo({ text: "fine" })).text).toBe("fine");
  });

  test("its own list for one channel", async () => {
    const { cluster, providers } = await startMany(["a"]);
    const registry = new FixedRegistry([at(addressOf(providers.get("a") as RpcProvider))]);
    expect((await new ProbeServiceStub(cluster.channel({ registry })).echo({})).text).toBe("a");
  });
});

describe("a list that is only a hint", () => {
  test("whose address another provider has by now: the call waits for the real list", async () => {
    const { cluster, providers } = await startMany(["a"]);
    const { SideService } = await import("../support/gen/probe.js");
    const other = new RpcProvider(cluster.runtime());
    other.notifyService(SideService, { echo: (request) => request });
    cluster.onClose(() => other.shutdown());
    await other.start();
    const registry = new FixedRegistry();
    registry.publish([at(addressOf(other))], true, true);
    const stub = new ProbeServiceStub(cluster.channel({ registry }));
    const call = stub.echo({});
    const patient = failure(stub.echo({}, { timeoutMs: 50 }));
    await settle();
    await cluster.clock.run(60);
    const error = await patient;
    expect(error).toMatchObject({ codeName: "DEADLINE_EXCEEDED", executed: "never", attempts: 1 });
    expect(error.rawMessage).toContain(
      "registry fixed: has not answered yet, and the list saved earlier is out of date",
    );
    expect(error.rawMessage).toContain("the last attempt: this provider has no method");
    registry.publish([at(addressOf(providers.get("a") as RpcProvider))]);
    expect((await call).text).toBe("a");
    // Of the registry's own list it is an answer.
    registry.publish([at(addressOf(other))]);
    expect(await failure(stub.echo({}))).toMatchObject({ codeName: "UNIMPLEMENTED" });
  });
});
