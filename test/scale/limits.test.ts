import { describe, expect, test } from "vitest";
import { RpcError } from "../../src/error/rpc-error.js";
import { MemoryNetwork, type SettingsInit } from "../../src/testing/index.js";
import { deferred, failure } from "../support/async.js";
import { Cluster, startPair } from "../support/cluster.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { ProbeService, ProbeServiceStub } from "../support/gen/probe.js";
import { guarded } from "../tools/wait.js";

/**
 * Every limit at its value and one beyond it: the one beyond is refused with the code of docs/limits.md, has provably not
 * run, and its text names the limit and its key; what is below goes on, and once there is room again the next is taken.
 */

const forever = { timeoutMs: Infinity };

/** A handler that holds each call until it is let go. */
function holding() {
  const held: Array<() => void> = [];
  let onArrival = (): void => {};
  return {
    /** Resolves when `count` calls are held. */
    async holds(count: number): Promise<void> {
      const full = async (): Promise<void> => {
        while (held.length < count) {
          await new Promise<void>((resolve) => {
            onArrival = resolve;
          });
        }
      };
      await guarded(full(), `${count} calls to be held`, () => held.length);
    },
    letGo(count = held.length): void {
      for (const release of held.splice(0, count)) release();
    },
    async echo<T>(request: T): Promise<T> {
      await new Promise<void>((resolve) => {
        held.push(resolve);
        onArrival();
      });
      return request;
    },
  };
}

function refusedBy(error: RpcError, text: string | RegExp): void {
  expect(error).toMatchObject({ codeName: "RESOURCE_EXHAUSTED", executed: "never" });
  if (typeof text === "string") expect(error.rawMessage).toContain(text);
  else expect(error.rawMessage).toMatch(text);
}

describe("calls in flight", () => {
  test("of one connection: provider.maxinflightperconnection", async () => {
    const handler = holding();
    const { stub, provider } = await startPair({
      settings: { provider: { inFlightPerConnectionMax: 100 } },
      handlers: { echo: handler.echo },
    });
    await stub.relay({});
    const calls = Array.from({ length: 100 }, (_, number) => stub.echo({ number }, forever));
    const text = /^100 calls are in flight on this connection, .*\(provider\.maxinflightperconnection\)$/;
    refusedBy(await failure(stub.echo({ number: 100 })), text);
    await handler.holds(100);
    expect(provider.inFlight).toBe(100);
    handler.letGo(1);
    expect((await (calls[0] as Promise<{ number: number }>)).number).toBe(0);
    const next = stub.echo({ number: 101 }, forever);
    refusedBy(await failure(stub.echo({})), text);
    await handler.holds(100);
    handler.letGo();
    expect((await Promise.all([...calls, next])).map(({ number }) => number)).toEqual([
      ...Array(100).keys(),
      101,
    ]);
  });

  test("of all connections of a provider: provider.maxinflight", async () => {
    const handler = holding();
    const { cluster, provider } = await startPair({
      settings: { provider: { inFlightMax: 100 } },
      handlers: { echo: handler.echo },
    });
    const stubs = Array.from({ length: 10 }, () => new ProbeServiceStub(cluster.channel()));
    const calls = stubs.flatMap((stub, at) =>
      Array.from({ length: 10 }, (_, number) => stub.echo({ number: at * 10 + number }, forever)),
    );
    await handler.holds(100);
    for (const stub of stubs) {
      refusedBy(
        await failure(stub.echo({})),
        /^100 calls are in flight, the provider's limit \(provider\.maxinflight\)$/,
      );
    }
    expect(provider.inFlight).toBe(100);
    handler.letGo(1);
    await Promise.any(calls);
    const next = (stubs[9] as ProbeServiceStub).echo({ number: 100 }, forever);
    await handler.holds(100);
    handler.letGo();
    expect((await Promise.all([...calls, next])).length).toBe(101);
    expect(provider.inFlight).toBe(0);
  });
});

