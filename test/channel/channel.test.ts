import { describe, expect, test } from "vitest";
import { RpcChannel } from "../../src/channel/channel.js";
import type { RpcProvider } from "../../src/provider/provider.js";
import type { Endpoint } from "../../src/registry/registry.js";
import { settle } from "../../src/testing/index.js";
import { deferred, failure } from "../support/async.js";
import { Cluster, startPair } from "../support/cluster.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { ProbeServiceStub as TwinServiceStub } from "../support/gen/twin.js";

const at = (port: number, more: Partial<Endpoint> = {}): Endpoint => ({
  host: "127.0.0.1",
  port,
  protocol: "mprpc",
  weight: 1,
  attributes: {},
  ...more,
});

const addressOf = (provider: RpcProvider): number => provider.address?.port ?? 0;

/** Providers that answer with their own name. */
async function startMany(names: readonly string[], options: ConstructorParameters<typeof Cluster>[0] = {}) {
  const cluster = new Cluster(options);
  const providers = new Map<string, RpcProvider>();
  for (const text of names) providers.set(text, await cluster.provider({ echo: () => ({ text }) }));
  return { cluster, providers, clock: cluster.clock };
}

async function tally(stub: ProbeServiceStub, calls: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < calls; i++) {
    const { text } = await stub.echo({});
    counts[text] = (counts[text] ?? 0) + 1;
  }
  return counts;
}

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

