import { describe, expect, test } from "vitest";
import { Metadata, OutgoingStream, Status } from "../../src/index.js";
import { encodeMessage } from "../../src/protobuf/types.js";
import { Kind } from "../../src/protocol/mprpc/wire/header.js";
import { failure } from "../support/async.js";
import { Item } from "../support/gen/flow.js";
import {
  announcedFrame,
  callId,
  chunkFrame,
  controlFrame,
  messageFrame,
  replyFrame,
} from "../support/raw-peer.js";
import { rawFlow } from "./raw-flow.js";
import { collect, numbers, settled } from "./support.js";

const none = Buffer.alloc(0);
const item = (number: number): Buffer => encodeMessage(Item, { number });
const metadata = (id: number): Buffer =>
  controlFrame(Kind.METADATA, id, { metadata: new Metadata({ by: "raw" }) });

test("the CALL of each kind: stream, credit, and no body where the caller streams", async () => {
  const { stub, called } = await rawFlow();
  void stub.watch({ number: 5 });
  const { call, peer } = await called();
  expect([call.rare.stream, call.credit]).toEqual([2, 256 * 1024]);
  expect(call.body.length).toBeGreaterThan(0);
  void stub.put([{ number: 1 }]).catch(() => {});
  void stub.chat([{ number: 1 }]);
  await peer.until("three calls", () => peer.frames.filter(({ kind }) => kind === Kind.CALL).length === 3);
  const [, put, chat] = peer.frames.filter(({ kind }) => kind === Kind.CALL);
  expect([put?.rare.stream, put?.credit, put?.body.length]).toEqual([1, 0, 0]);
  expect([chat?.rare.stream, chat?.credit, chat?.body.length]).toEqual([3, 256 * 1024, 0]);
  await peer.frame(Kind.HALF_CLOSE, chat?.callId);
});

describe("a provider that breaks the wire: its connection ends, the call fails as lost", () => {
  test.each<[string, (id: number) => Buffer[], RegExp]>([
    [
      "a message beyond the credit",
      (id) => [messageFrame(id, Buffer.alloc(256 * 1024 - 31))],
      /credit for 262144/,
    ],
    [
      "credit for a stream that is not",
      (id) => [controlFrame(Kind.CREDIT, id, { credit: 5 })],
      /sends no stream/,
    ],
    ["METADATA twice", (id) => [metadata(id), metadata(id)], /behind its metadata or first message/],
    [
      "METADATA behind a message",
      (id) => [messageFrame(id, item(1)), metadata(id)],
      /behind its metadata or first message/,
    ],
    ["two announced messages", (id) => [announcedFrame(id, 100), announcedFrame(id, 100)], /was whole/],
    [
      "a message before the announced one is whole",
      (id) => [announcedFrame(id, 100), messageFrame(id)],
      /was whole/,
    ],
    [
      "a chunk beyond its message",
      (id) => [announcedFrame(id, 10), chunkFrame(id, Buffer.alloc(11))],
      /a chunk of 11 bytes/,
    ],
    ["two replies", (id) => [replyFrame({ id, body: none }), replyFrame({ id, body: none })], /^$/],
  ])("%s", async (_what, frames, reason) => {
    const { stub, called } = await rawFlow();
    const reading = collect(stub.watch({}));
    const { peer, id } = await called();
    peer.send(...frames(id));
    if (_what === "two replies") {
      expect(await reading).toEqual([]);
    } else {
      const error = await failure(reading);
      expect(error.code).toBe(Status.UNAVAILABLE);
      expect(error.executed).toBe("maybe");
      expect(error.rawMessage).toMatch(reason);
    }
    await peer.until("the end", () => peer.closed || peer.ended);
  });

  test("credit for requests of 0, and one that overflows", async () => {
    for (const credit of [0, 2 ** 31 - 1]) {
      const { stub, called } = await rawFlow();
      const reading = failure(stub.put(new OutgoingStream()));
      const { peer, id } = await called();
      peer.send(controlFrame(Kind.CREDIT, id, { credit }));
      expect((await reading).rawMessage).toMatch(/credit (of 0|that comes to)/);
    }
  });
});

