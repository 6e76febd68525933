import { describe, expect, test } from "vitest";
import type { Address } from "../../../src/base/address.js";
import { Metadata } from "../../../src/base/metadata.js";
import { encodeMessage } from "../../../src/protobuf/types.js";
import { chunkBytes } from "../../../src/protocol/mprpc/send-queue.js";
import { writeChunkHeader } from "../../../src/protocol/mprpc/wire/chunk-header.js";
import { FrameEncoder } from "../../../src/protocol/mprpc/wire/frame-encoder.js";
import {
  Kind,
  type RareFields,
  type Settings,
  settingsUnknown,
} from "../../../src/protocol/mprpc/wire/header.js";
import { settle } from "../../../src/testing/index.js";
import { deferred, failure } from "../../support/async.js";
import { Cluster, type ClusterOptions, startPair } from "../../support/cluster.js";
import { Blob, ProbeService, ProbeServiceStub } from "../../support/gen/probe.js";
import {
  callFrame,
  callId,
  controlFrame,
  echoNames,
  RawPeer,
  replyFrame,
  settingsFrame,
} from "../../support/raw-peer.js";

const wide = { settings: { limits: { bodyMaxBytes: 32 << 20 } } };

function pattern(size: number): Buffer {
  const data = Buffer.allocUnsafe(size);
  for (let i = 0; i < size; i++) data[i] = (i * 31 + (i >>> 13)) & 255;
  return data;
}

/** The frame that announces `message`, and its chunks of `size` bytes. */
function inChunks(
  frame: { call?: number; reply?: number; timeoutMs?: number; rare?: RareFields },
  message: Buffer,
  size = 50_000,
): Buffer[] {
  const encoder = new FrameEncoder();
  if (frame.reply !== undefined) encoder.beginReply(frame.reply, 0, frame.rare, 1);
  else encoder.beginCall(frame.call ?? 0, 0, frame.timeoutMs ?? -1, frame.rare ?? echoNames, 1);
  encoder.writer.raw(message);
  encoder.endBody();
  encoder.detachBody();
  const frames = [encoder.writer.finish()];
  const id = frame.reply ?? frame.call ?? 0;
  for (let at = 0; at < message.length; at += size) frames.push(chunk(id, message.subarray(at, at + size)));
  return frames;
}

function chunk(id: number, part: Buffer): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(18), part]);
  return bytes.subarray(writeChunkHeader(bytes, 18, id, part.length));
}

function givenUp(id: number): Buffer {
  const encoder = new FrameEncoder();
  encoder.giveUpMessage(id);
  return encoder.writer.finish();
}

const chunkSettings = (maxInFlight: number, arriving: Partial<Settings> = {}): Buffer =>
  controlFrame(Kind.SETTINGS, 0, {
    settings: { ...settingsUnknown, bodyMaxBytes: 32 << 20, maxInFlight, chunks: true, ...arriving },
  });

async function rawCaller(options: ClusterOptions = wide) {
  const pair = await startPair(options);
  const peer = await RawPeer.connect(pair.cluster.transport, pair.provider.address as Address);
  peer.send(chunkSettings(0));
  return { ...pair, peer };
}

async function rawProvider(chunks = true) {
  const cluster = new Cluster(wide);
  const runtime = cluster.runtime();
  const peers: RawPeer[] = [];
  let wake = () => {};
  const listener = await cluster.transport.listen({ host: "127.0.0.1", port: 0 }, (connection) => {
    const peer = new RawPeer(connection);
    peer.send(chunks ? chunkSettings(1000) : settingsFrame(1000));
    peers.push(peer);
    wake();
  });
  cluster.onClose(() => listener.close());
  cluster.onClose(async () => {
    for (const { connection } of peers) connection.destroy();
  });
  const { address } = listener;
  await runtime.registry.register({ service: "probe.ProbeService", methods: ["Echo", "Note"], address });
  const stub = new ProbeServiceStub(cluster.channel({}, runtime));
  const accepted = async (index: number): Promise<RawPeer> => {
    while (peers[index] === undefined) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    return peers[index];
  };
  // The settings are known only after a first call.
  const first = stub.echo({});
  const peer = await accepted(0);
  await peer.frame(Kind.CALL, callId(1));
  peer.send(replyFrame({ id: callId(1) }));
  await first;
  peer.frames.splice(0);
  // From here on the first slot is in its second generation.
  return { cluster, stub, peer, accepted };
}

