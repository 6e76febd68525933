import { expect, test } from "vitest";
import { settle } from "../../../src/testing/index.js";
import { echo } from "./pair.js";
import { frame, type RawEnd, rawClient, request } from "./raw.js";

function headers(raw: RawEnd, streamId: number, flags = 5): Buffer {
  return frame(1, flags, streamId, raw.block(request));
}

test("a session that is held looks at no frame more, keeps what comes, and goes on where it stopped", async () => {
  const { raw, server } = await rawClient();
  server.onRequestStart = (side, stream) => {
    echo(side, stream);
    server.session.hold();
  };
  await raw.send(headers(raw, 1), headers(raw, 3), frame(6, 0, 0, "0102030405060708"));
  await raw.send(headers(raw, 5, 4), frame(0, 1, 5, "616263"));
  expect(server.requests).toHaveLength(1);
  expect(server.session.held).toBe(true);
  // What is answered already leaves all the same.
  expect(raw.of(1, 1)).toHaveLength(2);
  server.session.resume();
  expect(server.requests).toHaveLength(2);
  expect(server.session.held).toBe(true);
  server.session.resume();
  expect(server.requests).toHaveLength(3);
  server.session.resume();
  await settle();
  expect(server.session.held).toBe(false);
  expect(raw.of(6)).toHaveLength(1);
  expect(raw.data(5).toString()).toBe("abc");
  expect(server.session.inFlight).toBe(0);
});

test("one that is held for long stops reading, so that the peer has to wait", async () => {
  const { raw, server } = await rawClient({ windowBytes: 1 << 20 });
  server.onRequestStart = (side, stream) => {
    echo(side, stream);
    server.session.hold();
  };
  await raw.send(headers(raw, 1, 4));
  let refused = 0;
  for (let i = 0; i < 50; i++) {
    if (!raw.connection.write(frame(0, i === 49 ? 1 : 0, 1, Buffer.alloc(16_000, i)))) refused++;
    await settle();
  }
  expect(refused).toBeGreaterThan(0);
  server.session.resume();
  for (let i = 0; i < 20; i++) await settle();
  expect(server.requests[0]?.body.length).toBe(800_000);
  expect(server.requests[0]?.ended).toBe(true);
});

test("a peer that hangs up while its frames wait is heard to the end", async () => {
  const { raw, server } = await rawClient();
  server.onRequestStart = () => server.session.hold();
  await raw.send(headers(raw, 1), headers(raw, 3));
  raw.connection.end();
  await settle();
  expect(server.requests).toHaveLength(1);
  expect(server.closed).toBeUndefined();
  server.session.resume();
  expect(server.requests).toHaveLength(2);
  server.session.resume();
  expect(server.closed).toBeDefined();
  expect(server.requests.map((one) => one.failure?.remote)).toEqual([true, true]);
});

test("one that is closed while it is held looks at nothing more", async () => {
  const { raw, server } = await rawClient();
  server.onRequestStart = () => server.session.hold();
  await raw.send(headers(raw, 1), headers(raw, 3));
  server.session.close("enough");
  server.session.resume();
  await settle();
  expect(server.requests).toHaveLength(1);
  expect(raw.goAwayCode).toBe(0);
});
