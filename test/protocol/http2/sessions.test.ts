import { expect, test } from "vitest";
import { ErrorCode } from "../../../src/protocol/http2/wire/frame.js";
import { settle } from "../../../src/testing/index.js";
import { outgoing, startPair } from "./pair.js";

test("a request and its response, with trailers", async () => {
  const { client, server } = await startPair();
  const call = client.request({ ":path": "/a/b", "x-one": "1" }, "hello");
  await call.over;
  expect(call).toMatchObject({
    headers: { ":status": "200" },
    trailers: { done: "yes" },
    failure: undefined,
  });
  expect(call.body.toString()).toBe("hello");
  expect(server.requests[0]?.headers).toMatchObject({ ":method": "POST", ":path": "/a/b", "x-one": "1" });
  expect(server.session.inFlight).toBe(0);
  expect(client.session.inFlight).toBe(0);
  expect(client.welcomes).toBe(1);
});

test("bodies of all sizes around the limits of frames and windows come whole, both ways", async () => {
  const { client } = await startPair();
  for (const size of [0, 1, 4095, 16_384, 16_385, 65_535, 65_536, 262_144, 262_145, 1_000_000, 5_000_000]) {
    const body = Buffer.alloc(size, size % 251);
    const call = client.request({}, body);
    await call.over;
    expect(call.failure).toBeUndefined();
    expect(call.body.equals(body)).toBe(true);
  }
});

test("a thousand calls at a time, each with what it sent", async () => {
  const { client } = await startPair({ streamsMax: 2000 });
  await settle();
  const calls = Array.from({ length: 1000 }, (_, i) =>
    client.request({ "x-number": String(i) }, `body ${i}`),
  );
  await Promise.all(calls.map((call) => call.over));
  expect(calls.map((call) => call.body.toString())).toEqual(calls.map((_, i) => `body ${i}`));
});

test("a reader that takes nothing stops its sender, and no other", async () => {
  const { client, server } = await startPair({ windowBytes: 10_000 });
  await settle();
  server.onRequestStart = (side) => {
    side.onBytes = undefined;
  };
  const stuck = client.request({}, Buffer.alloc(100_000));
  await settle();
  const [side] = server.requests;
  expect(side?.body.length).toBe(10_000);
  expect(stuck.stream?.queuedBytes).toBe(90_000);
  const more = client.request({}, Buffer.alloc(10_000));
  await settle();
  expect(server.requests[1]?.body.length).toBe(10_000);
  side?.stream?.consumed(10_000);
  await settle();
  expect(side?.body.length).toBe(20_000);
  expect(stuck.writables).toBe(0);
  stuck.stream?.reset();
  more.stream?.reset();
  await settle();
  expect(side?.failure).toMatchObject({ code: ErrorCode.CANCEL, remote: true });
  expect(server.session.inFlight).toBe(0);
});

test("a writer is told to wait, and when there is room again", async () => {
  const { client, server } = await startPair({ windowBytes: 10_000 });
  await settle();
  server.onRequestStart = () => {};
  const call = client.request({}, undefined);
  call.stream?.reset();
  const writer = client.request({ ":path": "/w" }, undefined);
  expect(writer.stream?.write(Buffer.alloc(10), false)).toBe(true);
  const streaming = client.session.open(
    writer,
    undefined,
    outgoing({ ":method": "POST", ":scheme": "http", ":path": "/s" }),
    false,
  );
  let wrote = 0;
  while (streaming?.write(Buffer.alloc(5000), false)) wrote += 5000;
  expect(wrote).toBeGreaterThanOrEqual(60_000);
  for (let i = 0; i < 10; i++) await settle();
  expect(writer.writables).toBe(1);
  expect(streaming?.queuedBytes).toBe(0);
});

test("drain: requests that crossed it are served, later ones are refused, then it closes", async () => {
  const { client, server } = await startPair();
  await settle();
  let answer = (): void => {};
  server.onRequestStart = (_, stream) => {
    answer = () => stream.headers(undefined, outgoing({ ":status": "204" }), true);
  };
  const before = client.request({});
  await settle();
  server.session.drain("moving");
  const crossing = client.request({});
  await settle();
  expect(client.goAway).toMatchObject({ code: 0, debug: "moving" });
  expect(client.session.hasRoom).toBe(false);
  expect(server.requests).toHaveLength(2);
  answer();
  server.requests[0]?.stream?.headers(undefined, outgoing({ ":status": "200" }), true);
  await Promise.all([before.over, crossing.over]);
  expect([before.headers, crossing.headers]).toEqual([{ ":status": "200" }, { ":status": "204" }]);
  await settle();
  expect(server.closed).toEqual({ reason: undefined });
  expect(client.closed).toEqual({ reason: undefined });
});

