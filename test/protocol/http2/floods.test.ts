import { describe, expect, test } from "vitest";
import { clientPreface, ErrorCode } from "../../../src/protocol/http2/wire/frame.js";
import { ManualClock, settle } from "../../../src/testing/index.js";
import { outgoing } from "./pair.js";
import { frame, type Pairs, type RawEnd, rawClient, rawServer, request, settings } from "./raw.js";

const { ENHANCE_YOUR_CALM, REFUSED_STREAM, CANCEL, PROTOCOL_ERROR, SETTINGS_TIMEOUT } = ErrorCode;
const ping = frame(6, 0, 0, "0102030405060708");
const rst = (streamId: number): Buffer => frame(3, 0, streamId, "00000008");

function headers(raw: RawEnd, streamId: number, flags = 5, fields: Pairs = request): Buffer {
  return frame(1, flags, streamId, raw.block(fields));
}

/** Sends frames until the other side has had enough, or `most` of them. Returns how many it took. */
async function flood(raw: RawEnd, most: number, make: (i: number) => Buffer): Promise<number> {
  for (let i = 0; i < most; i += 100) {
    await raw.send(...Array.from({ length: 100 }, (_, k) => make(i + k)));
    if (raw.goAwayCode !== undefined) return i + 100;
  }
  return most;
}

describe("rapid reset", () => {
  test("a place is free only when its handler has ended, so no more than the limit ever run", async () => {
    const { raw, server } = await rawClient({ streamsMax: 10 });
    server.onRequestStart = () => {};
    server.releases = false;
    for (let i = 0; i < 50; i++) await raw.send(headers(raw, i * 2 + 1), rst(i * 2 + 1));
    expect(server.requests).toHaveLength(10);
    expect(server.session.inFlight).toBe(10);
    expect(raw.resetCode(99)).toBe(REFUSED_STREAM);
    for (const one of server.requests) one.stream?.release();
    expect(server.session.inFlight).toBe(0);
    await raw.send(headers(raw, 201));
    expect(server.requests).toHaveLength(11);
  });

  test("resets without end close the connection", async () => {
    const { raw, server } = await rawClient({}, undefined, new ManualClock());
    server.onRequestStart = () => {};
    const count = await flood(raw, 5000, (i) => Buffer.concat([headers(raw, i * 2 + 1), rst(i * 2 + 1)]));
    expect(count).toBeLessThanOrEqual(1100);
    expect(raw.goAwayCode).toBe(ENHANCE_YOUR_CALM);
  });

  test.each<[string, (streamId: number) => Buffer]>([
    ["WINDOW_UPDATE by 0", (id) => frame(8, 0, id, "00000000")],
    ["WINDOW_UPDATE beyond the limit", (id) => frame(8, 0, id, "7fffffff")],
    ["DATA behind the end", (id) => frame(0, 0, id, "00")],
    ["PRIORITY of four bytes", (id) => frame(2, 0, id, "00000000")],
  ])("resets that we send because of %s count as well, and keep the place", async (_, wrong) => {
    const small = await rawClient({ streamsMax: 10 });
    small.server.onRequestStart = () => {};
    small.server.releases = false;
    for (let i = 0; i < 50; i++) await small.raw.send(headers(small.raw, i * 2 + 1), wrong(i * 2 + 1));
    expect(small.server.requests).toHaveLength(10);
    const { raw, server } = await rawClient({}, undefined, new ManualClock());
    server.onRequestStart = () => {};
    await flood(raw, 5000, (i) => Buffer.concat([headers(raw, i * 2 + 1), wrong(i * 2 + 1)]));
    expect(raw.goAwayCode).toBe(ENHANCE_YOUR_CALM);
  });

  test("a client that cancels one call in two of many is served", async () => {
    const { raw, server } = await rawClient({}, undefined, new ManualClock());
    const answer = server.onRequestStart;
    server.onRequestStart = (side, stream) => {
      if (stream.id % 4 === 3) answer?.(side, stream);
    };
    expect(
      await flood(raw, 6000, (i) =>
        i % 2 === 0 ? Buffer.concat([headers(raw, i * 2 + 1), rst(i * 2 + 1)]) : headers(raw, i * 2 + 1),
      ),
    ).toBe(6000);
  });
});