describe.each([{ tcp: false }, { tcp: true }])("large messages, %o", ({ tcp }) => {
  test("of any size come back as they went", async () => {
    const { stub } = await startPair({ ...wide, tcp });
    await stub.echo({});
    const sizes = [-10, -1, 0, 1, chunkBytes - 8, chunkBytes, 900_000, 16 << 20].map((n) => chunkBytes + n);
    for (const size of sizes) {
      const data = pattern(size);
      const reply = await stub.echo({ data, text: "t" });
      expect(reply.data.equals(data)).toBe(true);
    }
  });

  test("many at once, small ones among them, each call gets its own", async () => {
    const { stub } = await startPair({ ...wide, tcp });
    await stub.echo({});
    const calls = Array.from({ length: 60 }, async (_, i) => {
      const data = pattern(i % 3 === 0 ? 300_000 + i : i);
      const reply = await stub.echo({ data, number: i });
      expect([reply.number, reply.data.equals(data)]).toEqual([i, true]);
    });
    await Promise.all(calls);
  });

  test("before the settings are known they go as a whole", async () => {
    const { stub } = await startPair({ ...wide, tcp });
    const data = pattern(1_000_000);
    expect((await stub.echo({ data })).data.equals(data)).toBe(true);
  });

  test("oneway", async () => {
    const arrived = deferred<Buffer>();
    const note = (request: Blob) => {
      arrived.resolve(request.data);
      return {};
    };
    const { stub, channel, provider } = await startPair({ ...wide, tcp, handlers: { note } });
    await stub.echo({});
    const data = pattern(777_777);
    await channel.oneway(ProbeService.methods.note, { data });
    expect((await arrived.promise).equals(data)).toBe(true);
    expect(provider.connections).toBe(1);
  });
});

test("a small call passes a large one that is being sent", async () => {
  const { stub, peer } = await rawProvider();
  const large = stub.echo({ data: pattern(8 << 20) });
  const announced = await peer.frame(Kind.CALL, callId(1, 1));
  expect(announced.messageSize).toBeGreaterThan(8 << 20);
  const small = stub.echo({ text: "small" });
  await peer.frame(Kind.CALL, callId(2));
  expect(announced.message).toBeUndefined();
  peer.send(replyFrame({ id: callId(2), body: { text: "done" } }));
  expect((await small).text).toBe("done");
  expect(announced.message).toBeUndefined();
  await peer.until("the large request", () => announced.message !== undefined);
  peer.send(replyFrame({ id: callId(1, 1), body: { text: "also" } }));
  expect((await large).text).toBe("also");
});

