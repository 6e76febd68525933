import { describe, expect, test } from "vitest";
import type { Address } from "../../../src/base/address.js";
import { Reader } from "../../../src/protobuf/reader.js";
import { encodeMessage } from "../../../src/protobuf/types.js";
import { writeChunkHeader } from "../../../src/protocol/mprpc/wire/chunk-header.js";
import { FrameEncoder } from "../../../src/protocol/mprpc/wire/frame-encoder.js";
import { Kind, type Settings, settingsUnknown } from "../../../src/protocol/mprpc/wire/header.js";
import { settle } from "../../../src/testing/index.js";
import { deferred, failure } from "../../support/async.js";
import { Cluster, type ClusterOptions, startPair } from "../../support/cluster.js";
import { Blob, ProbeService, ProbeServiceStub } from "../../support/gen/probe.js";
import { callFrame, callId, controlFrame, echoNames, RawPeer, replyFrame } from "../../support/raw-peer.js";

const large = encodeMessage(Blob, { data: Buffer.alloc(200_000, 7) });

const settings = (init: Partial<Settings>): Buffer =>
  controlFrame(Kind.SETTINGS, 0, {
    settings: { ...settingsUnknown, bodyMaxBytes: 4 << 20, chunks: true, ...init },
  });

function announcement(frame: { call: number } | { reply: number }, sizeBytes: number): Buffer {
  const encoder = new FrameEncoder();
  if ("call" in frame) encoder.beginCall(frame.call, 0, -1, echoNames, 1);
  else encoder.beginReply(frame.reply, 0, undefined, 1);
  encoder.announceBody(sizeBytes);
  return encoder.writer.finish();
}

function chunk(id: number, part: Buffer): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(18), part]);
  return bytes.subarray(writeChunkHeader(bytes, 18, id, part.length));
}

async function rawCaller(options: ClusterOptions = {}) {
  const pair = await startPair(options);
  const peer = await RawPeer.connect(pair.cluster.transport, pair.provider.address as Address);
  peer.send(settings({ maxInFlight: 0 }));
  return { ...pair, peer };
}

/** A provider that the test plays, with these settings, and one call behind it so that they are known. */
async function rawProvider(init: Partial<Settings>) {
  const cluster = new Cluster({});
  const runtime = cluster.runtime();
  const met = deferred<RawPeer>();
  const listener = await cluster.transport.listen({ host: "127.0.0.1", port: 0 }, (connection) => {
    const peer = new RawPeer(connection);
    peer.send(settings({ maxInFlight: 1000, ...init }));
    met.resolve(peer);
  });
  cluster.onClose(() => listener.close());
  const { address } = listener;
  await runtime.registry.register({ service: "probe.ProbeService", methods: ["Echo", "Note"], address });
  const channel = cluster.channel({}, runtime);
  const stub = new ProbeServiceStub(channel);
  const first = stub.echo({});
  const peer = await met.promise;
  cluster.onClose(async () => peer.connection.destroy());
  await peer.frame(Kind.CALL, callId(1));
  peer.send(replyFrame({ id: callId(1) }));
  await first;
  peer.frames.splice(0);
  const announced = () =>
    peer.frames.filter(({ kind, messageSize }) => kind === Kind.CALL && messageSize > 0);
  return { cluster, runtime, channel, stub, peer, announced, listener };
}