describe("streams over the limit", () => {
  const fill = async (acknowledged: boolean) => {
    const all = await rawClient({ streamsMax: 1 }, undefined, new ManualClock());
    all.server.onRequestStart = () => {};
    if (acknowledged) await all.raw.send(frame(4, 1, 0));
    await all.raw.send(headers(all.raw, 1));
    return all.raw;
  };
  test("are refused, and too many of them end the connection", async () => {
    const raw = await fill(true);
    expect(await flood(raw, 5000, (i) => headers(raw, i * 2 + 3))).toBeLessThanOrEqual(1100);
    expect(raw.resetCode(3)).toBe(REFUSED_STREAM);
    expect(raw.goAwayCode).toBe(ENHANCE_YOUR_CALM);
  });
  test("do not count before the client knows the limit", async () => {
    const raw = await fill(false);
    expect(await flood(raw, 3000, (i) => headers(raw, i * 2 + 3))).toBe(3000);
  });
});

describe("header blocks", () => {
  test("of too many frames, empty ones, end the connection", async () => {
    const { raw } = await rawClient();
    await raw.send(headers(raw, 1, 1), ...Array.from({ length: 70 }, () => frame(9, 0, 1, "")));
    expect(raw.goAwayCode).toBe(ENHANCE_YOUR_CALM);
  });
  test("of too many bytes end the connection", async () => {
    const { raw } = await rawClient();
    const piece = Buffer.alloc(16_000, 0x82);
    await raw.send(headers(raw, 1, 1), ...Array.from({ length: 20 }, () => frame(9, 0, 1, piece)));
    expect(raw.goAwayCode).toBe(ENHANCE_YOUR_CALM);
  });
  test("that unpack to a list over the limit are answered 431, and the connection goes on", async () => {
    const { raw, server } = await rawClient();
    const big = raw.block([["x-big", "a".repeat(3900)]]);
    // One entry of the table, meant 15,000 times: 60 MiB of fields in one frame.
    const literal = Buffer.concat([Buffer.from([0x40]), big.subarray(1)]);
    const bomb = Buffer.concat([raw.block(request), literal, Buffer.alloc(12_000, 0xbe)]);
    await raw.send(frame(1, 4, 1, bomb));
    expect(raw.fields(raw.of(1, 1)[0])).toEqual({ ":status": "431" });
    expect(server.requests).toHaveLength(0);
    await raw.send(frame(1, 5, 3, "83 86 84"));
    expect(raw.fields(raw.of(1, 3)[0])).toMatchObject({ ":status": "200" });
    expect(server.session.inFlight).toBe(0);
  });
  test("of too many fields are answered 431", async () => {
    const { raw } = await rawClient({ headers: { listMaxBytes: 1 << 20, fieldsMax: 100 } });
    const many: Pairs = Array.from({ length: 200 }, (_, i) => [`x-${i}`, "1"]);
    await raw.send(headers(raw, 1, 5, [...request, ...many]));
    expect(raw.fields(raw.of(1, 1)[0])).toEqual({ ":status": "431" });
  });
  test("that do not come to an end are waited for no longer than the limit", async () => {
    const clock = new ManualClock();
    const { raw } = await rawClient({ answerTimeoutMs: 5000 }, undefined, clock);
    await raw.send(frame(4, 1, 0), headers(raw, 1, 1));
    await clock.run(4900);
    expect(raw.goAwayCode).toBeUndefined();
    await clock.run(300);
    expect(raw.goAwayCode).toBe(PROTOCOL_ERROR);
  });
});

describe("frames that bring nothing", () => {
  test.each<[string, (raw: RawEnd, i: number) => Buffer]>([
    ["PING", () => ping],
    ["PING answers", () => frame(6, 1, 0, "0102030405060708")],
    ["SETTINGS", () => settings([4, 65_535])],
    ["SETTINGS answers", () => frame(4, 1, 0)],
    ["PRIORITY", () => frame(2, 0, 9, "00000000 10")],
    ["empty DATA", () => frame(0, 0, 1, "")],
    ["DATA of nothing but padding", () => frame(0, 8, 1, "00")],
    ["unknown frames", () => frame(0x42, 0, 0, "")],
    ["RST_STREAM of a closed stream", () => rst(3)],
    ["a wrong WINDOW_UPDATE of a closed stream", () => frame(8, 0, 3, "00000000")],
    ["WINDOW_UPDATE of a closed stream", () => frame(8, 0, 3, "00000001")],
    ["DATA of a stream that we reset", () => frame(0, 0, 5, "")],
    ["GOAWAY", () => frame(7, 0, 0, "0000000000000000")],
  ])("%s: too many end the connection", async (_, make) => {
    const { raw, server } = await rawClient({}, undefined, new ManualClock());
    server.onRequestStart = (_side, stream) => {
      if (stream.id === 5) stream.reset();
    };
    await raw.send(headers(raw, 1, 4), headers(raw, 3, 5), rst(3), headers(raw, 5, 4));
    const count = await flood(raw, 5000, (i) => make(raw, i));
    expect(count).toBeLessThanOrEqual(2300);
    expect(raw.goAwayCode).toBe(ENHANCE_YOUR_CALM);
    expect(raw.ended).toBe(true);
  });

  test("pings and window updates beside real traffic are none", async () => {
    const { raw } = await rawClient({}, undefined, new ManualClock());
    const count = await flood(raw, 6000, (i) => {
      const id = i * 2 + 1;
      return Buffer.concat([headers(raw, id, 4), frame(8, 0, id, "00000005"), frame(0, 1, id, "61"), ping]);
    });
    expect(count).toBe(6000);
    expect(raw.of(6)).toHaveLength(6000);
  });

  test("a server that floods is left by our client as well", async () => {
    const { raw, client } = await rawServer({}, undefined, new ManualClock());
    await flood(raw, 5000, () => ping);
    expect(raw.goAwayCode).toBe(ENHANCE_YOUR_CALM);
    expect(client.closed?.reason).toContain("too many: PING");
  });
});

