import { describe, expect, test } from "vitest";
import type { Address } from "../../../src/base/address.js";
import { Kind } from "../../../src/protocol/mprpc/wire/header.js";
import { settle } from "../../../src/testing/index.js";
import { deferred, failure } from "../../support/async.js";
import { Cluster, type ClusterOptions } from "../../support/cluster.js";
import { ProbeServiceStub } from "../../support/gen/probe.js";
import { callId, controlFrame, RawPeer, replyFrame, settingsFrame } from "../../support/raw-peer.js";

/** A stub, and providers of which the test writes every frame. */
async function rawProvider(options: ClusterOptions & { endpoints?: number; greets?: boolean } = {}) {
  const cluster = new Cluster(options);
  const runtime = cluster.runtime();
  const peers: RawPeer[] = [];
  let wake = () => {};
  const addresses: Address[] = [];
  for (let i = 0; i < (options.endpoints ?? 1); i++) {
    const listener = await cluster.transport.listen({ host: "127.0.0.1", port: 0 }, (connection) => {
      const peer = new RawPeer(connection);
      peers.push(peer);
      if (options.greets ?? true) peer.send(settingsFrame(1000));
      wake();
    });
    cluster.onClose(() => listener.close());
    addresses.push(listener.address);
    await runtime.registry.register({
      service: "probe.ProbeService",
      methods: ["Echo", "Relay", "Note"],
      address: listener.address,
    });
  }
  cluster.onClose(async () => {
    for (const { connection } of peers) connection.destroy();
  });
  const channel = cluster.channel({}, runtime);
  const accepted = async (index: number): Promise<RawPeer> => {
    while (peers[index] === undefined) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    return peers[index];
  };
  return {
    cluster,
    clock: cluster.clock,
    runtime,
    channel,
    stub: new ProbeServiceStub(channel),
    peers,
    accepted,
    addresses,
  };
}

test("settings and the first call leave in one write", async () => {
  const { stub, accepted } = await rawProvider({ greets: false });
  const call = stub.echo({ text: "x" });
  const peer = await accepted(0);
  const frame = await peer.frame(Kind.CALL);
  expect(peer.chunks).toHaveLength(1);
  expect(peer.frames.map(({ kind }) => kind)).toEqual([Kind.SETTINGS, Kind.CALL]);
  expect(peer.bytes[4]).toBe(0x20);
  expect(frame).toMatchObject({
    callId: callId(1),
    methodIndex: 1,
    timeoutMs: 5000,
    rare: { serviceName: "probe.ProbeService", methodName: "Echo" },
  });
  peer.send(settingsFrame(1000), replyFrame({ id: callId(1), body: { text: "y" } }));
  expect((await call).text).toBe("y");
});

test("a method is named once; its index does afterwards; numbers are used again", async () => {
  const { stub, accepted } = await rawProvider();
  const first = stub.echo({});
  const peer = await accepted(0);
  await peer.frame(Kind.CALL, callId(1));
  peer.send(replyFrame({ id: callId(1) }));
  await first;
  const calls = [stub.echo({}), stub.relay({}), stub.relay({})];
  await peer.frame(Kind.CALL, callId(3));
  const sent = peer.frames.filter(({ kind }) => kind === Kind.CALL).slice(1);
  expect(sent.map((frame) => [frame.callId, frame.methodIndex, frame.rare.methodName])).toEqual([
    [callId(1, 1), 1, undefined],
    [callId(2), 2, "Relay"],
    [callId(3), 2, undefined],
  ]);
  peer.send(replyFrame({ id: callId(3) }), replyFrame({ id: callId(2) }), replyFrame({ id: callId(1, 1) }));
  await Promise.all(calls);
});

test("a call whose encoding failed names its method again the next time", async () => {
  const { stub, accepted } = await rawProvider();
  await failure(stub.echo({ text: 7 as never }));
  const call = stub.echo({});
  const peer = await accepted(0);
  expect((await peer.frame(Kind.CALL)).rare.methodName).toBe("Echo");
  peer.send(replyFrame({ id: callId(1) }));
  await call;
});