describe("a caller", () => {
  const data = Buffer.alloc(300_000, 1);

  test("announces as many large requests as the provider takes, and the next as each is whole", async () => {
    const { stub, peer, announced } = await rawProvider({ arrivingMax: 2 });
    const calls = Array.from({ length: 5 }, (_, number) => stub.echo({ data, number }));
    // The provider takes each request as it comes: none waits for a reply.
    await peer.until("all requests", () => announced().filter(({ message }) => message).length === 5);
    let most = 0;
    let open = 0;
    for (const { kind, messageSize } of peer.frames) if (kind === Kind.CALL && messageSize > 0) open++;
    most = Math.max(most, open);
    expect(most).toBe(5);
    const numbers = announced().map(({ message }) => Blob.decode(readerOf(message), sizeOf(message)).number);
    expect(numbers).toEqual([0, 1, 2, 3, 4]);
    for (const { callId: id } of announced()) peer.send(replyFrame({ id, body: { text: "ok" } }));
    for (const call of calls) expect((await call).text).toBe("ok");
  });

  test("never has more announced than that", async () => {
    const { stub, peer, announced } = await rawProvider({ arrivingMax: 2 });
    peer.connection.pause();
    const calls = Array.from({ length: 4 }, () => stub.echo({ data: Buffer.alloc(2 << 20) }));
    await settle();
    peer.connection.resume();
    await peer.until("the second", () => announced().length === 2);
    while (announced().length < 4) {
      const unfinished = announced().filter(({ message }) => message === undefined);
      expect(unfinished.length).toBeLessThanOrEqual(2);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await peer.until("all requests", () => announced().every(({ message }) => message));
    for (const { callId: id } of announced()) peer.send(replyFrame({ id }));
    await Promise.all(calls);
  });

  test("goes by their size as well; one alone may be larger", async () => {
    const { stub, peer, announced } = await rawProvider({ arrivingMaxBytes: 500_000 });
    const calls = [stub.echo({ data: Buffer.alloc(3 << 20) }), stub.echo({ data }), stub.echo({ data })];
    await peer.until("the first", () => announced().length === 1);
    await peer.until("all requests", () => announced().filter(({ message }) => message).length === 3);
    const order = peer.frames.filter(({ kind }) => kind === Kind.CALL);
    expect(order[0]?.message).toBeInstanceOf(Buffer);
    for (const { callId: id } of announced()) peer.send(replyFrame({ id }));
    await Promise.all(calls);
  });

  test("lets small calls pass those that wait, also with a method's first call", async () => {
    const { stub, peer, announced } = await rawProvider({ arrivingMax: 1 });
    peer.connection.pause();
    const calls = [
      stub.echo({ data: Buffer.alloc(2 << 20) }),
      // The first call of its method waits: the index is agreed on by the one that goes first.
      stub.note({ data, text: "large" }),
      stub.note({ text: "small" }),
    ];
    await settle();
    peer.connection.resume();
    const small = await peer.frame(Kind.CALL, callId(2));
    expect([small.messageSize, small.rare.methodName]).toEqual([0, "Note"]);
    await peer.until("all requests", () => announced().filter(({ message }) => message).length === 2);
    expect(announced()[1]?.rare.methodName).toBeUndefined();
    expect(announced()[1]?.methodIndex).toBe(small.methodIndex);
    for (const { kind, callId: id } of [...peer.frames])
      if (kind === Kind.CALL) peer.send(replyFrame({ id }));
    await Promise.all(calls);
  });

  test("one that waits has provably not been sent: cancelled, out of time, or its connection lost", async () => {
    const { stub, peer, cluster } = await rawProvider({ arrivingMax: 1 });
    peer.connection.pause();
    const first = failure(stub.echo({ data: Buffer.alloc(2 << 20) }, { timeoutMs: 60_000 }));
    const abort = new AbortController();
    const cancelled = failure(stub.echo({ data }, { signal: abort.signal }));
    const late = failure(stub.echo({ data }, { timeoutMs: 100 }));
    const kept = failure(stub.echo({ data }, { timeoutMs: 1000 }));
    await settle();
    abort.abort();
    expect(await cancelled).toMatchObject({ codeName: "CANCELLED", executed: "never" });
    await cluster.clock.run(150);
    expect(await late).toMatchObject({ codeName: "DEADLINE_EXCEEDED", executed: "never" });
    peer.connection.reset();
    await cluster.clock.run(2000);
    // Sent anew, as often as it took: nobody answers it.
    expect((await kept).codeName).toBe("DEADLINE_EXCEEDED");
    await cluster.clock.run(60_000);
    expect((await first).codeName).toBe("UNAVAILABLE");
  });

  test("is told to go away: those that wait fail, never, and go elsewhere", async () => {
    const { stub, peer, announced, cluster, listener } = await rawProvider({ arrivingMax: 1 });
    await cluster.provider();
    await listener.close();
    await settle();
    peer.connection.pause();
    const calls = Array.from({ length: 6 }, (_, number) => stub.echo({ data, number }));
    await settle();
    peer.send(controlFrame(Kind.GOING_AWAY, 0, { acceptedCalls: 2 }));
    await settle();
    peer.connection.resume();
    // Half of them went to the other provider at once. Of this one's the first was taken, and the others follow there.
    await peer.until("the first", () => announced()[0]?.message instanceof Buffer);
    const [first] = announced();
    peer.send(replyFrame({ id: first?.callId ?? 0, body: first?.message as Buffer }));
    const replies = await Promise.all(calls);
    expect(replies.map(({ number }) => number)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(announced()).toHaveLength(1);
  });

  test("oneway calls with large messages go one after the other", async () => {
    const { channel, peer, announced } = await rawProvider({});
    const sent = Array.from({ length: 3 }, (_, number) =>
      channel.oneway(ProbeService.methods.note, { data, number }),
    );
    await peer.until("all messages", () => announced().filter(({ message }) => message).length === 3);
    await Promise.all(sent);
    const numbers = announced().map(({ message }) => Blob.decode(readerOf(message), sizeOf(message)).number);
    expect(numbers).toEqual([0, 1, 2]);
  });

  test("large requests take turns, a chunk each", async () => {
    const { stub, peer, announced } = await rawProvider({});
    const [long, short] = [stub.echo({ data: Buffer.alloc(3 << 20) }), stub.echo({ data })];
    await peer.until("the short one", () => announced()[1]?.message !== undefined);
    expect(announced()[0]?.message).toBeUndefined();
    await peer.until("the long one", () => announced()[0]?.message !== undefined);
    for (const { callId: id } of announced()) peer.send(replyFrame({ id }));
    await Promise.all([long, short]);
  });

  test("a reply that stops in the middle ends its call, and the connection goes on", async () => {
    const { stub, peer, cluster } = await rawProvider({});
    const call = failure(stub.echo({}, { timeoutMs: Number.POSITIVE_INFINITY }));
    const { callId: id } = await peer.frame(Kind.CALL);
    peer.send(announcement({ reply: id }, large.length), chunk(id, large.subarray(0, 100_000)));
    for (let i = 0; i < 5; i++) {
      await cluster.clock.run(2500);
      peer.send(controlFrame(Kind.PONG, 0, { pingId: 1 }));
      await settle();
    }
    expect(await call).toMatchObject({ codeName: "UNAVAILABLE", executed: "yes" });
    await peer.frame(Kind.CANCEL, id);
    // The provider says that it sends no more of it: the number is free again.
    const givenUp = new FrameEncoder();
    givenUp.giveUpMessage(id);
    peer.send(givenUp.writer.finish());
    await settle();
    const next = stub.echo({});
    await peer.frame(Kind.CALL, id + 1);
    peer.send(replyFrame({ id: id + 1, body: { text: "on" } }));
    expect((await next).text).toBe("on");
  });

  test("more replies in chunks than it said it takes end the connection", async () => {
    const { stub, peer } = await rawProvider({});
    const calls = Array.from({ length: 65 }, () => failure(stub.echo({})));
    await peer.frame(Kind.CALL, callId(65));
    const ids = peer.frames.filter(({ kind }) => kind === Kind.CALL).map(({ callId: id }) => id);
    peer.send(...ids.map((id) => announcement({ reply: id }, 10)));
    const [one] = await Promise.all(calls);
    expect(one?.rawMessage).toContain("64 messages in chunks are arriving on this connection");
    expect(one?.rawMessage).toContain("(limits.arriving)");
  });
});

function readerOf(message: unknown) {
  return new Reader(message as Buffer);
}

const sizeOf = (message: unknown): number => (message as Buffer).length;

describe("a provider", () => {
  test("puts the requests of several calls together side by side", async () => {
    const { peer } = await rawCaller();
    const [a, b] = [callId(1), callId(2)];
    peer.send(announcement({ call: a }, large.length), announcement({ call: b }, large.length));
    for (let at = 0; at < large.length; at += 50_000) {
      const part = large.subarray(at, at + 50_000);
      peer.send(chunk(b, part), chunk(a, part));
    }
    await peer.until("both replies", () => peer.frames.filter(({ message }) => message).length === 2);
    for (const { message } of peer.frames.filter((one) => one.message)) {
      expect(large.equals(message as Buffer)).toBe(true);
    }
  });

  test("a request takes a place of a running call only when it is whole", async () => {
    const entered: number[] = [];
    const gate = deferred();
    const { peer, provider } = await rawCaller({
      settings: { provider: { inFlightMax: 1 } },
      handlers: {
        async echo(request) {
          entered.push(request.number);
          await gate.promise;
          return request;
        },
      },
    });
    const body = encodeMessage(Blob, { data: Buffer.alloc(200_000), number: 1 });
    peer.send(announcement({ call: callId(1) }, body.length), chunk(callId(1), body.subarray(0, 100_000)));
    await settle();
    expect(provider.inFlight).toBe(1);
    // The one place is free.
    peer.send(callFrame({ id: callId(2), rare: echoNames, body: { number: 2 } }));
    await settle();
    expect(entered).toEqual([2]);
    // And now it is not.
    peer.send(chunk(callId(1), body.subarray(100_000)));
    expect(await peer.frame(Kind.REPLY, callId(1))).toMatchObject({
      status: 8,
      rare: { executed: "never" },
    });
    gate.resolve();
    await peer.frame(Kind.REPLY, callId(2));
    expect([entered, provider.inFlight]).toEqual([[2], 0]);
  });

  test("the last place is taken by a request in chunks as by any other", async () => {
    const { peer } = await rawCaller({
      settings: { provider: { inFlightMax: 1, inFlightPerConnectionMax: 1 } },
    });
    peer.send(announcement({ call: callId(1) }, 4), chunk(callId(1), Buffer.from("0a026f6b", "hex")));
    expect(await peer.frame(Kind.REPLY, callId(1))).toMatchObject({ status: 0 });
  });

  test.each([
    [
      "one more than limits.arriving",
      65,
      10,
      "64 messages in chunks are arriving on this connection, the limit (limits.arriving)",
    ],
    ["more bytes than limits.arrivingbytes", 9, 4 << 20, "over the limit of 33554432 (limits.arrivingbytes)"],
  ])(
    "refuses %s at the announcement, never, and passes over its chunks",
    async (_what, count, size, text) => {
      const { peer, provider } = await rawCaller();
      for (let i = 1; i <= count; i++) peer.send(announcement({ call: callId(i) }, size));
      const refused = await peer.frame(Kind.REPLY, callId(count));
      expect(refused).toMatchObject({ status: 8, rare: { executed: "never" } });
      expect(refused.rare.message).toContain(text);
      expect(provider.inFlight).toBe(count - 1);
      peer.send(chunk(callId(count), Buffer.alloc(10)), controlFrame(Kind.CANCEL, callId(1)));
      await peer.frame(Kind.REPLY, callId(1));
      // There is room again.
      peer.send(announcement({ call: callId(1, 1) }, 4), chunk(callId(1, 1), Buffer.from("0a026f6b", "hex")));
      expect(await peer.frame(Kind.REPLY, callId(1, 1))).toMatchObject({ status: 0 });
    },
  );

  test.each([
    ["in the middle", 1, false],
    ["before it has begun, with nothing else from its caller", 0, false],
    ["in the middle, though its caller is busy otherwise", 1, true],
  ])("a request that stops %s ends its call, never", async (_what, chunks, busy) => {
    const { peer, clock, provider } = await rawCaller();
    const id = callId(1);
    peer.send(announcement({ call: id }, large.length));
    for (let i = 0; i < chunks; i++) peer.send(chunk(id, large.subarray(i * 1000, (i + 1) * 1000)));
    for (let i = 0; i < 4; i++) {
      if (busy) peer.send(controlFrame(Kind.PONG, 0, { pingId: 1 }));
      await clock.run(2400);
    }
    expect(provider.inFlight).toBe(1);
    await clock.run(3000);
    const reply = await peer.frame(Kind.REPLY, id);
    expect(reply).toMatchObject({ status: 14, rare: { executed: "never" } });
    expect(reply.rare.message).toContain("made no progress for 10000 ms");
    expect(provider.inFlight).toBe(0);
    // What still comes of it is passed over.
    peer.send(chunk(id, large.subarray(1000)), callFrame({ id: callId(2), rare: echoNames }));
    expect(await peer.frame(Kind.REPLY, callId(2))).toMatchObject({ status: 0 });
  });

  test("one that has not begun waits as long as its caller sends others, and a slow one as long as it comes", async () => {
    const { peer, clock, provider } = await rawCaller();
    peer.send(announcement({ call: callId(1) }, 40), announcement({ call: callId(2) }, large.length));
    for (let i = 0; i < 40; i++) {
      await clock.run(2400);
      peer.send(chunk(callId(2), large.subarray(i * 10, (i + 1) * 10)));
      await settle();
    }
    expect(provider.inFlight).toBe(2);
  });

  test("on a slow line a message waits for the turns of the others, however long those take", async () => {
    const { peer, clock, provider } = await rawCaller();
    const ids = Array.from({ length: 30 }, (_, i) => callId(i + 1));
    for (const id of ids) peer.send(announcement({ call: id }, large.length));
    // A turn of all takes 15 s.
    for (let at = 0; at < 3000; at += 1000) {
      for (const id of ids) {
        peer.send(chunk(id, large.subarray(at, at + 1000)));
        await clock.run(500);
      }
    }
    expect(provider.inFlight).toBe(30);
  });

  test("one that is passed over time and again has stopped", async () => {
    const { peer, clock } = await rawCaller({ settings: { limits: { arrivingMaxBytes: 4 << 20 } } });
    const [stopped, other] = [callId(1), callId(2)];
    peer.send(announcement({ call: stopped }, large.length), chunk(stopped, large.subarray(0, 1000)));
    const busy = Buffer.alloc(3 << 20);
    peer.send(announcement({ call: other }, busy.length));
    for (let at = 0; at < busy.length; at += 1 << 18) {
      peer.send(chunk(other, busy.subarray(at, at + (1 << 18))));
      await clock.run(2000);
    }
    expect(peer.frames.filter(({ kind, callId: id }) => kind === Kind.REPLY && id === stopped)).toEqual([]);
    peer.send(announcement({ call: callId(3) }, busy.length));
    for (let at = 0; at < busy.length; at += 1 << 18) {
      peer.send(chunk(callId(3), busy.subarray(at, at + (1 << 18))));
      await clock.run(2000);
    }
    expect(await peer.frame(Kind.REPLY, stopped)).toMatchObject({ status: 14, rare: { executed: "never" } });
  });

  test.each([2 ** 32, 2 ** 32 + 1024, 2 ** 36])(
    "says a limit of %d bytes, which no number of the wire holds, as the largest one it can say",
    async (arrivingMaxBytes) => {
      const { peer } = await rawCaller({ settings: { limits: { arrivingMaxBytes } } });
      const { rare } = await peer.frame(Kind.SETTINGS);
      expect(rare.settings?.arrivingMaxBytes).toBe(2 ** 32 - 1);
    },
  );

  test("drains: a oneway request that is arriving is waited for, and its handler runs", async () => {
    const sizes: number[] = [];
    const { peer, provider, clock } = await rawCaller({
      settings: { provider: { drainTimeoutMs: 5000 } },
      handlers: {
        echo(request) {
          sizes.push(request.data.length);
          return request;
        },
      },
    });
    peer.send(announcement({ call: 0 }, large.length), chunk(0, large.subarray(0, 100_000)));
    await settle();
    const down = provider.shutdown();
    await peer.frame(Kind.GOING_AWAY);
    await settle();
    expect(peer.ended).toBe(false);
    peer.send(chunk(0, large.subarray(100_000)));
    await peer.end();
    expect(sizes).toEqual([200_000]);
    peer.connection.end();
    await clock.run(1000);
    await down;
  });

  test("keeps to what the caller takes: large replies wait, and small ones pass them", async () => {
    const { cluster, provider } = await startPair({
      handlers: { echo: () => ({ data: Buffer.alloc(300_000) }) },
    });
    const peer = await RawPeer.connect(cluster.transport, provider.address as Address);
    peer.send(settings({ maxInFlight: 0, arrivingMax: 1 }));
    peer.connection.pause();
    for (let i = 1; i <= 3; i++) peer.send(callFrame({ id: callId(i), rare: echoNames }));
    peer.send(
      callFrame({ id: callId(4), rare: { ...echoNames, methodName: "Relay" }, body: { text: "small" } }),
    );
    await settle();
    peer.connection.resume();
    await peer.frame(Kind.REPLY, callId(4));
    let announced = peer.frames.filter(({ messageSize }) => messageSize > 0);
    expect(announced.filter(({ message }) => message === undefined).length).toBeLessThanOrEqual(1);
    await peer.until("the replies", () => {
      announced = peer.frames.filter(({ messageSize }) => messageSize > 0);
      expect(announced.filter(({ message }) => message === undefined).length).toBeLessThanOrEqual(1);
      return announced.length === 3 && announced.every(({ message }) => message instanceof Buffer);
    });
    expect(announced.map(({ callId: id }) => id)).toEqual([callId(1), callId(2), callId(3)]);
  });

  test("a large reply that waits, and whose call is cancelled, is answered all the same", async () => {
    const { cluster, provider } = await startPair({
      handlers: { echo: () => ({ data: Buffer.alloc(2 << 20) }) },
    });
    const peer = await RawPeer.connect(cluster.transport, provider.address as Address);
    peer.send(settings({ maxInFlight: 0, arrivingMax: 1 }));
    peer.connection.pause();
    peer.send(callFrame({ id: callId(1), rare: echoNames }), callFrame({ id: callId(2), rare: echoNames }));
    await settle();
    peer.send(controlFrame(Kind.CANCEL, callId(2)));
    await settle();
    peer.connection.resume();
    expect(await peer.frame(Kind.REPLY, callId(2))).toMatchObject({ status: 1, messageSize: 0 });
    const first = await peer.frame(Kind.REPLY, callId(1));
    await peer.until("the first reply", () => first.message instanceof Buffer);
  });

  test("drains: a request that is arriving is waited for, and answered", async () => {
    const { peer, provider } = await rawCaller({ settings: { provider: { drainTimeoutMs: 5000 } } });
    const id = callId(1);
    peer.send(announcement({ call: id }, large.length), chunk(id, large.subarray(0, 100_000)));
    await settle();
    const down = provider.shutdown();
    const away = await peer.frame(Kind.GOING_AWAY);
    expect(away.rare.acceptedCalls).toBe(1);
    peer.send(chunk(id, large.subarray(100_000)));
    const reply = await peer.frame(Kind.REPLY, id);
    await peer.until("the reply", () => reply.message instanceof Buffer);
    peer.connection.end();
    await down;
  });
});
