import { describe, expect, test } from "vitest";
import { Kind } from "../../../src/protocol/mprpc/wire/header.js";
import { settle } from "../../../src/testing/index.js";
import { deferred } from "../../support/async.js";
import { type ClusterOptions, startPair } from "../../support/cluster.js";
import {
  blobOf,
  callFrame,
  callId,
  controlFrame,
  echoNames,
  RawPeer,
  settingsFrame,
} from "../../support/raw-peer.js";
import { guarded } from "../../tools/wait.js";

/** A provider and a caller of which the test writes every frame. */
async function rawCaller(options: ClusterOptions = {}) {
  const pair = await startPair(options);
  const { address } = pair.provider;
  if (address === undefined) throw new Error("the provider has no address");
  const peer = await RawPeer.connect(pair.cluster.transport, address);
  return { ...pair, peer, address };
}

const never = () => new Promise<never>(() => {});

test("settings and going-away are said, calls and settings in one write are served", async () => {
  const { peer } = await rawCaller({ settings: { provider: { inFlightPerConnectionMax: 77 } } });
  peer.send(settingsFrame(), callFrame({ id: callId(1), index: 1, rare: echoNames, body: { text: "x" } }));
  const reply = await peer.frame(Kind.REPLY, callId(1));
  expect(blobOf(reply).text).toBe("x");
  expect(peer.frames[0]).toMatchObject({
    kind: Kind.SETTINGS,
    rare: { settings: { bodyMaxBytes: 4 << 20, headerMaxBytes: 64 << 10, maxInFlight: 77 } },
  });
});

test("every split of the first bytes is the same", async () => {
  const { cluster, address } = await rawCaller();
  const bytes = Buffer.concat([
    settingsFrame(),
    callFrame({ id: callId(1), index: 1, rare: echoNames, body: { text: "first" } }),
    callFrame({ id: callId(2), index: 1, body: { text: "second" } }),
  ]);
  for (let at = 1; at < bytes.length; at++) {
    const peer = await RawPeer.connect(cluster.transport, address);
    peer.connection.write(bytes.subarray(0, at));
    await settle();
    peer.connection.write(bytes.subarray(at));
    const replies = [await peer.frame(Kind.REPLY, callId(1)), await peer.frame(Kind.REPLY, callId(2))];
    expect(replies.map((frame) => blobOf(frame).text)).toEqual(["first", "second"]);
    peer.connection.end();
  }
});

test("unknown kinds and unknown fields are passed over", async () => {
  const { peer } = await rawCaller();
  const futureKind = controlFrame(99, 5, { message: "from a later version" });
  // Field 100, length-delimited, inside a header that is otherwise a ping.
  const body = Buffer.concat([Buffer.from([0x20, Kind.PING, 0xa2, 0x06, 3, 1, 2, 3])]);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(body.length);
  peer.send(
    settingsFrame(),
    futureKind,
    size,
    body,
    callFrame({ id: callId(1), rare: echoNames, body: { number: 7 } }),
  );
  expect(blobOf(await peer.frame(Kind.REPLY, callId(1))).number).toBe(7);
  expect(peer.frames.filter(({ kind }) => kind === Kind.PONG)).toHaveLength(1);
});

test("a method's index: named once, then the number is enough; 0 agrees on nothing", async () => {
  const { peer } = await rawCaller();
  peer.send(
    settingsFrame(),
    callFrame({ id: callId(1), index: 0, rare: echoNames, body: { number: 1 } }),
    callFrame({ id: callId(2), index: 9, body: { number: 2 } }),
    callFrame({ id: callId(3), index: 9, rare: echoNames, body: { number: 3 } }),
    callFrame({ id: callId(4), index: 9, body: { number: 4 } }),
  );
  expect(blobOf(await peer.frame(Kind.REPLY, callId(1))).number).toBe(1);
  expect(await peer.frame(Kind.REPLY, callId(2))).toMatchObject({ status: 12, rare: { executed: "never" } });
  expect(blobOf(await peer.frame(Kind.REPLY, callId(3))).number).toBe(3);
  expect(blobOf(await peer.frame(Kind.REPLY, callId(4))).number).toBe(4);
});

