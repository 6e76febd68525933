import { expect, test } from "vitest";
import { clientPreface } from "../../../src/protocol/http2/wire/frame.js";
import { settle } from "../../../src/testing/index.js";
import { frame, rawClient, rawServer, settings } from "./raw.js";

// A conversation is cut after each of its bytes: read in two pieces there, it is the same; ended there, everything ends, and
// nothing is left over.

const requestBlock = "83 86 84 41 09 6c6f63616c686f7374";

const fromClient = Buffer.concat([
  clientPreface,
  settings([4, 100_000]),
  frame(4, 1, 0),
  frame(1, 5, 1, requestBlock),
  frame(1, 0x2d, 3, `02 00000001 10 ${"83 86 84 be"} 0000`),
  frame(1, 0, 5, "83"),
  frame(9, 0, 5, ""),
  frame(9, 4, 5, "86 84 be"),
  frame(8, 0, 5, "00000005"),
  frame(0, 0, 5, "616263"),
  frame(0, 8, 5, "02 64 0000"),
  frame(1, 5, 5, "40 01 78 01 79"),
  frame(6, 0, 0, "0102030405060708"),
  frame(1, 4, 7, "83 86 84 be"),
  frame(3, 0, 7, "00000008"),
]);

const fromServer = Buffer.concat([
  settings([3, 100]),
  frame(4, 1, 0),
  frame(1, 4, 1, "08 03 313030"),
  frame(1, 4, 1, "88"),
  frame(0, 8, 1, "02 616263 0000"),
  frame(6, 0, 0, "0102030405060708"),
  frame(1, 1, 1, "40 01 78"),
  frame(9, 4, 1, "01 79"),
  frame(3, 0, 3, "00000007"),
  frame(8, 0, 0, "00000100"),
]);

test("bytes of a client, read in two pieces", async () => {
  for (let at = 1; at < fromClient.length; at++) {
    const { raw, server } = await rawClient({}, Buffer.alloc(0));
    await raw.send(fromClient.subarray(0, at));
    await raw.send(fromClient.subarray(at));
    expect(raw.goAwayCode).toBeUndefined();
    expect(server.requests.map((one) => [one.body.toString(), one.trailers, one.failure?.code])).toEqual([
      ["", undefined, undefined],
      ["", undefined, undefined],
      ["abcd", { x: "y" }, undefined],
      ["", undefined, 8],
    ]);
    expect([1, 3, 5].map((id) => raw.of(1, id).length)).toEqual([2, 2, 2]);
    expect(server.session.inFlight).toBe(0);
    raw.connection.reset();
  }
});

test("bytes of a client, ended there", async () => {
  for (const how of ["end", "reset"] as const) {
    for (let at = 0; at <= fromClient.length; at++) {
      const { raw, server } = await rawClient({}, Buffer.alloc(0));
      await raw.send(fromClient.subarray(0, at));
      raw.connection[how]();
      await settle();
      expect(server.closed).toBeDefined();
      expect(server.session.inFlight).toBe(0);
      for (const one of server.requests) expect(one.stream?.closed).toBe(true);
    }
  }
});

test("bytes of a server, read in two pieces", async () => {
  for (let at = 1; at < fromServer.length; at++) {
    const { raw, client } = await rawServer({}, Buffer.alloc(0));
    const calls = [client.request({}, "hello"), client.request({})];
    await raw.send(fromServer.subarray(0, at));
    await raw.send(fromServer.subarray(at));
    expect(raw.goAwayCode).toBeUndefined();
    expect(calls[0]).toMatchObject({
      headers: { ":status": "200" },
      trailers: { x: "y" },
      failure: undefined,
    });
    expect(calls[0]?.body.toString()).toBe("abc");
    expect(calls[1]?.failure).toMatchObject({ code: 7, unprocessed: true });
    expect(client.session.inFlight).toBe(0);
    raw.connection.reset();
  }
});

test("bytes of a server, ended there: a call that was not answered fails, and is not said not to have run", async () => {
  for (const how of ["end", "reset"] as const) {
    for (let at = 0; at <= fromServer.length; at++) {
      const { raw, client } = await rawServer({}, Buffer.alloc(0));
      const calls = [client.request({}, "hello"), client.request({})];
      await raw.send(fromServer.subarray(0, at));
      raw.connection[how]();
      await settle();
      expect(client.closed).toBeDefined();
      const [first, second] = calls;
      expect(first?.ended === true || first?.failure?.unprocessed === false).toBe(true);
      const refused = raw.frames.length > 0 && second?.failure?.code === 7;
      expect(second?.failure).toMatchObject({ unprocessed: refused });
      expect(client.session.inFlight).toBe(0);
    }
  }
});
