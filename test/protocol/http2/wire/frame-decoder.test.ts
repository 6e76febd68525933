import { expect, test } from "vitest";
import { FrameDecoder, type FrameSink } from "../../../../src/protocol/http2/wire/frame-decoder.js";
import { frame, settings } from "../frames.js";

/** What a sink is told, one line each; the parts of a DATA frame put together. */
class Lines implements FrameSink {
  readonly lines: string[] = [];
  #data = "";

  onHeaderBlock(
    id: number,
    b: Buffer,
    start: number,
    end: number,
    first: boolean,
    last: boolean,
    endStream: boolean,
  ) {
    this.lines.push(`block ${id} ${b.toString("hex", start, end)} ${first} ${last} ${endStream}`);
  }
  onDataFrame(id: number, flowBytes: number, endStream: boolean) {
    this.#data = `data ${id} ${flowBytes} ${endStream} `;
  }
  onDataBytes(bytes: Buffer, start: number, end: number, last: boolean) {
    this.#data += bytes.toString("hex", start, end);
    if (last) this.lines.push(this.#data);
  }
  onPriority(id: number) {
    this.lines.push(`priority ${id}`);
  }
  onReset(id: number, code: number) {
    this.lines.push(`reset ${id} ${code}`);
  }
  onSettings(ack: boolean, bytes: Buffer, start: number, end: number) {
    this.lines.push(`settings ${ack} ${bytes.toString("hex", start, end)}`);
  }
  onPing(ack: boolean, bytes: Buffer, start: number) {
    this.lines.push(`ping ${ack} ${bytes.toString("hex", start, start + 8)}`);
  }
  onGoAway(last: number, code: number, debug: string) {
    this.lines.push(`goaway ${last} ${code} ${debug}`);
  }
  onWindowUpdate(id: number, increment: number) {
    this.lines.push(`window ${id} ${increment}`);
  }
  onUnknown(type: number) {
    this.lines.push(`unknown ${type}`);
  }
  onStreamError(id: number, code: number) {
    this.lines.push(`error ${id} ${code}`);
  }
}

const conversation = Buffer.concat([
  settings([3, 100]),
  frame(4, 1, 0),
  frame(8, 0, 0, "000003e8"),
  frame(1, 0x2d, 1, "02 80000003 10 82 86 0000"),
  frame(1, 0x0, 3, "8286"),
  frame(9, 0x0, 3, ""),
  frame(9, 0x4, 3, "84"),
  frame(0, 0x8, 3, "03 616263 000000"),
  frame(0, 0x0, 3, ""),
  frame(0, 0x1, 3, "64".repeat(300)),
  frame(2, 0, 5, "00000000 10"),
  frame(3, 0, 3, "00000008"),
  frame(6, 0, 0, "0102030405060708"),
  frame(0x63, 0xff, 7, "0102"),
  frame(2, 0, 5, "00"),
  frame(8, 0, 3, "80000000"),
  frame(7, 0, 0, "00000003 0000000b 68690a"),
]);

const expected = [
  "settings false 000300000064",
  "settings true ",
  "window 0 1000",
  "block 1 8286 true true true",
  "block 3 8286 true false false",
  "block 3  false false false",
  "block 3 84 false true false",
  "data 3 7 false 616263",
  "data 3 0 false ",
  `data 3 300 true ${"64".repeat(300)}`,
  "priority 5",
  "reset 3 8",
  "ping false 0102030405060708",
  "unknown 99",
  "error 5 6",
  "error 3 1",
  "goaway 3 11 hi\n",
];

test("bytes in one piece, one at a time, and cut anywhere are the same frames", () => {
  const cuts = [[conversation], [...conversation].map((byte) => Buffer.from([byte]))];
  for (let at = 1; at < conversation.length; at++) {
    cuts.push([conversation.subarray(0, at), conversation.subarray(at)]);
  }
  for (const chunks of cuts) {
    const sink = new Lines();
    const decoder = new FrameDecoder(sink);
    for (const chunk of chunks) {
      // The memory is used again, as a socket's is.
      const bytes = Buffer.from(chunk);
      expect(decoder.push(bytes)).toBeUndefined();
      expect(decoder.unread).toBe(bytes.length);
      bytes.fill(0xdd);
    }
    expect(sink.lines).toEqual(expected);
  }
});

test("held behind any frame, it goes on where it stopped", () => {
  const sink = new Lines();
  const decoder = new FrameDecoder(sink);
  for (const name of ["onHeaderBlock", "onDataBytes", "onSettings", "onPing"] as const) {
    const tell = sink[name].bind(sink) as (...all: unknown[]) => void;
    Object.assign(sink, {
      [name]: (...all: unknown[]) => {
        decoder.hold();
        tell(...all);
      },
    });
  }
  let rest = conversation;
  let pushes = 0;
  while (rest.length > 0) {
    expect(decoder.push(rest)).toBeUndefined();
    rest = rest.subarray(decoder.unread);
    pushes++;
  }
  expect(sink.lines).toEqual(expected);
  expect(pushes).toBeGreaterThan(8);
});

test.each([
  ["a first frame that is not SETTINGS", 1, [frame(6, 0, 0, "0102030405060708")]],
  ["an acknowledgement as the first frame", 1, [frame(4, 1, 0)]],
  ["a frame over the limit", 6, [settings(), frame(0, 0, 1, "00".repeat(16_385))]],
  ["DATA on stream 0", 1, [settings(), frame(0, 0, 0, "00")]],
  ["DATA with too much padding", 1, [settings(), frame(0, 8, 1, "02 00")]],
  ["DATA padded without a length", 1, [settings(), frame(0, 8, 1, "")]],
  ["HEADERS on stream 0", 1, [settings(), frame(1, 4, 0, "82")]],
  ["HEADERS with too much padding", 1, [settings(), frame(1, 0xc, 1, "02 82")]],
  ["HEADERS padded without a length", 1, [settings(), frame(1, 0xc, 1, "")]],
  ["HEADERS cut in its priority", 1, [settings(), frame(1, 0x24, 1, "00000000")]],
  ["HEADERS that depends on itself", 1, [settings(), frame(1, 0x24, 1, "00000001 10 82")]],
  ["PRIORITY on stream 0", 1, [settings(), frame(2, 0, 0, "00000000 10")]],
  ["PRIORITY that depends on itself", 1, [settings(), frame(2, 0, 3, "80000003 10")]],
  ["RST_STREAM on stream 0", 1, [settings(), frame(3, 0, 0, "00000000")]],
  ["RST_STREAM of three bytes", 6, [settings(), frame(3, 0, 1, "000000")]],
  ["SETTINGS on a stream", 1, [frame(4, 0, 1)]],
  ["SETTINGS of five bytes", 6, [frame(4, 0, 0, "0003000000")]],
  ["an acknowledgement with content", 6, [settings(), frame(4, 1, 0, "000300000064")]],
  ["PUSH_PROMISE", 1, [settings(), frame(5, 4, 1, "00000002 82")]],
  ["PING on a stream", 1, [settings(), frame(6, 0, 1, "0102030405060708")]],
  ["PING of six bytes", 6, [settings(), frame(6, 0, 0, "010203040506")]],
  ["GOAWAY on a stream", 1, [settings(), frame(7, 0, 1, "00000000 00000000")]],
  ["GOAWAY of four bytes", 6, [settings(), frame(7, 0, 0, "00000000")]],
  ["WINDOW_UPDATE of three bytes", 6, [settings(), frame(8, 0, 0, "000001")]],
  ["WINDOW_UPDATE by 0 of the connection", 1, [settings(), frame(8, 0, 0, "00000000")]],
  ["CONTINUATION without HEADERS", 1, [settings(), frame(9, 4, 1, "82")]],
  ["CONTINUATION behind a block that is whole", 1, [settings(), frame(1, 4, 1, "82"), frame(9, 4, 1, "84")]],
  ["DATA inside a header block", 1, [settings(), frame(1, 0, 1, "82"), frame(0, 0, 1, "00")]],
  ["HEADERS inside a header block", 1, [settings(), frame(1, 0, 1, "82"), frame(1, 4, 1, "84")]],
  ["CONTINUATION of another stream", 1, [settings(), frame(1, 0, 1, "82"), frame(9, 4, 3, "84")]],
  ["an unknown frame inside a header block", 1, [settings(), frame(1, 0, 1, "82"), frame(0x16, 0, 0)]],
])("malformed: %s", (_, code, frames) => {
  const bytes = Buffer.concat(frames);
  expect(new FrameDecoder(new Lines()).push(bytes)).toMatchObject({ code });
  const decoder = new FrameDecoder(new Lines());
  let wrong: unknown;
  for (const byte of bytes) wrong ??= decoder.push(Buffer.from([byte]));
  expect(wrong).toMatchObject({ code });
});