describe("endpoints that are down", () => {
  test("are skipped; calls that find one go on to the next, transparently", async () => {
    const { cluster, providers } = await startMany(["a"]);
    const registry = new FixedRegistry([at(1), at(addressOf(providers.get("a") as RpcProvider)), at(2)]);
    const runtime = cluster.runtime();
    const retries: number[] = [];
    runtime.events.on("clientRetry", ({ attempt }) => void retries.push(attempt));
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
    const { RpcProvider } = await import("../../src/provider/provider.js");
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

describe("transparent retry", () => {
  test("a provider that drains: its refused calls run elsewhere, none is lost, none runs twice", async () => {
    const served: string[] = [];
    const cluster = new Cluster({});
    const handlers = (name: string) => ({
      async echo(request: { number: number }) {
        served.push(`${request.number}`);
        await settle();
        return { text: name, number: request.number };
      },
    });
    const a = await cluster.provider(handlers("a"));
    await cluster.provider(handlers("b"));
    const stub = new ProbeServiceStub(cluster.channel());
    await stub.echo({ number: -1 });
    await stub.echo({ number: -2 });
    const calls: Array<Promise<{ number: number }>> = [];
    for (let number = 0; number < 200; number++) {
      calls.push(stub.echo({ number }));
      if (number === 100) void a.shutdown();
      if (number % 10 === 0) await new Promise((go) => setImmediate(go));
    }
    await cluster.clock.run(3000);
    const replies = await Promise.all(calls);
    expect(replies.map(({ number }) => number)).toEqual(replies.map((_, i) => i));
    expect(new Set(served).size).toBe(served.length);
  });

  test("UNAVAILABLE from a handler is not tried again: it ran", async () => {
    const { RpcError } = await import("../../src/error/rpc-error.js");
    const { Status } = await import("../../src/error/status.js");
    let ran = 0;
    const { stub } = await startPair({
      handlers: {
        echo() {
          ran++;
          throw new RpcError(Status.UNAVAILABLE, "busy");
        },
      },
    });
    expect(await failure(stub.echo({}))).toMatchObject({
      codeName: "UNAVAILABLE",
      executed: "yes",
      attempts: 1,
    });
    expect(ran).toBe(1);
  });

  test("refused before the handler twice: told to the caller", async () => {
    const { RpcError } = await import("../../src/error/rpc-error.js");
    const { Status } = await import("../../src/error/status.js");
    const { stub } = await startPair({
      serverInterceptors: [
        () => async () => {
          throw new RpcError(Status.UNAVAILABLE, "closed for lunch");
        },
      ],
    });
    expect(await failure(stub.echo({}))).toMatchObject({
      codeName: "UNAVAILABLE",
      executed: "never",
      attempts: 2,
      rawMessage: "closed for lunch",
    });
  });
});

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
          peers.set(peer, (peers.get(peer) ?? 0) + 1);
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
        echo: (_request, { peer }) => ({ text: peer }),
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
    const handlers = { echo: (_request: unknown, { peer }: { peer: string }) => ({ text: peer }) };
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
      handlers: { echo: (_, { peer }) => ({ text: peer }) },
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

describe("close", () => {
  test("calls in flight finish, later ones are refused, connections end, and it is idempotent", async () => {
    const hold = deferred();
    const { stub, channel, provider } = await startPair({
      handlers: {
        async echo(request) {
          await hold.promise;
          return request;
        },
      },
    });
    const call = stub.echo({ text: "in flight" });
    await settle();
    const closing = Promise.all([channel.close(), channel.close()]);
    const refused = await failure(stub.echo({}));
    expect(refused).toMatchObject({
      codeName: "UNAVAILABLE",
      executed: "never",
      rawMessage: "the channel was closed",
    });
    hold.resolve();
    expect((await call).text).toBe("in flight");
    await closing;
    await settle();
    expect(provider.connections).toBe(0);
    await channel.close();
  });

  test("an application closed first refuses calls at once and fails those that wait; a call that was sent ends", async () => {
    const hold = deferred();
    const { stub, channel, runtime } = await startPair({
      handlers: {
        async echo(request) {
          await hold.promise;
          return request;
        },
      },
    });
    const refused = {
      codeName: "UNAVAILABLE",
      executed: "never",
      rawMessage: "the application was closed",
    };
    const sent = stub.echo({ text: "sent" });
    await settle();
    const ready = { waitForReady: true, timeoutMs: Number.POSITIVE_INFINITY };
    const waiting = failure(channel.callJson("lib.Nobody", "Offers", {}, ready));
    await settle();
    await runtime.close();
    expect(await waiting).toMatchObject(refused);
    expect(await failure(stub.echo({}))).toMatchObject(refused);
    expect(await failure(channel.callJson("lib.Other", "Method", {}))).toMatchObject(refused);
    expect(await failure(new ProbeServiceStub(new RpcChannel(runtime)).echo({}))).toMatchObject(refused);
    hold.resolve();
    expect((await sent).text).toBe("sent");
  });

  test("an interceptor that passes its call on after the application was closed does not wait for a registry", async () => {
    const hold = deferred();
    const { stub, runtime } = await startPair({
      clientInterceptors: [
        (next) => async (call) => {
          await hold.promise;
          return next(call);
        },
      ],
    });
    const late = failure(stub.echo({}));
    await runtime.close();
    hold.resolve();
    expect(await late).toMatchObject({ rawMessage: "the application was closed", executed: "never" });
  });

  test("a call in flight whose provider leaves meanwhile still goes elsewhere", async () => {
    const cluster = new Cluster({ settings: { provider: { drainTimeoutMs: 5000 } } });
    const a = await cluster.provider({ echo: () => ({ text: "a" }) });
    const registry = new FixedRegistry([at(addressOf(a))]);
    const channel = cluster.channel({ registry });
    const stub = new ProbeServiceStub(channel);
    await stub.echo({});
    const b = await cluster.provider({ echo: () => ({ text: "b" }) });
    registry.publish([at(addressOf(a)), at(addressOf(b))]);
    const stopped = a.shutdown();
    await settle();
    const calls = [stub.echo({}), stub.echo({})];
    const closed = channel.close();
    expect((await Promise.all(calls)).map(({ text }) => text)).toEqual(["b", "b"]);
    await cluster.clock.run(2000);
    await Promise.all([closed, stopped]);
  });

  test("a provider that does not end its side does not hold it up", async () => {
    const cluster = new Cluster({});
    const { RawPeer, settingsFrame, replyFrame } = await import("../support/raw-peer.js");
    const { Kind } = await import("../../src/wire/header.js");
    const peers: InstanceType<typeof RawPeer>[] = [];
    const listener = await cluster.network.listen({ host: "127.0.0.1", port: 0 }, (connection) => {
      const peer = new RawPeer(connection);
      peer.send(settingsFrame(1000));
      peers.push(peer);
    });
    const channel = cluster.channel({ registry: new FixedRegistry([at(listener.address.port)]) });
    const call = new ProbeServiceStub(channel).echo({});
    await settle();
    await peers[0]?.frame(Kind.CALL);
    peers[0]?.send(replyFrame({ id: 1 }));
    await call;
    const closed = channel.close();
    await cluster.clock.run(1100);
    await closed;
    await settle();
    expect(peers[0]?.ended).toBe(true);
  });

  test("await using closes it", async () => {
    const { cluster, provider } = await startPair();
    {
      await using channel = cluster.channel();
      await new ProbeServiceStub(channel).echo({});
      expect(provider.connections).toBe(1);
    }
    await settle();
    expect(provider.connections).toBe(0);
  });
});
