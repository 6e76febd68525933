import { describe, expect, test } from "vitest";
import type { CallEvents } from "../../src/call/events.js";
import { RpcError } from "../../src/error/rpc-error.js";
import { Status } from "../../src/error/status.js";
import { settle } from "../../src/testing/index.js";
import type { TestApp } from "../../src/testing/runtime.js";
import { failure } from "../support/async.js";
import { Cluster, startPair } from "../support/cluster.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { ProbeServiceStub } from "../support/gen/probe.js";

const names = [
  "clientStart",
  "clientEnd",
  "attemptStart",
  "attemptEnd",
  "serverStart",
  "serverEnd",
  "connectionOpen",
  "connectionClose",
] as const;

type Seen = { [K in keyof CallEvents]: { name: K; event: CallEvents[K] } }[keyof CallEvents];

function record(runtime: TestApp): Seen[] {
  const seen: Seen[] = [];
  for (const name of names) runtime.events.on(name, (event) => void seen.push({ name, event } as Seen));
  return seen;
}

test("a call that succeeds, at both sides", async () => {
  const { runtime, providerRuntime, stub, channel, provider, clock } = await startPair({
    handlers: {
      echo(request) {
        clock.advance(7);
        return request;
      },
    },
  });
  const client = record(runtime);
  const server = record(providerRuntime);
  await stub.echo({});
  const endpoint = `127.0.0.1:${provider.address?.port}`;
  const started = client.find(({ name }) => name === "clientStart")?.event as CallEvents["clientStart"];
  const tried = client.find(({ name }) => name === "attemptStart")?.event as CallEvents["attemptStart"];
  const { call } = started;
  const { attempt } = tried;
  expect(call.method.fullName).toBe("probe.ProbeService.Echo");
  expect([attempt.number, attempt.endpoint]).toEqual([1, endpoint]);
  expect(client).toEqual([
    { name: "clientStart", event: { call } },
    { name: "attemptStart", event: { call, attempt } },
    {
      name: "connectionOpen",
      event: { side: "client", protocol: "mprpc", local: expect.any(String), remote: endpoint },
    },
    {
      name: "attemptEnd",
      event: {
        call,
        attempt,
        code: Status.OK,
        executed: "yes",
        elapsedMs: 7,
        error: undefined,
        again: false,
      },
    },
    {
      name: "clientEnd",
      event: {
        call,
        code: Status.OK,
        executed: "yes",
        endpoint,
        attempts: 1,
        elapsedMs: 7,
        error: undefined,
      },
    },
  ]);
  const opened = client.find(({ name }) => name === "connectionOpen") as Seen;
  const { local } = opened.event as CallEvents["connectionOpen"];
  const served = server.find(({ name }) => name === "serverStart")?.event as CallEvents["serverStart"];
  expect(served.call.method.fullName).toBe("probe.ProbeService.Echo");
  expect(served.call.peer).toEqual({ address: local, protocol: "mprpc", identities: {} });
  // The same objects from start to end: a tracer keeps its span by them.
  expect(server.at(-1)?.event).toHaveProperty("call", served.call);
  expect(client.at(-1)?.event).toHaveProperty("call", call);
  expect(server).toEqual([
    { name: "connectionOpen", event: { side: "server", protocol: "mprpc", local: endpoint, remote: local } },
    { name: "serverStart", event: { call: served.call } },
    {
      name: "serverEnd",
      event: { call: served.call, code: Status.OK, elapsedMs: 7, error: undefined },
    },
  ]);
  await channel.close();
  await settle();
  expect(client.at(-1)).toMatchObject({
    name: "connectionClose",
    event: { side: "client", reason: undefined },
  });
  expect(server.at(-1)).toMatchObject({
    name: "connectionClose",
    event: { side: "server", reason: undefined },
  });
});

test("a call that fails carries its code and error, at both sides", async () => {
  const { runtime, providerRuntime, stub } = await startPair({
    handlers: {
      echo: () => {
        throw new RpcError(Status.NOT_FOUND, "no such user");
      },
    },
  });
  const client = record(runtime);
  const server = record(providerRuntime);
  const error = await failure(stub.echo({}));
  expect(client.at(-1)).toMatchObject({
    name: "clientEnd",
    event: { code: Status.NOT_FOUND, executed: "yes", attempts: 1, error },
  });
  expect(server.at(-1)).toMatchObject({
    name: "serverEnd",
    event: { code: Status.NOT_FOUND, error: { rawMessage: "no such user" } },
  });
});