describe("calls that wait at the caller: channel.maxpending", () => {
  const settings: SettingsInit = { channel: { pendingMax: 50 } };

  test("for a provider", async () => {
    const { cluster, stub } = await startPair({ handlers: null, settings });
    const waiting = { ...forever, waitForReady: true };
    const calls = Array.from({ length: 50 }, (_, number) => stub.echo({ number }, waiting));
    const text = /^50 calls wait for an endpoint of probe\.ProbeService already \(channel\.maxpending\)/;
    refusedBy(await failure(stub.echo({}, waiting)), text);
    const handler = holding();
    await cluster.provider({ echo: handler.echo });
    await handler.holds(50);
    const next = stub.echo({ number: 50 }, waiting);
    await handler.holds(51);
    handler.letGo();
    expect((await Promise.all([...calls, next])).map(({ number }) => number)).toEqual([...Array(51).keys()]);
  });

  test("for a connection", async () => {
    const cluster = new Cluster({ settings });
    const provider = await cluster.provider();
    const gate = deferred("the network");
    const network = new MemoryNetwork();
    const transport = {
      async connect(...args: Parameters<MemoryNetwork["connect"]>) {
        await gate.promise;
        return cluster.network.connect(...args);
      },
      listen: network.listen.bind(network),
      localHostTowards: network.localHostTowards.bind(network),
    };
    const { address } = provider;
    if (address === undefined) throw new Error("the provider has no address");
    const registry = new FixedRegistry([
      { ...address, protocol: "mprpc", weight: 1, attributes: {}, incarnation: "1" },
    ]);
    const stub = new ProbeServiceStub(cluster.channel({ registry }, cluster.runtime({ transport })));
    const calls = Array.from({ length: 50 }, (_, number) => stub.echo({ number }, forever));
    // The registry's answer comes in a turn of its own; before it calls wait for that.
    await Promise.resolve();
    refusedBy(await failure(stub.echo({})), /^50 calls wait for .* already \(channel\.maxpending\)/);
    gate.resolve();
    expect((await Promise.all(calls)).map(({ number }) => number)).toEqual([...Array(50).keys()]);
    expect((await stub.echo({ text: "room again" })).text).toBe("room again");
  });
});

describe("sizes", () => {
  /** `bytes` of encoded Blob: a tag, the length in three bytes, the data. */
  const blobOfSize = (bytes: number) => ({ data: Buffer.alloc(bytes - 4) });
  const limit = 100_000;
  const narrow: SettingsInit = { limits: { bodyMaxBytes: limit } };
  const wide: SettingsInit = { limits: { bodyMaxBytes: 2 * limit } };

  test.each([
    ["the caller's", narrow, wide, "the limit of 100000 (limits.body)"],
    ["the provider's", wide, narrow, "the provider's limit of 100000 (its limits.body)"],
  ])("a request and limits.body, %s", async (_, ofCaller, ofProvider, words) => {
    const cluster = new Cluster({});
    await cluster.provider({ echo: ({ data }) => ({ number: data.length }) }, { settings: ofProvider });
    const stub = new ProbeServiceStub(cluster.channel({}, cluster.runtime({ settings: ofCaller })));
    expect((await stub.echo(blobOfSize(limit))).number).toBe(limit - 4);
    const error = await failure(stub.echo(blobOfSize(limit + 1)));
    refusedBy(error, /^a request of 100001 bytes is over /);
    expect(error.rawMessage).toContain(words);
    expect((await stub.echo(blobOfSize(limit))).number).toBe(limit - 4);
  });

  test.each([
    ["the caller's", narrow, wide],
    ["the provider's", wide, narrow],
  ])("a reply and limits.body, %s: the handler has run", async (_, ofCaller, ofProvider) => {
    const cluster = new Cluster({});
    let ran = 0;
    const echo = ({ number }: { number: number }) => {
      ran++;
      return blobOfSize(number);
    };
    await cluster.provider({ echo }, { settings: ofProvider });
    const stub = new ProbeServiceStub(cluster.channel({}, cluster.runtime({ settings: ofCaller })));
    expect((await stub.echo({ number: limit })).data.length).toBe(limit - 4);
    const error = await failure(stub.echo({ number: limit + 1 }));
    expect(error).toMatchObject({ codeName: "RESOURCE_EXHAUSTED", executed: "yes" });
    expect(error.rawMessage).toContain("limits.body");
    expect(error.rawMessage).toContain("100001");
    expect((await stub.echo({ number: limit })).data.length).toBe(limit - 4);
    expect(ran).toBe(3);
  });

  test("metadata and limits.header", async () => {
    const { stub } = await startPair({
      handlers: { echo: (_, { metadata }) => ({ number: metadata.get("blob")?.length ?? -1 }) },
    });
    const echoed = async (bytes: number) =>
      (await stub.echo({}, { ...forever, metadata: { blob: Buffer.alloc(bytes) } })).number;
    // The method's names go with the first call only.
    await stub.echo({});
    const over = await failure(echoed(70_000));
    refusedBy(over, /^metadata make a header of \d+ bytes, over the limit of 65536 \(limits\.header\)$/);
    const besides = Number(/header of (\d+) bytes/.exec(over.rawMessage)?.[1]) - 70_000;
    expect(await echoed(65_536 - besides)).toBe(65_536 - besides);
    refusedBy(await failure(echoed(65_537 - besides)), /^metadata make a header of 65537 bytes, /);
    expect(await echoed(65_536 - besides)).toBe(65_536 - besides);
  });
});