describe("a caller", () => {
  const request = { data: pattern(8 << 20) };

  test("that gives a large request up stops sending it, and it has never run", async () => {
    const { stub, peer } = await rawProvider();
    const abort = new AbortController();
    const call = failure(stub.echo(request, { signal: abort.signal }));
    const announced = await peer.frame(Kind.CALL, callId(1, 1));
    abort.abort();
    expect(await call).toMatchObject({ codeName: "CANCELLED", executed: "never" });
    await peer.frame(Kind.CANCEL, callId(1, 1));
    // The CANCEL says enough: no more of it comes.
    const received = peer.bytes.length;
    await settle();
    expect(peer.bytes.length).toBe(received);
    // Its number is free when the provider has answered, and the connection goes on.
    peer.send(replyFrame({ id: callId(1, 1), status: 1, rare: { executed: "never" } }));
    await settle();
    const next = stub.echo({ data: pattern(200_000) });
    await peer.frame(Kind.CALL, callId(1, 2));
    expect(announced.message).toBeUndefined();
    await peer.until("the next request", () => peer.frames.at(-1)?.message instanceof Buffer);
    peer.send(replyFrame({ id: peer.frames.at(-1)?.callId ?? 0, body: { number: 5 } }));
    expect((await next).number).toBe(5);
  });

  test("whose connection is lost before all was sent sends it again elsewhere", async () => {
    const { stub, peer, accepted } = await rawProvider();
    const call = stub.echo(request);
    await peer.frame(Kind.CALL, callId(1, 1));
    peer.connection.reset();
    const second = await accepted(1);
    // Not yet told what this one can do, so it comes as a whole.
    const frame = await second.frame(Kind.CALL);
    expect(frame.body.length).toBeGreaterThan(8 << 20);
    second.send(replyFrame({ id: frame.callId, body: { number: 6 } }));
    expect((await call).number).toBe(6);
  });

  test("that is told to go away keeps nothing of what came too late", async () => {
    const { stub, peer, accepted } = await rawProvider();
    const call = stub.echo(request);
    const announced = await peer.frame(Kind.CALL, callId(1, 1));
    peer.send(controlFrame(Kind.GOING_AWAY, 0, { acceptedCalls: 1, message: "bye" }));
    // Nothing is in flight here any more, so the connection ends; the rest of the request is not sent for that.
    await peer.end();
    expect(announced.message).toBeUndefined();
    const frame = await (await accepted(1)).frame(Kind.CALL);
    (await accepted(1)).send(replyFrame({ id: frame.callId, body: { number: 7 } }));
    expect((await call).number).toBe(7);
  });

  test("sends whole to a provider that takes no chunks", async () => {
    const { stub, peer } = await rawProvider(false);
    const call = stub.echo({ data: pattern(3 << 20) });
    const frame = await peer.frame(Kind.CALL, callId(1, 1));
    expect([frame.messageSize, frame.body.length > 3 << 20]).toEqual([0, true]);
    peer.send(replyFrame({ id: callId(1, 1) }));
    await call;
  });

  test("takes a reply in chunks, with its metadata; one that was given up has run", async () => {
    const { stub, peer } = await rawProvider();
    const message = encodeMessage(Blob, { data: pattern(300_000) });
    let hint = "";
    const calls = [
      stub.echo({}, { onMetadata: (metadata) => (hint = String(metadata.get("hint"))) }),
      failure(stub.echo({})),
    ] as const;
    await peer.frame(Kind.CALL, callId(2));
    const [opening = Buffer.alloc(0), ...chunks] = inChunks({ reply: callId(2) }, message);
    const [other = Buffer.alloc(0), ...others] = inChunks(
      { reply: callId(1, 1), rare: { metadata: Metadata.from({ hint: "h" }) } },
      message,
    );
    peer.send(
      opening,
      other,
      ...chunks.slice(0, 3),
      ...others.slice(0, 2),
      givenUp(callId(2)),
      ...others.slice(2),
    );
    expect((await calls[0]).data.equals(pattern(300_000))).toBe(true);
    expect(hint).toBe("h");
    expect(await calls[1]).toMatchObject({ codeName: "INTERNAL", executed: "yes" });
  });

  test("that gave up a call whose reply is coming passes over the rest", async () => {
    const { stub, peer } = await rawProvider();
    const abort = new AbortController();
    const call = failure(stub.echo({}, { signal: abort.signal }));
    await peer.frame(Kind.CALL, callId(1, 1));
    const frames = inChunks({ reply: callId(1, 1) }, encodeMessage(Blob, { data: pattern(300_000) }));
    peer.send(...frames.slice(0, 3));
    await settle();
    abort.abort();
    expect(await call).toMatchObject({ codeName: "CANCELLED" });
    peer.send(...frames.slice(3));
    await settle();
    // The number is free again only now.
    const next = stub.echo({});
    await peer.until(
      "the next call",
      () => peer.frames.filter(({ kind }) => kind === Kind.CALL).length === 2,
    );
    peer.send(replyFrame({ id: peer.frames.at(-1)?.callId ?? 0, body: { number: 1 } }));
    expect((await next).number).toBe(1);
  });
});