describe("a peer that does not read", () => {
  test("is not answered without end", async () => {
    const { raw, server } = await rawClient({}, undefined, new ManualClock());
    const stuck = frame(0, 1, 1, Buffer.alloc(10));
    await raw.send(settings([4, 0x7fff_ffff]), frame(8, 0, 0, "7fff0000"));
    server.onRequestStart = (_, stream) => {
      stream.headers(undefined, outgoing({ ":status": "200" }));
      stream.write(Buffer.alloc(1_000_000), false);
    };
    raw.connection.pause();
    await raw.send(headers(raw, 1, 4), stuck);
    for (let i = 0; i < 15 && server.closed === undefined; i++) await raw.send(...Array(100).fill(ping));
    expect(server.closed?.reason).toContain("frames to answer");
  });

  test("DATA waits with its stream, where a reset lets it go", async () => {
    const { raw, server } = await rawClient();
    await raw.send(settings([4, 0x7fff_ffff]), frame(8, 0, 0, "7fff0000"));
    server.onRequestStart = (_, stream) => {
      stream.headers(undefined, outgoing({ ":status": "200" }));
      for (let i = 0; i < 100; i++) stream.write(Buffer.alloc(100_000), false);
    };
    raw.connection.pause();
    await raw.send(headers(raw, 1, 4));
    expect(server.session.pendingBytes).toBeGreaterThan(9_000_000);
    await raw.send(rst(1));
    expect(server.session.pendingBytes).toBeLessThan(1_000_000);
    raw.connection.resume();
    await settle();
    server.onRequestStart = (_, stream) => stream.headers(undefined, outgoing({ ":status": "204" }), true);
    await raw.send(headers(raw, 3));
    expect(raw.fields(raw.of(1, 3)[0])).toEqual({ ":status": "204" });
  });

  test("more than the limit is not kept for it: the stream that has it is reset, the others live", async () => {
    const { raw, server } = await rawClient({ unwrittenMaxBytes: 1_000_000 });
    await raw.send(settings([4, 0]));
    server.onRequestStart = (_, stream) => {
      stream.headers(undefined, outgoing({ ":status": "200" }));
      stream.write(Buffer.alloc(90_000), true);
    };
    for (let i = 0; i < 20; i++) await raw.send(headers(raw, i * 2 + 1));
    expect(server.session.pendingBytes).toBeLessThanOrEqual(1_000_000);
    expect(server.requests.filter((one) => one.failure?.code === ENHANCE_YOUR_CALM)).toHaveLength(9);
    expect(raw.resetCode(39)).toBe(ENHANCE_YOUR_CALM);
    await raw.send(frame(8, 0, 1, "00ffffff"));
    expect(raw.data(1)).toHaveLength(65_535);
  });

  test("a window of 0 and thousands of calls: as many wait as may be in flight, and are let go when they are reset", async () => {
    const { raw, server } = await rawClient({ streamsMax: 500 }, undefined, new ManualClock());
    await raw.send(settings([4, 0]), frame(4, 1, 0));
    server.onRequestStart = (_, stream) => {
      stream.headers(undefined, outgoing({ ":status": "200" }));
      stream.write(Buffer.alloc(100), true);
    };
    await flood(raw, 1000, (i) => headers(raw, i * 2 + 1));
    expect(server.session.inFlight).toBe(500);
    expect(server.session.pendingBytes).toBe(50_000);
    for (let i = 0; i < 500; i++) await raw.send(rst(i * 2 + 1));
    expect(server.session.inFlight).toBe(0);
    expect(server.session.pendingBytes).toBe(0);
  });
});