describe("bytes that wait to be sent: limits.unwritten", () => {
  const settings: SettingsInit = { unwrittenMaxBytes: 1 << 20 };

  test("to a provider that reads too slowly", async () => {
    const { cluster } = await startPair();
    const opened: Array<Awaited<ReturnType<MemoryNetwork["connect"]>>> = [];
    const listening = new MemoryNetwork();
    const transport = {
      ...{ connect: listening.connect.bind(listening), localHostTowards: async () => "127.0.0.1" },
      listen: (...[address, onConnection]: Parameters<MemoryNetwork["listen"]>) =>
        listening.listen(address, (connection) => {
          opened.push(connection);
          onConnection(connection);
        }),
    };
    await cluster.provider({}, { transport });
    const stub = new ProbeServiceStub(cluster.channel({}, cluster.runtime({ transport, settings })));
    await stub.echo({});
    for (const connection of opened) connection.pause();
    const data = Buffer.alloc(60_000);
    const calls: Promise<unknown>[] = [];
    const errors: RpcError[] = [];
    for (let i = 0; i < 40; i++) {
      calls.push(
        stub.echo({ data }, forever).catch((error: RpcError) => {
          errors.push(error);
        }),
      );
      // Frames gather behind a write that has not left.
      await Promise.resolve();
    }
    const refused = await failure(stub.echo({ data }, forever));
    refusedBy(refused, /^\d+ bytes wait to be sent, over the limit of 1048576 \(limits\.unwritten\)$/);
    for (const connection of opened) connection.resume();
    await Promise.all(calls);
    for (const error of errors) refusedBy(error, /limits\.unwritten/);
    expect(errors.length).toBeLessThan(25);
    expect((await stub.echo({ text: "room again" })).text).toBe("room again");
  });
});

describe("a call that is refused is known by it alone", () => {
  test.each([
    ["provider.maxinflight", { provider: { inFlightMax: 1 } }],
    ["provider.maxinflightperconnection", { provider: { inFlightPerConnectionMax: 1 } }],
  ])("one that wants no reply, over %s: dropped or told, and the others go on", async (key, settings) => {
    const handler = holding();
    let noted = 0;
    const { stub, channel, clock, log } = await startPair({
      settings,
      handlers: {
        echo: handler.echo,
        note: (request) => {
          noted++;
          return request;
        },
      },
    });
    await stub.relay({});
    const call = stub.echo({ number: 1 }, forever);
    await handler.holds(1);
    await channel.oneway(ProbeService.methods.note, {}).catch((error: unknown) => {
      expect(error).toBeInstanceOf(RpcError);
    });
    // Sent behind it, so that it has been looked at.
    refusedBy(await failure(stub.relay({})), `(${key})`);
    handler.letGo();
    expect((await call).number).toBe(1);
    expect((await stub.relay({ text: "goes on" })).text).toBe("goes on");
    expect(noted).toBe(0);
    // Its caller knows nothing of it; the provider's log does, unless the caller refused it by the provider's settings.
    await clock.run(1500);
    const told = log.at("warn").filter((text) => text.includes("oneway call"));
    const byCaller = key === "provider.maxinflightperconnection" ? 0 : 1;
    expect(told.map((text) => text.includes(`(${key})`))).toEqual(
      Array.from({ length: byCaller }, () => true),
    );
  });
});
