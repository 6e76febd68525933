import { expect, test } from "vitest";
import { encodeMessage } from "../../../src/protobuf/types.js";
import { ClassicExchange } from "../../../src/protocol/classic/classic-exchange.js";
import { ManualClock } from "../../../src/testing/index.js";
import type { Connection } from "../../../src/transport/transport.js";
import { Blob } from "../../support/gen/probe.js";

const unwritten = { setHandler: () => {}, write: () => true, destroy: () => {} } as unknown as Connection;

/** An exchange of `varint` whose reply the test hands over. */
function begin() {
  const clock = new ManualClock();
  const ends: unknown[] = [];
  const options = { dialect: "varint" as const, output: Blob, bodyMaxBytes: 4 << 20, clock };
  const exchange = new ClassicExchange(unwritten, Buffer.alloc(0), options, {
    onReply: (message, bytes) => ends.push([(message as Blob).text.length, bytes]),
    onFailure: (error) => ends.push(error.message),
  });
  return { exchange, clock, ends };
}

/** One that decodes as well when it is cut in the middle: the later text replaces the earlier. */
const reply = Buffer.concat([
  encodeMessage(Blob, { text: "x".repeat(2000) }),
  encodeMessage(Blob, { text: "y".repeat(3000) }),
]);

test("varint: the rest of a reply that lay unread while the process was busy belongs to it", async () => {
  const { exchange, clock, ends } = begin();
  exchange.onData(reply.subarray(0, 2003));
  // The timer has its turn before the socket has.
  clock.advance(20);
  exchange.onData(reply.subarray(2003));
  await clock.run(100);
  expect(ends).toEqual([[3000, reply.length]]);
});

test("varint: silence ends it", async () => {
  const { exchange, clock, ends } = begin();
  exchange.onData(reply.subarray(0, 2003));
  await clock.run(100);
  expect(ends).toEqual([[2000, 2003]]);
});