describe("time", () => {
  test("a client that sends no preface, or no SETTINGS, is let go", async () => {
    for (const opening of [Buffer.alloc(0), clientPreface.subarray(0, 10), clientPreface]) {
      const clock = new ManualClock();
      const { raw, server } = await rawClient({ answerTimeoutMs: 5000 }, opening, clock);
      await clock.run(5100);
      expect(raw.goAwayCode).toBe(SETTINGS_TIMEOUT);
      expect(server.closed?.reason).toContain("no SETTINGS");
    }
  });
  test("one that does not acknowledge SETTINGS is let go, at either side", async () => {
    const clock = new ManualClock();
    const { raw } = await rawClient({ answerTimeoutMs: 5000 }, undefined, clock);
    const other = await rawServer({ answerTimeoutMs: 5000 }, undefined, clock);
    await clock.run(5100);
    expect(raw.goAwayCode).toBe(SETTINGS_TIMEOUT);
    expect(other.raw.goAwayCode).toBe(SETTINGS_TIMEOUT);
  });
  test("what lies unread when its time is over counts: SETTINGS, and the answer to a ping", async () => {
    const clock = new ManualClock();
    const options = { answerTimeoutMs: 5000, pingIntervalMs: 10_000, pingTimeoutMs: 4000 };
    const { raw, server } = await rawClient(options, clientPreface, clock);
    const sent = raw.send(settings(), frame(4, 1, 0));
    clock.advance(5000);
    await sent;
    expect(raw.goAwayCode).toBeUndefined();
    await clock.run(10_200);
    const answered = raw.send(frame(6, 1, 0, raw.of(6)[0]?.payload));
    clock.advance(4000);
    await answered;
    expect(server.closed).toBeUndefined();
  });
  test("silence is met by a ping, and silence behind that by the end", async () => {
    const clock = new ManualClock();
    const { raw, server } = await rawClient(
      { pingIntervalMs: 10_000, pingTimeoutMs: 4000 },
      undefined,
      clock,
    );
    await raw.send(frame(4, 1, 0));
    await clock.run(10_200);
    expect(raw.of(6)).toHaveLength(1);
    await raw.send(frame(6, 1, 0, raw.of(6)[0]?.payload));
    await clock.run(10_200);
    expect(raw.of(6)).toHaveLength(2);
    await clock.run(4200);
    expect(server.closed?.reason).toContain("no answer to a ping");
    expect(raw.ended).toBe(true);
  });
  test("no pings when they are off", async () => {
    const clock = new ManualClock();
    const { raw } = await rawClient({ pingIntervalMs: Number.POSITIVE_INFINITY }, undefined, clock);
    await raw.send(frame(4, 1, 0));
    await clock.run(10 * 60_000);
    expect(raw.of(6)).toHaveLength(0);
    expect(raw.goAwayCode).toBeUndefined();
  });
  test("a connection without a request is closed when it is idle for too long, one with a request is not", async () => {
    const clock = new ManualClock();
    const off = Number.POSITIVE_INFINITY;
    const { raw, server } = await rawClient({ idleTimeoutMs: 60_000, pingIntervalMs: off }, undefined, clock);
    server.onRequestStart = () => {};
    await raw.send(frame(4, 1, 0), headers(raw, 1));
    await clock.run(120_000);
    expect(raw.ended).toBe(false);
    server.requests[0]?.stream?.headers(undefined, outgoing({ ":status": "200" }), true);
    await clock.run(59_000);
    expect(raw.ended).toBe(false);
    await clock.run(2000);
    expect(raw.goAwayCode).toBe(0);
    expect(raw.ended).toBe(true);
  });
  test("a peer that is told to go and does not hang up is hung up on", async () => {
    const clock = new ManualClock();
    const { raw, server } = await rawClient({}, undefined, clock);
    raw.onEnd = () => {
      raw.ended = true;
    };
    server.session.close("enough");
    await settle();
    expect(raw.ended).toBe(true);
    await clock.run(1100);
    expect(clock.timers).toBe(0);
  });
  test("a drain whose ping is not answered goes on by itself", async () => {
    const clock = new ManualClock();
    const { raw, server } = await rawClient({}, undefined, clock);
    server.session.drain("moving");
    await settle();
    expect(raw.of(7)).toHaveLength(1);
    await clock.run(1100);
    expect(raw.of(7).map((one) => one.payload.readUInt32BE(0))).toEqual([0x7fff_ffff, 0]);
    expect(server.closed).toEqual({ reason: undefined });
  });
});

test("a reset of ours is one frame, whatever still comes", async () => {
  const { raw, server } = await rawClient();
  server.onRequestStart = (_, stream) => stream.reset(CANCEL);
  await raw.send(headers(raw, 1, 4));
  await raw.send(...Array.from({ length: 100 }, () => frame(0, 0, 1, "616263")));
  expect(raw.of(3)).toHaveLength(1);
});