test("replies split at every byte are the same", async () => {
  const { stub, accepted } = await rawProvider();
  const replies = ([first = 0, second = 0]: number[]): Buffer =>
    Buffer.concat([
      replyFrame({ id: first, body: { text: "one" } }),
      replyFrame({ id: second, body: { text: "two" } }),
    ]);
  const warm = stub.echo({});
  const peer = await accepted(0);
  await peer.frame(Kind.CALL, callId(1));
  peer.send(replyFrame({ id: callId(1) }));
  await warm;
  for (let at = 1; at < replies([callId(1), callId(2)]).length; at++) {
    const calls = [stub.echo({}), stub.echo({})];
    await settle();
    const bytes = replies(peer.frames.slice(-2).map((frame) => frame.callId));
    peer.connection.write(bytes.subarray(0, at));
    await settle();
    peer.connection.write(bytes.subarray(at));
    const texts = (await Promise.all(calls)).map(({ text }) => text);
    expect(texts).toEqual(["one", "two"]);
  }
});

test("unknown kinds are passed over", async () => {
  const { stub, accepted } = await rawProvider();
  const call = stub.echo({});
  const peer = await accepted(0);
  await peer.frame(Kind.CALL);
  peer.send(controlFrame(55, callId(1)), replyFrame({ id: callId(1), body: { text: "once" } }));
  expect((await call).text).toBe("once");
});

test.each([
  ["to a call that was answered before", [callId(1), callId(1)], 128],
  ["to a number that was never used", [callId(1), callId(900)], 115_200],
  ["to the generation before", [callId(1), callId(2), callId(1)], 128],
  ["to no number", [callId(1), 0], 0],
])("a reply %s is delivered to no other call, and ends the connection", async (_what, ids, told) => {
  const { stub, accepted, runtime } = await rawProvider();
  const closed = deferred<string>();
  runtime.events.on("connectionClose", ({ reason }) => closed.resolve(reason ?? ""));
  const first = stub.echo({});
  const peer = await accepted(0);
  await peer.frame(Kind.CALL);
  peer.send(settingsFrame(1000), replyFrame({ id: callId(1), body: { text: "once" } }));
  expect((await first).text).toBe("once");
  // The one free slot is used again, with the next generation.
  const second = failure(stub.echo({}));
  await peer.frame(Kind.CALL, callId(1, 1));
  for (const id of ids.slice(1)) peer.send(replyFrame({ id, body: { text: "twice" } }));
  expect(await second).toMatchObject({ codeName: "UNAVAILABLE", executed: "maybe" });
  expect(await closed.promise).toMatch(
    new RegExp(
      `malformed bytes .*a reply to call ${ids.includes(callId(2)) ? 256 : told}, which waits for none`,
    ),
  );
});

test("free slots are used again from the one that has been free for longest", async () => {
  const { stub, accepted } = await rawProvider();
  const calls = [stub.echo({}), stub.echo({}), stub.echo({})];
  const peer = await accepted(0);
  await peer.frame(Kind.CALL, callId(3));
  peer.send(...[2, 3, 1].map((slot) => replyFrame({ id: callId(slot) })));
  await Promise.all(calls);
  const again = [stub.echo({}), stub.echo({}), stub.echo({}), stub.echo({})];
  await peer.frame(Kind.CALL, callId(4));
  const ids = peer.frames.filter(({ kind }) => kind === Kind.CALL).map((frame) => frame.callId);
  expect(ids.slice(3)).toEqual([callId(2, 1), callId(3, 1), callId(1, 1), callId(4)]);
  for (const id of ids.slice(3)) peer.send(replyFrame({ id }));
  await Promise.all(again);
});

test("a provider that goes away may still refuse calls that have failed here", async () => {
  const { stub, accepted } = await rawProvider();
  const [kept, late] = [stub.echo({}), stub.echo({})];
  const peer = await accepted(0);
  await peer.frame(Kind.CALL, callId(2));
  peer.send(
    controlFrame(Kind.GOING_AWAY, 0, { acceptedCalls: 1 }),
    replyFrame({ id: callId(2), status: 14, rare: { executed: "never" } }),
    replyFrame({ id: callId(1), body: { text: "kept" } }),
  );
  expect((await kept).text).toBe("kept");
  const second = await accepted(1);
  await second.frame(Kind.CALL);
  second.send(replyFrame({ id: callId(1), body: { text: "sent again" } }));
  expect((await late).text).toBe("sent again");
});