test("the short name of a service does as well", async () => {
  const { peer } = await rawCaller();
  const rare = { serviceName: "ProbeService", methodName: "Echo" };
  peer.send(settingsFrame(), callFrame({ id: callId(1), rare, body: { text: "short" } }));
  expect(blobOf(await peer.frame(Kind.REPLY, callId(1))).text).toBe("short");
});

test("a deadline of 0 passed on the way; a compression nobody knows", async () => {
  const { peer } = await rawCaller();
  peer.send(settingsFrame(), callFrame({ id: callId(1), timeoutMs: 0, rare: echoNames }));
  expect(await peer.frame(Kind.REPLY, callId(1))).toMatchObject({ status: 4, rare: { executed: "never" } });
});

test("an oversized call is passed over, split anywhere, and the next one served", async () => {
  const { peer } = await rawCaller({ settings: { limits: { bodyMaxBytes: 1000 } } });
  const bytes = Buffer.concat([
    callFrame({ id: callId(1), index: 1, rare: echoNames, body: Buffer.alloc(100_000) }),
    callFrame({ id: callId(2), index: 1, body: { text: "next" } }),
  ]);
  peer.send(settingsFrame());
  for (let at = 0; at < bytes.length; at += 7001) peer.connection.write(bytes.subarray(at, at + 7001));
  expect(await peer.frame(Kind.REPLY, callId(1))).toMatchObject({
    status: 8,
    rare: {
      executed: "never",
      message: "a request of 100000 bytes is over the provider's limit of 1000 (limits.body)",
    },
  });
  expect(blobOf(await peer.frame(Kind.REPLY, callId(2))).text).toBe("next");
});

describe("malformed bytes close the connection, with the reason in the log", () => {
  const sized = (size: number, ...bytes: number[]) => {
    const all = Buffer.alloc(4 + bytes.length);
    all.writeUInt32LE(size);
    Buffer.from(bytes).copy(all, 4);
    return all;
  };
  test.each([
    ["a header of 0 bytes", sized(0), "header of 0 bytes"],
    ["a header over the limit", sized(1 << 30), "over the limit of 65536 (limits.header)"],
    ["a broken field", sized(3, 0x20, 0x01, 0x0f), "wire type 7"],
    ["a classic header", sized(6, 0x0a, 1, 0x41, 0x12, 1, 0x42), "a classic header on an mprpc/2 connection"],
    [
      "a number in use",
      callFrame({ id: callId(1), rare: echoNames }),
      "call 128 is in flight or out of range",
    ],
    [
      "a number out of range",
      callFrame({ id: 0x7fff_ffff, rare: echoNames }),
      "call 2147483647 is in flight or out of range",
    ],
    [
      "a number without a slot",
      callFrame({ id: 127, rare: echoNames }),
      "call 127 is in flight or out of range",
    ],
    [
      "another generation of a slot in use",
      callFrame({ id: callId(1, 1), rare: echoNames }),
      "call 129 is in flight or out of range",
    ],
  ])("%s", async (_, bytes, reason) => {
    const { peer, provider, log } = await rawCaller({ handlers: { relay: never } });
    peer.send(
      settingsFrame(),
      callFrame({ id: callId(1), rare: { serviceName: "probe.ProbeService", methodName: "Relay" } }),
      bytes,
    );
    await peer.end();
    await settle();
    expect(provider.connections).toBe(0);
    expect(provider.inFlight).toBe(0);
    expect(log.lines.map(({ text }) => text).join("\n")).toContain(`malformed bytes from the caller: `);
    expect(log.lines.map(({ text }) => text).join("\n")).toContain(reason);
  });
});

test("a caller that is gone cancels what it asked for", async () => {
  const entered = deferred<AbortSignal>("the handler");
  const { peer, provider, log } = await rawCaller({
    handlers: {
      echo: (_, { signal }) => {
        entered.resolve(signal);
        return never();
      },
    },
  });
  peer.send(settingsFrame(), callFrame({ id: callId(1), rare: echoNames }));
  const signal = await entered.promise;
  const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve));
  peer.connection.destroy();
  await guarded(aborted, "the abort");
  expect(signal.reason.rawMessage).toContain("the connection to the caller is lost");
  await settle();
  expect(provider.inFlight).toBe(0);
  expect(provider.connections).toBe(0);
  expect(log.at("error")).toEqual([]);
});