test("what never left the process is known not to have run, what left may have", async () => {
  const { client, server, ends } = await startPair();
  await settle();
  server.onRequestStart = () => {};
  const sent = client.request({});
  await settle();
  const unsent = client.request({});
  ends[0].reset();
  client.session.onClose(new Error("reset"));
  expect(sent.failure).toMatchObject({ unprocessed: false });
  expect(unsent.failure).toMatchObject({ unprocessed: true });
  expect(client.closed).toEqual({ reason: "reset" });
});

test("a writer of many pieces into a closed window gets them all through, in order", async () => {
  const { client } = await startPair({ windowBytes: 1000 });
  await settle();
  const call = client.request({ ":path": "/many" }, undefined);
  call.stream?.reset();
  const fields = outgoing({ ":method": "POST", ":scheme": "http", ":path": "/many" });
  const stream = client.session.open(call, undefined, fields, false);
  for (let i = 0; i < 500; i++) stream?.write(Buffer.from(`piece ${i};`), false);
  stream?.end(undefined, outgoing({ last: "1" }));
  await call.over;
  expect(call.body.toString()).toBe(Array.from({ length: 500 }, (_, i) => `piece ${i};`).join(""));
});

test("no more streams than the server allows, and a word when there is room", async () => {
  const { client, server } = await startPair({ streamsMax: 2 });
  await settle();
  server.onRequestStart = () => {};
  const [first] = [client.request({}), client.request({})];
  expect(client.session.hasRoom).toBe(false);
  expect(client.request({}).stream).toBeUndefined();
  await settle();
  server.requests[0]?.stream?.headers(undefined, outgoing({ ":status": "200" }), true);
  await first.over;
  expect(client.rooms).toBe(1);
  expect(client.session.hasRoom).toBe(true);
});

test("an early answer ends the request's body", async () => {
  const { client, server } = await startPair({ windowBytes: 1000 });
  await settle();
  server.onRequestStart = (_, stream) => stream.headers(undefined, outgoing({ ":status": "404" }), true);
  const call = client.request({}, Buffer.alloc(100_000));
  await call.over;
  expect(call.headers).toEqual({ ":status": "404" });
  await settle();
  expect(call.stream?.closed).toBe(true);
  expect(server.session.inFlight).toBe(0);
  expect(call.failure).toBeUndefined();
  expect(client.session.pendingBytes).toBe(0);
});

test("large bodies both ways at a time do not wait for each other", async () => {
  const wide = { windowBytes: 32 << 20, connectionWindowBytes: 64 << 20 };
  const { client, server } = await startPair(wide, wide);
  await settle();
  server.onRequestStart = (_, stream) => {
    stream.headers(undefined, outgoing({ ":status": "200" }));
    stream.write(Buffer.alloc(3_000_000, 1), false);
    stream.write(Buffer.alloc(3_000_000, 2), true);
  };
  const calls = Array.from({ length: 3 }, () => client.request({}, Buffer.alloc(6_000_000)));
  await Promise.all(calls.map((one) => one.over));
  for (const call of calls) expect([call.body.length, call.failure]).toEqual([6_000_000, undefined]);
});

test("what lay unread and is given back lets the peer go on, though no frame of it comes", async () => {
  const { client, server } = await startPair({ unreadMaxBytes: 100_000, connectionWindowBytes: 100_000 });
  await settle();
  server.onRequestStart = (side) => {
    side.onBytes = undefined;
  };
  client.request({}, Buffer.alloc(100_000));
  for (let i = 0; i < 5; i++) await settle();
  client.request({}, Buffer.alloc(50_000));
  for (let i = 0; i < 5; i++) await settle();
  const [first, second] = server.requests;
  expect([first?.ended, second?.ended]).toEqual([true, false]);
  first?.stream?.consumed(100_000);
  for (let i = 0; i < 5; i++) await settle();
  expect(second?.ended).toBe(true);
});

test("a stream that is reset gives back what of it lay unread", async () => {
  const { client, server } = await startPair({ unreadMaxBytes: 100_000, connectionWindowBytes: 100_000 });
  await settle();
  server.onRequestStart = (side) => {
    side.onBytes = undefined;
  };
  client.request({}, Buffer.alloc(100_000));
  for (let i = 0; i < 5; i++) await settle();
  client.request({}, Buffer.alloc(50_000));
  for (let i = 0; i < 5; i++) await settle();
  server.requests[0]?.stream?.reset();
  for (let i = 0; i < 5; i++) await settle();
  expect(server.requests[1]?.ended).toBe(true);
});

test("a connection whose stream numbers are used up takes no more, and ends when the last has ended", async () => {
  const { client } = await startPair();
  await settle();
  client.session.continueAt(0x7fff_ffff);
  const last = client.request({}, "last");
  expect(last.stream?.id).toBe(0x7fff_ffff);
  expect(client.goAway?.debug).toContain("stream numbers");
  expect(client.request({}).stream).toBeUndefined();
  await last.over;
  expect(last.body.toString()).toBe("last");
  await settle();
  expect(client.closed).toEqual({ reason: undefined });
});
