import { describe, expect, test } from "vitest";
import { ErrorCode } from "../../../src/protocol/http2/wire/frame.js";
import { settle } from "../../../src/testing/index.js";
import type { Client, Side } from "./pair.js";
import { frame, type Pairs, type RawEnd, rawServer, settings } from "./raw.js";

// What RFC 9113 demands of a client, by its chapters. What it shares with the server is tested there.

const { PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR, COMPRESSION_ERROR } = ErrorCode;
const ok: Pairs = [[":status", "200"]];
const ping = frame(6, 0, 0, "0102030405060708");

function headers(raw: RawEnd, flags = 0x5, fields: Pairs = ok, streamId = 1): Buffer {
  return frame(1, flags, streamId, raw.block(fields));
}

async function withCall(body?: string): Promise<{ raw: RawEnd; client: Client; call: Side }> {
  const { raw, client } = await rawServer();
  const call = client.request({}, body);
  await settle();
  return { raw, client, call };
}

async function expectAlive(raw: RawEnd): Promise<void> {
  const before = raw.of(6).length;
  await raw.send(ping);
  expect(raw.of(6)).toHaveLength(before + 1);
  expect(raw.goAwayCode).toBeUndefined();
}

async function expectGoAway({ raw, client }: { raw: RawEnd; client: Client }, code: number): Promise<void> {
  await settle();
  expect(raw.goAwayCode).toBe(code);
  expect(raw.ended).toBe(true);
  expect(client.closed?.reason).toBeTypeOf("string");
}

async function expectReset({ raw, call }: { raw: RawEnd; call: Side }, code: number): Promise<void> {
  await settle();
  expect(raw.resetCode(1)).toBe(code);
  expect(call.failure).toMatchObject({ code, remote: false, unprocessed: false });
  await expectAlive(raw);
}