test.each([
  ["a code outside the set", 77, "UNKNOWN"],
  ["no text at all", 5, "NOT_FOUND"],
])("a failure with %s", async (_, status, codeName) => {
  const { stub, accepted } = await rawProvider();
  const call = failure(stub.echo({}));
  const peer = await accepted(0);
  await peer.frame(Kind.CALL);
  peer.send(replyFrame({ id: callId(1), status }));
  expect(await call).toMatchObject({ codeName, executed: "maybe", rawMessage: "" });
});

test("malformed bytes close the connection; what was in flight is maybe", async () => {
  const { stub, accepted } = await rawProvider();
  const call = failure(stub.echo({}));
  const peer = await accepted(0);
  await peer.frame(Kind.CALL);
  peer.send(Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"));
  const error = await call;
  expect(error).toMatchObject({ codeName: "UNAVAILABLE", executed: "maybe" });
  expect(error.rawMessage).toMatch(
    /^connection lost: malformed bytes from the provider: header of \d+ bytes/,
  );
  await peer.end();
});

test.each([
  ["HTTP/1.1 400 Bad", '485454502f312e312034303020426164 "HTTP/1.1 400 Bad" (HTTP)'],
  ["SSH-2.0-x\r\n", '5353482d322e302d780d0a "SSH-2.0-x.." (SSH)'],
  ["\u0015\u0003\u0003\0\u0002\u0002(", '15030300020228 "......(" (TLS)'],
  ["+PONG\r\n", '2b504f4e470d0a "+PONG.."'],
])("whoever begins with %j does not speak mprpc, also byte by byte", async (text, told) => {
  const bytes = Buffer.from(text, "latin1");
  for (const chunks of [[bytes], [...bytes].map((byte) => Buffer.of(byte))]) {
    const { stub, accepted } = await rawProvider({ greets: false });
    const call = failure(stub.echo({}));
    const peer = await accepted(0);
    await peer.frame(Kind.CALL);
    peer.send(...chunks);
    const error = await call;
    expect(error.rawMessage).toContain(
      `what listens at ${error.endpoint} does not speak mprpc, its first bytes are `,
    );
    if (chunks.length === 1) expect(error.rawMessage).toContain(`its first bytes are ${told}`);
    await peer.end();
  }
});

describe("going-away", () => {
  test("calls above the accepted count go elsewhere, those below finish, new ones use another connection", async () => {
    const { stub, accepted, peers } = await rawProvider();
    const calls = [1, 2, 3].map((number) => stub.echo({ number }));
    const peer = await accepted(0);
    await peer.frame(Kind.CALL, callId(3));
    peer.send(controlFrame(Kind.GOING_AWAY, 0, { acceptedCalls: 1 }));
    const second = await accepted(1);
    await second.frame(Kind.CALL, callId(2));
    second.send(
      replyFrame({ id: callId(1), body: { text: "b" } }),
      replyFrame({ id: callId(2), body: { text: "c" } }),
    );
    peer.send(replyFrame({ id: callId(1), body: { text: "a" } }));
    expect((await Promise.all(calls)).map(({ text }) => text)).toEqual(["a", "b", "c"]);
    await peer.end();
    expect(peers).toHaveLength(2);
  });

  test("a late answer to a call that went elsewhere meets nobody", async () => {
    const { stub, accepted } = await rawProvider();
    const call = stub.echo({});
    const keep = stub.echo({});
    const peer = await accepted(0);
    await peer.frame(Kind.CALL, callId(2));
    peer.send(
      controlFrame(Kind.GOING_AWAY, 0, { acceptedCalls: 1 }),
      replyFrame({ id: callId(2), body: { text: "wrong" } }),
    );
    const second = await accepted(1);
    await second.frame(Kind.CALL);
    second.send(replyFrame({ id: callId(1), body: { text: "right" } }));
    peer.send(replyFrame({ id: callId(1), body: { text: "kept" } }));
    expect((await keep).text).toBe("right");
    expect((await call).text).toBe("kept");
  });

  test("a provider that turns everybody away is not hammered", async () => {
    const { stub, peers, cluster, clock } = await rawProvider();
    const away = controlFrame(Kind.GOING_AWAY, 0, { acceptedCalls: 0, message: "full house" });
    const call = failure(stub.echo({}));
    await settle();
    peers[0]?.send(away);
    const error = await call;
    expect(error).toMatchObject({ codeName: "UNAVAILABLE", executed: "never" });
    expect(error.rawMessage).toContain("turned the caller away: full house");
    expect(await failure(stub.echo({}))).toMatchObject({ codeName: "UNAVAILABLE", executed: "never" });
    expect(peers).toHaveLength(1);
    // The backoff runs out, the connection is made, and a call can have it.
    await clock.run(1300);
    expect(peers).toHaveLength(2);
    const next = stub.echo({});
    await peers[1]?.frame(Kind.CALL);
    peers[1]?.send(replyFrame({ id: callId(1), body: { text: "room" } }));
    expect((await next).text).toBe("room");
    expect(cluster.log.at("error")).toEqual([]);
  });
});

describe("keepalive of the caller", () => {
  test("a ping after 10 s of silence; 4 s later the provider is dead and its calls maybe", async () => {
    const { stub, accepted, clock } = await rawProvider();
    const call = failure(stub.echo({}, { timeoutMs: 60_000 }));
    const peer = await accepted(0);
    await peer.frame(Kind.CALL);
    await clock.run(9_900);
    expect(peer.frames.some(({ kind }) => kind === Kind.PING)).toBe(false);
    await clock.run(200);
    await peer.frame(Kind.PING);
    await clock.run(4_000);
    const error = await call;
    expect(error).toMatchObject({ codeName: "UNAVAILABLE", executed: "maybe" });
    expect(error.rawMessage).toBe("connection lost: no answer to a ping, silent for 14000 ms");
  });

  test("a provider that answers pings keeps its slow calls", async () => {
    const { stub, accepted, clock } = await rawProvider();
    const call = stub.echo({}, { timeoutMs: Infinity });
    const peer = await accepted(0);
    await peer.frame(Kind.CALL);
    for (let i = 0; i < 20; i++) {
      await clock.run(5_000);
      const pings = peer.frames.filter(({ kind }) => kind === Kind.PING).length;
      if (pings > 0) peer.send(controlFrame(Kind.PONG, 0, { pingId: 1 }));
    }
    peer.send(replyFrame({ id: callId(1), body: { text: "at last" } }));
    expect((await call).text).toBe("at last");
  });

  test("its pings are answered", async () => {
    const { stub, accepted } = await rawProvider();
    const call = stub.echo({});
    const peer = await accepted(0);
    await peer.frame(Kind.CALL);
    peer.send(controlFrame(Kind.PING, 0, { pingId: 9 }));
    expect((await peer.frame(Kind.PONG)).rare.pingId).toBe(9);
    peer.send(replyFrame({ id: callId(1) }));
    await call;
  });
});

describe("a connection that is lost", () => {
  test("after the call has left: maybe, and not tried again", async () => {
    const { stub, accepted, peers } = await rawProvider();
    const call = failure(stub.echo({}));
    const peer = await accepted(0);
    await peer.frame(Kind.CALL);
    peer.connection.reset();
    expect(await call).toMatchObject({
      codeName: "UNAVAILABLE",
      executed: "maybe",
      attempts: 1,
      phase: "wait",
    });
    expect(peers).toHaveLength(1);
  });

  test("before the call has left: never, and it goes elsewhere", async () => {
    const { stub, accepted, cluster } = await rawProvider();
    const warm = stub.echo({});
    const peer = await accepted(0);
    await peer.frame(Kind.CALL);
    peer.send(replyFrame({ id: callId(1) }));
    await warm;
    // The reader stands still, so that what is written gathers here.
    peer.connection.pause();
    const sent = failure(stub.echo({ data: Buffer.alloc(300_000) }));
    await settle();
    const late = stub.relay({ text: "late" });
    await settle();
    cluster.network.cutAll();
    expect(await sent).toMatchObject({ codeName: "UNAVAILABLE", executed: "maybe" });
    const second = await accepted(1);
    const frame = await second.frame(Kind.CALL);
    expect(frame.rare.methodName).toBe("Relay");
    second.send(replyFrame({ id: callId(1), body: { text: "elsewhere" } }));
    expect((await late).text).toBe("elsewhere");
  });

  test("a provider that says FIN with calls open is gone", async () => {
    const { stub, accepted } = await rawProvider();
    const call = failure(stub.echo({}));
    const peer = await accepted(0);
    await peer.frame(Kind.CALL);
    peer.connection.end();
    expect(await call).toMatchObject({
      codeName: "UNAVAILABLE",
      executed: "maybe",
      rawMessage: "connection lost: closed by the provider",
    });
  });

  test("one that closes every new connection without a word is backed off from", async () => {
    const { stub, cluster, runtime } = await rawProvider({ endpoints: 0 });
    let opened = 0;
    const { address } = await cluster.network.listen({ host: "127.0.0.1", port: 0 }, (connection) => {
      opened++;
      new RawPeer(connection).connection.destroy();
    });
    await runtime.registry.register({ service: "probe.ProbeService", methods: [], address });
    const first = await failure(stub.echo({}));
    expect(first).toMatchObject({ codeName: "UNAVAILABLE" });
    for (let i = 0; i < 20; i++) {
      expect((await failure(stub.echo({}))).rawMessage).toContain(`${address.port} closed a new connection`);
    }
    expect(opened).toBe(1);
    // Each attempt doubles, nearly, the time to the next: the bare connect is no success.
    await cluster.clock.run(60_000);
    expect(opened).toBeLessThan(12);
  });
});

test("more than the limit waits to be sent: RESOURCE_EXHAUSTED, never", async () => {
  const { stub, accepted } = await rawProvider({ settings: { unwrittenMaxBytes: 1 << 20 } });
  const warm = stub.echo({});
  const peer = await accepted(0);
  await peer.frame(Kind.CALL);
  peer.send(replyFrame({ id: callId(1) }));
  await warm;
  peer.connection.pause();
  const abort = new AbortController();
  const { signal } = abort;
  const calls = Array.from({ length: 30 }, () =>
    failure(stub.echo({ data: Buffer.alloc(100_000) }, { signal })),
  );
  const refused = await Promise.race(calls);
  expect(refused).toMatchObject({ codeName: "RESOURCE_EXHAUSTED", executed: "never" });
  expect(refused.rawMessage).toContain("over the limit of 1048576 (limits.unwritten)");
  abort.abort();
  const codes = (await Promise.all(calls)).map(({ codeName }) => codeName);
  expect(codes.filter((code) => code === "RESOURCE_EXHAUSTED").length).toBeGreaterThan(10);
});

test("over TCP: a provider that never reads does not make this side grow", async () => {
  const { stub, accepted } = await rawProvider({ tcp: true, settings: { unwrittenMaxBytes: 4 << 20 } });
  const warm = stub.echo({});
  const peer = await accepted(0);
  await peer.frame(Kind.CALL);
  peer.send(replyFrame({ id: callId(1) }));
  await warm;
  peer.connection.pause();
  const outcomes: string[] = [];
  const calls = [];
  for (let i = 0; i < 200; i++) {
    calls.push(
      failure(stub.echo({ data: Buffer.alloc(1 << 20) }, { timeoutMs: Infinity })).then((e) =>
        outcomes.push(e.codeName),
      ),
    );
    await settle();
  }
  expect(outcomes.filter((name) => name === "RESOURCE_EXHAUSTED").length).toBeGreaterThan(150);
  peer.connection.reset();
  await Promise.all(calls);
});

test("a connection cut while a reply is half here fails the call", async () => {
  const { stub, accepted } = await rawProvider({ tcp: true });
  const done = deferred<unknown>();
  stub.echo({}).catch(done.resolve);
  const peer = await accepted(0);
  await peer.frame(Kind.CALL);
  const reply = replyFrame({ id: callId(1), body: { data: Buffer.alloc(50_000) } });
  peer.connection.write(reply.subarray(0, 20_000));
  peer.connection.end();
  expect(await done.promise).toMatchObject({ codeName: "UNAVAILABLE", executed: "maybe" });
});