describe("a provider", () => {
  const request = encodeMessage(Blob, { data: pattern(300_000) });

  /** What the next call gets: the connection is as good as before. */
  async function stillServes(peer: RawPeer): Promise<void> {
    peer.send(callFrame({ id: callId(99), rare: echoNames, body: { text: "on" } }));
    expect(await peer.frame(Kind.REPLY, callId(99))).toMatchObject({ status: 0 });
  }

  test.each(["cancelled", "out of time", "given up"])(
    "a request that is %s before it is whole never runs",
    async (how) => {
      let ran = 0;
      const echo = (message: Blob) => {
        ran += message.text === "on" ? 0 : 1;
        return message;
      };
      const { peer, clock, provider } = await rawCaller({ ...wide, handlers: { echo } });
      const frames = inChunks({ call: callId(1), timeoutMs: 50 }, request);
      peer.send(...frames.slice(0, 3));
      await settle();
      expect(provider.inFlight).toBe(1);
      if (how === "cancelled") peer.send(controlFrame(Kind.CANCEL, callId(1)));
      else if (how === "out of time") await clock.run(60);
      else peer.send(givenUp(callId(1)));
      const expected =
        how === "out of time"
          ? { status: 4, rare: { executed: "never", message: "the deadline passed before the handler ran" } }
          : { status: 1, rare: { executed: "never" } };
      expect(await peer.frame(Kind.REPLY, callId(1))).toMatchObject(expected);
      if (how !== "given up") peer.send(...frames.slice(3));
      await stillServes(peer);
      expect([ran, provider.inFlight]).toEqual([0, 0]);
    },
  );

  test("a request over the limit is answered when it is announced, and passed over", async () => {
    const { peer } = await rawCaller({ settings: { limits: { bodyMaxBytes: 100_000 } } });
    const [opening = Buffer.alloc(0), ...chunks] = inChunks({ call: callId(1) }, request);
    peer.send(opening, chunks[0] as Buffer);
    const reply = await peer.frame(Kind.REPLY, callId(1));
    expect(reply).toMatchObject({ status: 8, rare: { executed: "never" } });
    expect(reply.rare.message).toContain(
      `a request of ${request.length} bytes is over the provider's limit of 100000`,
    );
    peer.send(...chunks.slice(1));
    await stillServes(peer);
  });

  test("a request for a method it does not have is passed over", async () => {
    const { peer } = await rawCaller();
    const rare = { serviceName: "probe.ProbeService", methodName: "Nope" };
    peer.send(...inChunks({ call: callId(1), rare }, request));
    expect(await peer.frame(Kind.REPLY, callId(1))).toMatchObject({
      status: 12,
      rare: { executed: "never" },
    });
    await stillServes(peer);
  });

  test("a request that cannot be decoded is INTERNAL, never run", async () => {
    const { peer } = await rawCaller();
    peer.send(...inChunks({ call: callId(1) }, Buffer.alloc(200_000, 0xff)));
    expect(await peer.frame(Kind.REPLY, callId(1))).toMatchObject({
      status: 13,
      rare: { executed: "never" },
    });
    await stillServes(peer);
  });

  test.each([
    [
      "of a message that was announced twice",
      [
        ...inChunks({ call: callId(1) }, request).slice(0, 2),
        inChunks({ call: callId(1) }, request)[0] as Buffer,
      ],
      /a message of call 128 was announced before the last one was whole/,
    ],
    [
      "that is too long",
      [...inChunks({ call: callId(1) }, request).slice(0, 2), chunk(callId(1), Buffer.alloc(300_000))],
      /a chunk of 300000 bytes where 250\d+ are left/,
    ],
  ])("a chunk %s is malformed", async (_what, frames, reason) => {
    const { peer, providerRuntime } = await rawCaller();
    const closed = deferred<string>();
    providerRuntime.events.on("connectionClose", (event) => closed.resolve(event.reason ?? ""));
    peer.send(...frames);
    expect(await closed.promise).toMatch(reason);
    await peer.end();
  });

  test("a oneway call that is lost on the way does not hold up the provider's end", async () => {
    const { peer, provider } = await rawCaller();
    peer.send(...inChunks({}, request).slice(0, 3));
    await settle();
    expect(provider.inFlight).toBe(1);
    peer.connection.reset();
    await settle();
    expect(provider.inFlight).toBe(0);
  });

  test("a reply nobody waits for is given up when it is cancelled", async () => {
    const { peer } = await rawCaller({ ...wide, handlers: { echo: () => ({ data: pattern(8 << 20) }) } });
    peer.send(callFrame({ id: callId(1), rare: echoNames }));
    const reply = await peer.frame(Kind.REPLY, callId(1));
    peer.connection.pause();
    await settle();
    peer.send(controlFrame(Kind.CANCEL, callId(1)));
    await settle();
    peer.connection.resume();
    await peer.until("the end of the reply", () => reply.message !== undefined);
    expect(reply.message).toBe("given up");
    peer.send(controlFrame(Kind.PING, 0, { pingId: 9 }));
    await peer.frame(Kind.PONG);
  });

  test("a caller that does not read is not read either, but later than for small replies", async () => {
    let served = 0;
    const echo = () => {
      served++;
      return { data: Buffer.alloc(1 << 20) };
    };
    const { peer } = await rawCaller({ ...wide, handlers: { echo } });
    peer.send(callFrame({ id: callId(1), index: 1, rare: echoNames }));
    await peer.frame(Kind.REPLY, callId(1));
    peer.connection.pause();
    for (let id = 2; id <= 60; id++) {
      peer.send(callFrame({ id: callId(id), index: 1 }));
      await settle();
    }
    expect(served).toBeGreaterThan(10);
    expect(served).toBeLessThan(30);
    peer.connection.resume();
    await peer.until("all replies", () => {
      const whole = peer.frames.filter(({ message }) => message instanceof Buffer);
      return whole.length === 60;
    });
  });
});