test("a cancelled call is answered once, and its number is free again", async () => {
  const entered = deferred("the handler");
  const { peer } = await rawCaller({
    handlers: {
      echo: () => {
        entered.resolve();
        return never();
      },
    },
  });
  peer.send(settingsFrame(), callFrame({ id: callId(1), index: 1, rare: echoNames }));
  await entered.promise;
  peer.send(
    controlFrame(Kind.CANCEL, callId(1)),
    controlFrame(Kind.CANCEL, callId(1)),
    controlFrame(Kind.CANCEL, callId(42)),
  );
  expect(await peer.frame(Kind.REPLY, callId(1))).toMatchObject({ status: 1, rare: {} });
  peer.send(
    callFrame({
      id: callId(1, 1),
      rare: { serviceName: "probe.ProbeService", methodName: "Note" },
      body: { number: 3 },
    }),
  );
  await peer.until(
    "the second reply",
    () => peer.frames.filter(({ kind }) => kind === Kind.REPLY).length === 2,
  );
  expect(blobOf(peer.frames.at(-1) as never).number).toBe(3);
});

describe("keepalive of the provider", () => {
  test("a ping after 10 s of silence; 4 s later the caller is dead", async () => {
    const { peer, clock, provider, log } = await rawCaller();
    peer.send(settingsFrame());
    await peer.frame(Kind.SETTINGS);
    await clock.run(9_900);
    expect(peer.frames.some(({ kind }) => kind === Kind.PING)).toBe(false);
    await clock.run(200);
    await peer.frame(Kind.PING);
    await clock.run(3_700);
    expect(provider.connections).toBe(1);
    await clock.run(400);
    expect(provider.connections).toBe(0);
    expect(log.at("debug")).toContainEqual("connection closed: no answer to a ping, silent for 14000 ms");
  });

  test("any bytes are an answer, and traffic needs no ping", async () => {
    const { peer, clock, provider } = await rawCaller();
    peer.send(settingsFrame());
    for (let i = 0; i < 10; i++) {
      await clock.run(8_000);
      peer.send(controlFrame(Kind.CANCEL, callId(1)));
    }
    await settle();
    expect(peer.frames.some(({ kind }) => kind === Kind.PING)).toBe(false);
    await clock.run(11_000);
    await peer.frame(Kind.PING);
    peer.send(controlFrame(Kind.PONG, 0, { pingId: 1 }));
    await clock.run(9_000);
    expect(provider.connections).toBe(1);
  });

  test("a ping is answered with its number", async () => {
    const { peer } = await rawCaller();
    peer.send(settingsFrame(), controlFrame(Kind.PING, 0, { pingId: 4711 }));
    expect((await peer.frame(Kind.PONG)).rare.pingId).toBe(4711);
  });

  test("an answer that lies unread when its time is over counts", async () => {
    const { peer, clock, provider } = await rawCaller();
    peer.send(settingsFrame());
    await clock.run(10_100);
    await peer.frame(Kind.PING);
    peer.send(controlFrame(Kind.PONG, 0, { pingId: 1 }));
    clock.advance(4_000);
    await settle();
    expect(provider.connections).toBe(1);
  });

  test("with no time for it (a busy or stopped process) nobody is declared dead", async () => {
    const { peer, clock, provider } = await rawCaller();
    peer.send(settingsFrame());
    await clock.run(10_100);
    await peer.frame(Kind.PING);
    // The timer fires far too late, as after SIGSTOP: the answer may lie unread.
    peer.send(controlFrame(Kind.PONG, 0, { pingId: 1 }));
    clock.jump(60_000);
    await settle();
    expect(provider.connections).toBe(1);
  });
});