test("retries are told, with the attempt and why", async () => {
  const { cluster, provider } = await startPair();
  const registry = new FixedRegistry([
    { host: "127.0.0.1", port: 1, protocol: "mprpc", weight: 1, attributes: {} },
    { host: "127.0.0.1", port: provider.address?.port ?? 0, protocol: "mprpc", weight: 1, attributes: {} },
  ]);
  const runtime = cluster.runtime();
  const seen = record(runtime);
  const stub = new ProbeServiceStub(cluster.channel({ registry }, runtime));
  await stub.echo({});
  await stub.echo({});
  const ends = seen.flatMap((one) => (one.name === "attemptEnd" ? [one.event] : []));
  expect(ends.map(({ again, attempt }) => [again, attempt.number])).toEqual([
    [false, 1],
    [true, 1],
    [false, 2],
  ]);
  expect(ends[1]?.call).toBe(ends[2]?.call);
  expect(ends[1]).toMatchObject({
    attempt: { endpoint: "127.0.0.1:1" },
    error: { codeName: "UNAVAILABLE", executed: "never" },
  });
  expect(seen.filter(({ name }) => name === "clientEnd")).toHaveLength(2);
  expect(seen.filter(({ name }) => name === "clientStart")).toHaveLength(2);
});

test("every start has one end, whatever becomes of the call", async () => {
  const { runtime, providerRuntime, stub, clock } = await startPair({
    handlers: {
      echo: () => new Promise(() => {}),
      relay: () => {
        throw new Error("x");
      },
    },
  });
  const client = record(runtime);
  const server = record(providerRuntime);
  const abort = new AbortController();
  const calls = [
    failure(stub.echo({}, { timeoutMs: 50 })),
    failure(stub.echo({}, { signal: abort.signal })),
    failure(stub.relay({})),
    failure(stub.note({ text: 7 as never })),
    failure(stub.note({}, { timeoutMs: 0 })),
    stub.note({}),
  ];
  await settle();
  abort.abort();
  await clock.run(60);
  await Promise.all(calls);
  await settle();
  const count = (seen: Seen[], name: string) => seen.filter((one) => one.name === name).length;
  expect([count(client, "clientStart"), count(client, "clientEnd")]).toEqual([6, 6]);
  expect([count(server, "serverStart"), count(server, "serverEnd")]).toEqual([4, 4]);
});

test("a connection that is lost says why", async () => {
  const { runtime, providerRuntime, stub, network } = await startPair();
  const client = record(runtime);
  const server = record(providerRuntime);
  await stub.echo({});
  network.cutAll();
  await settle();
  for (const seen of [client, server]) {
    expect(seen.at(-1)).toMatchObject({
      name: "connectionClose",
      event: { reason: "connection reset by the peer" },
    });
  }
});

describe("listeners", () => {
  test("that throw hurt nobody", async () => {
    const cluster = new Cluster({});
    const providerRuntime = cluster.runtime();
    const { RpcProvider } = await import("../../src/server/provider.js");
    const { ProbeService } = await import("../support/gen/probe.js");
    const provider = new RpcProvider(providerRuntime);
    provider.notifyService(ProbeService, { echo: (r) => r, relay: (r) => r, note: (r) => r });
    await provider.start();
    cluster.onClose(() => provider.shutdown());
    const runtime = cluster.runtime();
    for (const name of names) {
      for (const one of [runtime, providerRuntime]) {
        one.events.on(name, () => {
          throw new Error(`broken ${name}`);
        });
      }
    }
    const channel = cluster.channel({}, runtime);
    const stub = new ProbeServiceStub(channel);
    expect((await stub.echo({ text: "x" })).text).toBe("x");
    await failure(stub.echo({}, { timeoutMs: 0 }));
    await channel.close();
    await settle();
    expect(provider.inFlight).toBe(0);
    expect(cluster.log.at("error")).toContain("a listener of clientEnd threw");
    expect(cluster.log.at("error")).toContain("a listener of serverEnd threw");
  });

  test("that leave hear nothing more", async () => {
    const { runtime, stub } = await startPair();
    let heard = 0;
    const leave = runtime.events.on("clientEnd", () => void heard++);
    await stub.echo({});
    leave();
    await stub.echo({});
    expect(heard).toBe(1);
  });
});