test("frames for numbers not in use, and for a cancelled call, are passed over", async () => {
  const { stub, called } = await rawFlow();
  const stream = stub.watch({});
  const reading = failure(collect(stream));
  const { peer, id } = await called();
  stream.cancel();
  expect((await reading).code).toBe(Status.CANCELLED);
  await peer.frame(Kind.CANCEL, id);
  peer.send(messageFrame(id, item(1)), metadata(id), announcedFrame(id, 5), chunkFrame(id, Buffer.alloc(5)));
  peer.send(messageFrame(callId(50)), controlFrame(Kind.CREDIT, callId(50), { credit: 0 }));
  peer.send(replyFrame({ id, status: Status.CANCELLED, body: none }));
  const next = collect(stub.watch({}));
  await peer.until("a second call", () => peer.frames.filter(({ kind }) => kind === Kind.CALL).length === 2);
  const again = peer.frames.filter(({ kind }) => kind === Kind.CALL)[1]?.callId ?? 0;
  peer.send(messageFrame(id, item(1)), messageFrame(again, item(2)), replyFrame({ id: again, body: none }));
  expect((await next).map(({ number }) => number)).toEqual([2]);
  expect(peer.closed).toBe(false);
});

test("a caller sends within the credit: 16 KiB first, then what it is given, announced when larger", async () => {
  const { stub, called } = await rawFlow();
  const done = stub.put([{ data: Buffer.alloc(10_000) }, { data: Buffer.alloc(10_000) }]);
  const { peer, id } = await called();
  await settled(() => peer.frames.length);
  const sent = peer.frames.filter(({ kind }) => kind === Kind.MESSAGE);
  expect(sent.map(({ body, messageSize }) => [body.length, messageSize])).toEqual([
    [10_003, 0],
    [0, 10_003],
  ]);
  peer.send(controlFrame(Kind.CREDIT, id, { credit: 3000 }));
  await settled(() => peer.chunks.length);
  expect(sent[1]?.message).toBeUndefined();
  peer.send(controlFrame(Kind.CREDIT, id, { credit: 3000 }));
  await peer.frame(Kind.HALF_CLOSE, id);
  expect(peer.frames.filter(({ kind }) => kind === Kind.MESSAGE)[1]?.message).toHaveLength(10_003);
  peer.send(replyFrame({ id, body: item(2) }));
  expect((await done).number).toBe(2);
});

test("a reply in the middle of an announced message ends the call: what was whole is read", async () => {
  const { stub, called } = await rawFlow();
  const got: number[] = [];
  const reading = (async () => {
    for await (const { number } of stub.watch({})) got.push(number);
  })();
  const { peer, id } = await called();
  peer.send(messageFrame(id, item(1)), announcedFrame(id, 5000), chunkFrame(id, Buffer.alloc(100)));
  peer.send(
    replyFrame({ id, status: Status.NOT_FOUND, rare: { message: "gone", executed: "yes" }, body: none }),
  );
  const error = await failure(reading);
  expect([error.code, got]).toEqual([Status.NOT_FOUND, [1]]);
  // Chunks that were on their way hit nothing.
  peer.send(chunkFrame(id, Buffer.alloc(100)));
  await settled(() => peer.frames.length);
  expect(peer.closed).toBe(false);
});

test("an announced message without progress ends its stream after 10 s", async () => {
  const { stub, called, clock } = await rawFlow();
  const reading = failure(collect(stub.watch({})));
  const { peer, id } = await called();
  peer.send(announcedFrame(id, 5000), chunkFrame(id, Buffer.alloc(4999)));
  await settled(() => peer.frames.length);
  for (let at = 0; at < 8; at++) await clock.run(2500);
  const error = await reading;
  expect([error.code, error.executed]).toEqual([Status.UNAVAILABLE, "maybe"]);
  expect(error.rawMessage).toBe("a message of the stream made no progress for 10000 ms");
  await peer.frame(Kind.CANCEL, id);
});

test("a message that is not the method's ends the stream, for both", async () => {
  const { stub, called } = await rawFlow();
  const reading = failure(collect(stub.watch({})));
  const { peer, id } = await called();
  peer.send(messageFrame(id, Buffer.of(0x0a)));
  const error = await reading;
  expect(error.code).toBe(Status.INTERNAL);
  expect(error.rawMessage).toContain("a message of the stream is no flow.Item");
  await peer.frame(Kind.CANCEL, id);
});