describe("draining", () => {
  test("going-away says how many calls were taken; in-flight calls finish; later ones are refused", async () => {
    const hold = deferred();
    const { peer, provider } = await rawCaller({
      settings: { provider: { drainTimeoutMs: 5000 } },
      handlers: {
        async echo(request) {
          await hold.promise;
          return request;
        },
      },
    });
    peer.send(
      settingsFrame(),
      callFrame({ id: callId(1), index: 1, rare: echoNames, body: { text: "in flight" } }),
      callFrame({ id: 0, index: 1 }),
    );
    await settle();
    const stopped = provider.shutdown();
    const away = await peer.frame(Kind.GOING_AWAY);
    expect(away.rare).toMatchObject({ acceptedCalls: 2, message: "the provider is shutting down" });
    peer.send(callFrame({ id: callId(2), index: 1, body: { text: "too late" } }));
    expect(await peer.frame(Kind.REPLY, callId(2))).toMatchObject({
      status: 14,
      rare: { executed: "never" },
    });
    hold.resolve();
    expect(blobOf(await peer.frame(Kind.REPLY, callId(1))).text).toBe("in flight");
    await peer.end();
    peer.connection.end();
    await stopped;
    expect(provider.connections).toBe(0);
  });

  test("a connection is drained at its age, spread by a tenth", async () => {
    const { peer, clock, provider } = await rawCaller({
      settings: { provider: { connectionMaxAgeMs: 60_000 }, keepalive: { intervalMs: 600_000 } },
    });
    peer.send(settingsFrame());
    await clock.run(53_000);
    expect(peer.frames.some(({ kind }) => kind === Kind.GOING_AWAY)).toBe(false);
    await clock.run(14_000);
    const away = await peer.frame(Kind.GOING_AWAY);
    expect(away.rare).toMatchObject({
      acceptedCalls: 0,
      message: "the connection has reached its maximum age",
    });
    await peer.end();
    peer.connection.end();
    await settle();
    expect(provider.connections).toBe(0);
  });
});

test("a caller that is told to leave at the age of its connection and stays is cut off, not before it has its answers", async () => {
  const hold = deferred();
  const { peer, clock, provider } = await rawCaller({
    settings: { keepalive: { intervalMs: Infinity } },
    handlers: {
      async echo(request) {
        await hold.promise;
        return request;
      },
    },
  });
  peer.send(settingsFrame(), callFrame({ id: callId(1), rare: echoNames }));
  await clock.run(34 * 60_000);
  await peer.frame(Kind.GOING_AWAY);
  expect(provider.connections).toBe(1);
  hold.resolve();
  await peer.frame(Kind.REPLY, callId(1));
  await peer.end();
  // It does not end its side, and says something now and then.
  for (let i = 0; i < 4 && provider.connections > 0; i++) {
    peer.send(controlFrame(Kind.PING, 0, { pingId: 1 }));
    await clock.run(20_000);
  }
  expect(provider.connections).toBe(0);
});