describe("3.4 the preface", () => {
  test("SETTINGS come behind it, without waiting for the server's, and pushes are off", async () => {
    const { raw, client } = await rawServer({}, Buffer.alloc(0));
    const call = client.request({}, "hello");
    await settle();
    expect(raw.frames.slice(0, 1)).toMatchObject([{ type: 4, streamId: 0 }]);
    expect(raw.frames[0]?.payload.subarray(0, 6).toString("hex")).toBe("000200000000");
    expect(raw.of(1)).toMatchObject([{ streamId: 1, flags: 4 }]);
    expect(raw.data(1).toString()).toBe("hello");
    expect(client.welcomes).toBe(0);
    await raw.send(settings(), headers(raw));
    expect(client.welcomes).toBe(1);
    expect(call.headers).toEqual({ ":status": "200" });
  });
  test("a server that begins with anything else is none", async () => {
    const wrong = await rawServer({}, ping);
    await expectGoAway(wrong, PROTOCOL_ERROR);
    const other = await rawServer({}, Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"));
    await expectGoAway(other, FRAME_SIZE_ERROR);
  });
});

describe("5.1 states of streams", () => {
  test.each<[string, Buffer]>([
    ["DATA", frame(0, 1, 3, "00")],
    ["RST_STREAM", frame(3, 0, 3, "00000008")],
    ["WINDOW_UPDATE", frame(8, 0, 3, "00000064")],
    ["HEADERS", frame(1, 5, 3, "88")],
    ["HEADERS of an even number", frame(1, 5, 2, "88")],
  ])("idle: %s is PROTOCOL_ERROR", async (_, bytes) => {
    const all = await withCall();
    await all.raw.send(bytes);
    await expectGoAway(all, PROTOCOL_ERROR);
  });
  test("closed by both: DATA and HEADERS are STREAM_CLOSED", async () => {
    const first = await withCall();
    await first.raw.send(headers(first.raw), frame(0, 1, 1, "00"));
    await expectGoAway(first, STREAM_CLOSED);
    const second = await withCall();
    await second.raw.send(headers(second.raw), headers(second.raw));
    await expectGoAway(second, STREAM_CLOSED);
  });
  test("half-closed by the server: DATA and HEADERS are STREAM_CLOSED of the stream, whose response is whole", async () => {
    for (const [i, late] of [frame(0, 0, 1, "00"), frame(1, 5, 1, "88")].entries()) {
      const { raw, client } = await rawServer();
      await raw.send(settings([4, 0]));
      const call = client.request({}, "a body that waits");
      await settle();
      await raw.send(headers(raw), late);
      expect([i, raw.resetCode(1)]).toEqual([i, STREAM_CLOSED]);
      expect(call).toMatchObject({ headers: { ":status": "200" }, failure: undefined });
      expect(client.session.inFlight).toBe(0);
      await expectAlive(raw);
    }
  });
  test("reset by us: what is still on its way is passed over, its table entries and windows count", async () => {
    const { raw, call, client } = await withCall();
    call.stream?.reset();
    await settle();
    expect(raw.resetCode(1)).toBe(8);
    const block = Buffer.concat([
      raw.block(ok),
      Buffer.from("400161016240016301 64".replaceAll(" ", ""), "hex"),
    ]);
    await raw.send(frame(1, 4, 1, block));
    const data = Array.from({ length: 10 }, () => frame(0, 0, 1, Buffer.alloc(16_000)));
    for (let i = 0; i < 20; i++) await raw.send(...data);
    expect(raw.of(8, 0).reduce((sum, one) => sum + one.payload.readUInt32BE(0), 0)).toBeGreaterThan(
      3_000_000,
    );
    expect(raw.of(3)).toHaveLength(1);
    expect(call.failure).toBeUndefined();
    const next = client.request({});
    await settle();
    await raw.send(frame(1, 5, 3, "88 bf be"));
    expect(next.headers).toEqual({ ":status": "200", a: "b", c: "d" });
  });
});

describe("5.1.2 streams at a time", () => {
  test("are what the server allows, which it may change", async () => {
    const { raw, client } = await rawServer({}, settings([3, 2]));
    const calls = [client.request({}), client.request({}), client.request({})];
    expect(calls.map((one) => one.stream === undefined)).toEqual([false, false, true]);
    await raw.send(settings([3, 3]));
    expect(client.rooms).toBe(1);
    expect(client.request({}).stream).toBeDefined();
    await raw.send(settings([3, 0]), headers(raw));
    expect(client.session.hasRoom).toBe(false);
    await settle();
    expect(raw.of(1).map((one) => one.streamId)).toEqual([1, 3, 5]);
  });
  test("are a hundred before it has said so", async () => {
    const { client, raw } = await rawServer({}, Buffer.alloc(0));
    let opened = 0;
    while (client.request({}).stream !== undefined) opened++;
    expect(opened).toBe(100);
    await raw.send(settings());
    expect(client.session.hasRoom).toBe(true);
  });
});

describe("6.4 RST_STREAM", () => {
  test("REFUSED_STREAM before a response says that nothing was done, anything else does not", async () => {
    const first = await withCall();
    await first.raw.send(frame(3, 0, 1, "00000007"));
    expect(first.call.failure).toMatchObject({ code: 7, remote: true, unprocessed: true });
    const second = await withCall();
    await second.raw.send(headers(second.raw, 4), frame(3, 0, 1, "00000007"));
    expect(second.call.failure).toMatchObject({ code: 7, remote: true, unprocessed: false });
    const third = await withCall();
    await third.raw.send(frame(3, 0, 1, "00000002"));
    expect(third.call.failure).toMatchObject({ code: 2, remote: true, unprocessed: false });
    await expectAlive(third.raw);
  });
});

describe("6.6 and 8.4 PUSH_PROMISE", () => {
  test("is PROTOCOL_ERROR, since pushes are off", async () => {
    const all = await withCall();
    await all.raw.send(frame(5, 4, 1, "00000002 82 86 84"));
    await expectGoAway(all, PROTOCOL_ERROR);
  });
});

describe("6.8 GOAWAY", () => {
  test("streams above the last are known not to have run, those below go on, no more are opened", async () => {
    const { raw, client, call } = await withCall();
    const second = client.request({});
    await settle();
    await raw.send(frame(7, 0, 0, "7fffffff 00000000"));
    expect([call.failure, second.failure]).toEqual([undefined, undefined]);
    expect(client.session.hasRoom).toBe(false);
    await raw.send(
      frame(7, 0, 0, Buffer.concat([Buffer.from("0000000100000000", "hex"), Buffer.from("bye\x1b[31m\n")])),
    );
    expect(second.failure).toMatchObject({ remote: true, unprocessed: true });
    // A text of the other side must not steer a terminal.
    expect(client.goAway).toEqual({ code: 0, debug: "bye\\u001b[31m\\n" });
    await raw.send(headers(raw));
    expect(call.headers).toEqual({ ":status": "200" });
    await settle();
    expect(client.closed).toEqual({ reason: undefined });
  });
  test("frames of a stream above the last are passed over", async () => {
    const { raw, client } = await withCall();
    const second = client.request({});
    await settle();
    await raw.send(frame(7, 0, 0, "00000001 00000000"), headers(raw, 5, ok, 3), frame(0, 1, 3, "00"));
    expect(second.failure).toMatchObject({ unprocessed: true });
    await expectStillOpen(raw);
  });
  async function expectStillOpen(raw: RawEnd): Promise<void> {
    await raw.send(ping);
    expect(raw.of(6)).toHaveLength(1);
  }
});

describe("6.9 flow control", () => {
  test("no more is sent than the windows have room for", async () => {
    const { raw, client } = await rawServer({}, settings([4, 3]));
    const call = client.request({}, "hello");
    await settle();
    expect(raw.data(1).toString()).toBe("hel");
    await raw.send(frame(8, 0, 1, "00000001"));
    expect(raw.data(1).toString()).toBe("hell");
    await raw.send(settings([4, 100]));
    expect(raw.data(1).toString()).toBe("hello");
    expect(raw.of(0, 1).at(-1)?.flags).toBe(1);
    await raw.send(headers(raw));
    expect(call.headers).toEqual({ ":status": "200" });
  });
  test("more DATA than a stream may is FLOW_CONTROL_ERROR of it", async () => {
    const { raw, client } = await rawServer(
      { windowBytes: 70_000 },
      Buffer.concat([settings(), frame(4, 1, 0)]),
    );
    const call = client.request({});
    call.onBytes = undefined;
    await settle();
    await raw.send(headers(raw, 4), ...Array.from({ length: 5 }, () => frame(0, 0, 1, Buffer.alloc(16_000))));
    await expectReset({ raw, call }, FLOW_CONTROL_ERROR);
  });
});

describe("8.1 responses", () => {
  const malformed: Array<[string, Pairs]> = [
    ["8.3.2 no :status", [["x-test", "ok"]]],
    ["8.3.2 a :status that is none", [[":status", "ok"]]],
    ["8.3.2 :status twice", [...ok, ...ok]],
    ["8.3 a pseudo field of requests", [...ok, [":path", "/"]]],
    ["8.3 an unknown pseudo field", [...ok, [":x", "/"]]],
    ["8.3 a pseudo field behind others", [["x", "y"], ...ok]],
    ["8.2.1 an upper case name", [...ok, ["X-Test", "ok"]]],
    ["8.2.2 a field of one connection", [...ok, ["transfer-encoding", "chunked"]]],
    ["8.6 status 101", [[":status", "101"]]],
    ["8.1 an interim response that ends the stream", [[":status", "103"]]],
  ];
  test.each(malformed)("%s is PROTOCOL_ERROR of the stream", async (_, fields) => {
    const all = await withCall();
    await all.raw.send(headers(all.raw, 5, fields));
    expect(all.call.headers).toBeUndefined();
    await expectReset(all, PROTOCOL_ERROR);
  });
  test("8.1 DATA in front of HEADERS is PROTOCOL_ERROR of the stream", async () => {
    const all = await withCall();
    await all.raw.send(frame(0, 0, 1, "00"));
    await expectReset(all, PROTOCOL_ERROR);
  });
  test("8.1 interim responses are passed over", async () => {
    const { raw, call } = await withCall();
    await raw.send(
      headers(raw, 4, [[":status", "100"]]),
      headers(raw, 4, [[":status", "103"]]),
      headers(raw, 4),
    );
    await raw.send(frame(0, 0, 1, "6162"), headers(raw, 5, [["grpc-status", "0"]]));
    expect(call).toMatchObject({
      headers: { ":status": "200" },
      trailers: { "grpc-status": "0" },
      failure: undefined,
    });
    expect(call.body.toString()).toBe("ab");
  });
  test("8.1 trailers that do not end the stream, or have pseudo fields, are PROTOCOL_ERROR of it", async () => {
    for (const [flags, fields] of [
      [4, [["x", "y"]]],
      [5, ok],
    ] as Array<[number, Pairs]>) {
      const all = await withCall();
      await all.raw.send(headers(all.raw, 4), headers(all.raw, flags, fields));
      await expectReset(all, PROTOCOL_ERROR);
    }
  });
  test("8.1.1 a content-length that is not the body's is PROTOCOL_ERROR of the stream", async () => {
    const all = await withCall();
    await all.raw.send(headers(all.raw, 4, [...ok, ["content-length", "3"]]), frame(0, 1, 1, "6162"));
    await expectReset(all, PROTOCOL_ERROR);
  });
  test("8.1 a response before the request is whole, with RST_STREAM(NO_ERROR) behind it, is a response", async () => {
    const { raw, client } = await rawServer({}, settings([4, 0]));
    const call = client.request({}, "waits");
    await settle();
    await raw.send(headers(raw), frame(3, 0, 1, "00000000"));
    expect(call).toMatchObject({ headers: { ":status": "200" }, failure: undefined });
    expect(client.session.inFlight).toBe(0);
    expect(client.session.pendingBytes).toBe(0);
  });
  test("10.5.1 a list over the limit fails its stream", async () => {
    const { raw, client } = await rawServer({ headers: { listMaxBytes: 1000, fieldsMax: 100 } });
    const call = client.request({});
    await settle();
    await raw.send(headers(raw, 5, [...ok, ["x-big", "a".repeat(2000)]]));
    await expectReset({ raw, call }, PROTOCOL_ERROR);
    expect(call.failure?.reason).toContain("over the limits of 1000 bytes (limits.header) and 100 fields");
  });
  test("4.3 a malformed header block ends the connection, and all calls with it", async () => {
    const all = await withCall();
    await all.raw.send(frame(1, 5, 1, "ff ff ff ff ff"));
    await expectGoAway(all, COMPRESSION_ERROR);
    expect(all.call.failure).toMatchObject({ unprocessed: false });
  });
});

test("a server that goes without a word: calls that left may have run", async () => {
  const { raw, client, call } = await withCall();
  raw.connection.reset();
  await settle();
  expect(call.failure).toMatchObject({ remote: true, unprocessed: false });
  expect(client.closed?.reason).toBeTypeOf("string");
});