describe("executed, and sending again", () => {
  const never = { message: "busy", executed: "never" } as const;

  test("`never` before a word: what was sent of the requests is sent again", async () => {
    const { stub, called, peers } = await rawFlow();
    const sum = stub.put(numbers(3));
    const { peer, id } = await called();
    await peer.frame(Kind.HALF_CLOSE, id);
    peer.send(replyFrame({ id, status: Status.UNAVAILABLE, rare: never, body: none }));
    await peer.until(
      "all again",
      () => peers[0]?.frames.filter(({ kind }) => kind === Kind.HALF_CLOSE).length === 2,
    );
    const messages = peer.frames
      .filter(({ kind }) => kind === Kind.MESSAGE)
      .map(({ body }) => body.toString("hex"));
    expect(messages.slice(0, 3)).toEqual(messages.slice(3));
    const again = peer.frames.filter(({ kind }) => kind === Kind.CALL)[1]?.callId ?? 0;
    peer.send(replyFrame({ id: again, body: item(3) }));
    expect((await sum).number).toBe(3);
  });

  test("`never` in the middle of the source: the rest follows what is sent again", async () => {
    const { stub, called } = await rawFlow();
    const out = new OutgoingStream<Partial<Item>>();
    const sum = stub.put(out);
    const { peer, id } = await called();
    await out.write({ number: 1 });
    await peer.frame(Kind.MESSAGE, id);
    peer.send(replyFrame({ id, status: Status.UNAVAILABLE, rare: never, body: none }));
    await peer.until(
      "a second call",
      () => peer.frames.filter(({ kind }) => kind === Kind.CALL).length === 2,
    );
    const again = peer.frames.filter(({ kind }) => kind === Kind.CALL)[1]?.callId ?? 0;
    await out.write({ number: 2 });
    out.end();
    await peer.frame(Kind.HALF_CLOSE, again);
    const sent = peer.frames.filter(({ kind, callId: of }) => kind === Kind.MESSAGE && of === again);
    expect(sent.map(({ body }) => body.toString("hex"))).toEqual(
      [item(1), item(2)].map((one) => one.toString("hex")),
    );
    peer.send(replyFrame({ id: again, body: item(9) }));
    expect((await sum).number).toBe(9);
  });

  test("behind the provider's first word nothing is kept: sourceConsumed", async () => {
    const { stub, called } = await rawFlow();
    const out = new OutgoingStream<Partial<Item>>();
    const failed = failure(stub.put(out));
    const { peer, id } = await called();
    await out.write({ number: 1 });
    peer.send(controlFrame(Kind.CREDIT, id, { credit: 100 }));
    await settled(() => peer.frames.length);
    peer.send(replyFrame({ id, status: Status.UNAVAILABLE, rare: never, body: none }));
    const error = await failed;
    expect([error.executed, error.sourceConsumed]).toEqual(["never", true]);
    expect(peer.frames.filter(({ kind }) => kind === Kind.CALL)).toHaveLength(1);
  });

  test("after a message a failure is not `never`, whatever it says", async () => {
    const { stub, called } = await rawFlow();
    const got: number[] = [];
    const reading = (async () => {
      for await (const { number } of stub.watch({})) got.push(number);
    })();
    const { peer, id } = await called();
    peer.send(messageFrame(id, item(1)));
    peer.send(replyFrame({ id, status: Status.UNAVAILABLE, rare: never, body: none }));
    const error = await failure(reading);
    expect([got, error.executed]).toEqual([[1], "maybe"]);
    expect(peer.frames.filter(({ kind }) => kind === Kind.CALL)).toHaveLength(1);
  });

  test("a server stream refused before a word is called once more", async () => {
    const { stub, called } = await rawFlow();
    const reading = collect(stub.watch({ number: 4 }));
    const { peer, id } = await called();
    peer.send(replyFrame({ id, status: Status.UNAVAILABLE, rare: never, body: none }));
    await peer.until(
      "a second call",
      () => peer.frames.filter(({ kind }) => kind === Kind.CALL).length === 2,
    );
    const again = peer.frames.filter(({ kind }) => kind === Kind.CALL)[1]?.callId ?? 0;
    peer.send(messageFrame(again, item(1)), replyFrame({ id: again, body: none }));
    expect(await reading).toHaveLength(1);
  });
});