describe("limits of the provider", () => {
  test("connections over the limit are turned away with a reason, far over it reset", async () => {
    const { peer, cluster, address, log, provider } = await rawCaller({
      settings: { provider: { connectionsMax: 1 } },
    });
    peer.send(settingsFrame());
    await peer.frame(Kind.SETTINGS);
    const second = await RawPeer.connect(cluster.transport, address);
    second.send(settingsFrame(), callFrame({ id: callId(1), rare: echoNames }));
    const away = await second.frame(Kind.GOING_AWAY);
    expect(away.rare).toMatchObject({
      acceptedCalls: 0,
      message: "1 connections are open (provider.maxconnections)",
    });
    await second.end();
    second.connection.end();
    await settle();
    expect(provider.connections).toBe(1);
    expect(log.at("warn")).toEqual(["caller turned away: 1 connections are open (provider.maxconnections)"]);
    // Silent ones fill the rest.
    for (let i = 0; i < 1000; i++) await RawPeer.connect(cluster.transport, address);
    const beyond = await RawPeer.connect(cluster.transport, address);
    await beyond.end();
    expect(beyond.closeError?.message).toContain("reset");
  });

  test("those that are being turned away take nobody's place, and not for long", async () => {
    const { peer, cluster, address, provider, clock } = await rawCaller({
      settings: { provider: { connectionsMax: 1 } },
    });
    peer.send(settingsFrame());
    await peer.frame(Kind.SETTINGS);
    await RawPeer.connect(cluster.transport, address);
    const stays = await RawPeer.connect(cluster.transport, address);
    stays.send(settingsFrame());
    await stays.frame(Kind.GOING_AWAY);
    expect(provider.connections).toBe(3);
    peer.connection.end();
    await settle();
    // Two are there that had no place, and the place is free.
    const next = await RawPeer.connect(cluster.transport, address);
    next.send(settingsFrame(), callFrame({ id: callId(1), rare: echoNames, body: { text: "in" } }));
    expect(blobOf(await next.frame(Kind.REPLY, callId(1))).text).toBe("in");
    await clock.run(5010);
    expect(provider.connections).toBe(1);
  });

  test("many connections at a time above the limit: the first stay", async () => {
    const limits = { connectionsMax: 4, connectionsPerCallerMax: 4 };
    const { cluster, address, provider } = await rawCaller({ settings: { provider: limits } });
    const peers = await Promise.all(
      Array.from({ length: 6 }, () => RawPeer.connect(cluster.transport, address)),
    );
    for (const peer of peers) peer.send(settingsFrame());
    await settle();
    expect(provider.connections).toBeLessThanOrEqual(8);
    expect(peers.filter((peer) => !peer.ended && !peer.closed).length).toBeGreaterThanOrEqual(3);
  });
});

test("a caller that asks but does not read: the provider stops reading it", async () => {
  let served = 0;
  const { peer } = await rawCaller({
    handlers: {
      echo() {
        served++;
        return { data: Buffer.alloc(64 * 1024) };
      },
    },
  });
  peer.send(settingsFrame(), callFrame({ id: callId(1), index: 1, rare: echoNames }));
  await peer.frame(Kind.REPLY, callId(1));
  peer.connection.pause();
  for (let id = 2; id < 400; id++) {
    peer.send(callFrame({ id: callId(id), index: 1 }));
    await settle();
  }
  // 1 MiB waits, besides what the connection itself holds.
  expect(served).toBeLessThan(60);
  peer.connection.resume();
  await peer.frame(Kind.REPLY, callId(399));
  expect(served).toBe(399);
});

test("nor are the calls of one read all served before the first reply waits: back-pressure acts between them", async () => {
  let served = 0;
  const { peer, stub } = await rawCaller({
    handlers: {
      echo() {
        served++;
        return { data: Buffer.alloc(64 * 1024) };
      },
    },
  });
  peer.send(settingsFrame());
  peer.connection.pause();
  const calls = Array.from({ length: 400 }, (_, i) =>
    callFrame({ id: callId(i + 1), index: 1, rare: echoNames }),
  );
  peer.connection.write(Buffer.concat(calls));
  await settle();
  expect(served).toBeGreaterThan(10);
  expect(served).toBeLessThan(60);
  expect((await stub.relay({ text: "other" })).text).toBe("other");
  peer.connection.resume();
  await peer.frame(Kind.REPLY, callId(400));
  expect(served).toBe(400);
});

test("a caller that asked for more than limits.unwritten at once gets RESOURCE_EXHAUSTED for the rest", async () => {
  const { peer } = await rawCaller({
    settings: { unwrittenMaxBytes: 2 << 20 },
    // Each has begun before the first reply is there, so that reading cannot stop in time.
    handlers: { echo: async () => ({ data: Buffer.alloc(64 * 1024) }) },
  });
  peer.send(settingsFrame());
  peer.connection.pause();
  const calls = Array.from({ length: 100 }, (_, i) =>
    callFrame({ id: callId(i + 1), index: 1, rare: echoNames }),
  );
  peer.send(...calls);
  await settle();
  peer.connection.resume();
  await peer.frame(Kind.REPLY, callId(100));
  const exhausted = peer.frames.filter(({ status }) => status === 8);
  expect(exhausted.length).toBeGreaterThan(40);
  expect(exhausted[0]?.rare).toMatchObject({ executed: "yes" });
  expect(exhausted[0]?.rare.message).toContain("(limits.unwritten)");
});
