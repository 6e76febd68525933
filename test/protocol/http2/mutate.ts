import { Writer } from "../../../src/protobuf/writer.js";
import { Http2ClientSession, type ResponseHandler } from "../../../src/protocol/http2/client-session.js";
import { Http2ServerSession } from "../../../src/protocol/http2/server-session.js";
import type { Http2Session } from "../../../src/protocol/http2/session.js";
import type { Http2Stream, StreamFailure } from "../../../src/protocol/http2/stream.js";
import { clientPreface } from "../../../src/protocol/http2/wire/frame.js";
import { FrameDecoder, type FrameSink } from "../../../src/protocol/http2/wire/frame-decoder.js";
import { HeaderList } from "../../../src/protocol/http2/wire/header-field.js";
import { HpackDecoder } from "../../../src/protocol/http2/wire/hpack-decoder.js";
import { HpackEncoder } from "../../../src/protocol/http2/wire/hpack-encoder.js";
import { ManualClock, SeededRandom } from "../../../src/testing/index.js";
import type { Connection, ConnectionHandler } from "../../../src/transport/transport.js";
import { frame, settings } from "./frames.js";

/** A connection that notes what is written, and takes it at once or late. */
class Wire implements Connection {
  readonly remote = "peer:1";
  readonly local = "here:1";
  readonly unwrittenBytes = 0;
  closed = false;
  ended = false;
  handler: ConnectionHandler | undefined;
  readonly #random: SeededRandom;
  readonly #onBytes: (bytes: Uint8Array) => void;
  owesDrain = false;

  constructor(random: SeededRandom, onBytes: (bytes: Uint8Array) => void) {
    this.#random = random;
    this.#onBytes = onBytes;
  }

  setHandler(handler: ConnectionHandler): void {
    this.handler = handler;
  }

  write(data: Uint8Array): boolean {
    if (this.closed || this.ended) throw new Error("bytes are written behind the end");
    if (this.owesDrain) throw new Error("a second write while one is on its way");
    this.#onBytes(data);
    this.owesDrain = this.#random.integer(0, 9) === 0;
    return !this.owesDrain;
  }

  pause(): void {}
  resume(): void {}

  end(): void {
    this.ended = true;
  }

  destroy(): void {
    this.closed = true;
  }

  reset(): void {
    this.closed = true;
  }
}

/** Checks that what a session sends is well-formed. */
class Checker implements FrameSink {
  readonly #decoder = new FrameDecoder(this, 1 << 20);
  readonly #hpack = new HpackDecoder({ listMaxBytes: 1 << 20, fieldsMax: 10_000 }, 4096);
  #skip: number;
  #block: Buffer = Buffer.alloc(0);
  goAways = 0;

  constructor(prefaceBytes: number) {
    this.#skip = prefaceBytes;
  }

  push(bytes: Uint8Array): void {
    const skipped = Math.min(this.#skip, bytes.length);
    this.#skip -= skipped;
    const wrong = this.#decoder.push(Buffer.from(bytes.subarray(skipped)));
    if (wrong !== undefined) throw new Error(`what is sent is malformed: ${wrong.reason}`);
  }

  onHeaderBlock(_id: number, bytes: Buffer, start: number, end: number, first: boolean, last: boolean): void {
    const part = bytes.subarray(start, end);
    this.#block = first ? Buffer.from(part) : Buffer.concat([this.#block, part]);
    if (!last) return;
    const list = new HeaderList();
    const wrong = this.#hpack.decode(this.#block, 0, this.#block.length, list) ?? list.fault;
    if (wrong !== undefined) throw new Error(`a header block that is sent is malformed: ${wrong}`);
  }

  onStreamError(_id: number, _code: number, reason: string): void {
    throw new Error(`a frame that is sent is malformed: ${reason}`);
  }

  onGoAway(): void {
    this.goAways++;
  }

  onDataFrame(): void {}
  onDataBytes(): void {}
  onPriority(): void {}
  onReset(): void {}
  onSettings(): void {}
  onPing(): void {}
  onWindowUpdate(): void {}
  onUnknown(): void {}
}

/** A handler that does anything, and notes that it is told one end at most and nothing behind it. */
class AnyHandler implements ResponseHandler {
  ends = 0;
  readonly #random: SeededRandom;
  readonly #server: boolean;

  constructor(random: SeededRandom, server: boolean) {
    this.#random = random;
    this.#server = server;
  }

  #told(stream: Http2Stream): void {
    if (this.ends > 0) throw new Error(`stream ${stream.id}: told something behind its end`);
  }

  #act(stream: Http2Stream): void {
    const fields = [
      { name: "x", value: "y", indexing: this.#random.pick(["table", "plain", "name"] as const) },
    ];
    switch (this.#random.integer(0, 9)) {
      case 0:
        stream.reset();
        break;
      case 1:
        if (this.#server) stream.headers(undefined, [{ name: ":status", value: "200" }, ...fields]);
        break;
      case 2:
        stream.write(
          Buffer.alloc(this.#random.pick([0, 1, 100, 20_000, 100_000])),
          this.#random.integer(0, 1) === 0,
        );
        break;
      case 3:
        stream.beginData().uint32(this.#random.integer(0, 1 << 20));
        stream.endData(this.#random.integer(0, 1) === 0);
        break;
      case 4:
        stream.end(undefined, fields);
        break;
      case 5:
        stream.consumed(this.#random.pick([0, 1, 1000, 1_000_000]));
        break;
      default:
    }
  }

  onResponse(stream: Http2Stream): void {
    this.#told(stream);
    this.#act(stream);
  }

  onData(stream: Http2Stream, _bytes: Buffer, start: number, end: number): void {
    this.#told(stream);
    if (end < start) throw new Error("DATA of less than nothing");
    this.#act(stream);
    if (this.#random.integer(0, 1) === 0) stream.consumed(end - start);
  }

  onTrailers(stream: Http2Stream): void {
    this.#told(stream);
    this.#act(stream);
  }

  onWritable(stream: Http2Stream): void {
    this.#told(stream);
    this.#act(stream);
  }

  onReset(stream: Http2Stream, failure: StreamFailure): void {
    this.#told(stream);
    this.ends++;
    if (!stream.closed) throw new Error("a stream is over and not closed");
    if (typeof failure.reason !== "string") throw new Error("no reason");
    stream.release();
  }
}

const names = [
  "x",
  "te",
  "content-length",
  "content-type",
  "grpc-timeout",
  "connection",
  "X",
  ":path",
  ":x",
  "",
];
const values = ["", "1", "trailers", "0", "a b", " a", "a\n", "5m", "200", "x".repeat(300)];
const loud = [0, 1, 2, 3, 4, 5, 6, 8, 9, 0x0f, 0x1f, 0x20, 0x3f, 0x7f, 0x80, 0xbe, 0xc0, 0xff];
const numbers = [
  0,
  1,
  2,
  3,
  5,
  100,
  16_383,
  16_384,
  16_385,
  65_535,
  65_536,
  2 ** 24 - 1,
  2 ** 24,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
];

/** Frames that a peer may send, a few that it may not, and changes of them. */
class Frames {
  readonly #random: SeededRandom;
  readonly #server: boolean;
  /** How often something is not as it should be. */
  readonly #wildness: number;
  readonly #encoder = new HpackEncoder();
  #lastId = -1;
  /** Streams on which the peer may still send; the value says whether its headers have come. */
  readonly #open = new Map<number, boolean>();

  constructor(random: SeededRandom, server: boolean, wildness: number) {
    this.#random = random;
    this.#server = server;
    this.#wildness = wildness;
  }

  get #wild(): boolean {
    return this.#random.chance(this.#wildness);
  }

  #id(): number {
    if (this.#wild) return this.#random.pick([0, 1, 2, 3, 99, this.#lastId, 0x7fff_ffff, 0xffff_ffff]);
    const ids = [...this.#open.keys()];
    return ids.length === 0 ? 0 : this.#random.pick(ids);
  }

  #uint32(value: number): Buffer {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value >>> 0);
    return bytes;
  }

  #block(first: ReadonlyArray<readonly [string, string]>): Buffer {
    const random = this.#random;
    const fields = first.map(([name, value]) => ({ name, value, indexing: "table" as "table" | "plain" }));
    while (random.integer(0, 2) === 0) {
      const wild = this.#wild;
      const name = wild ? random.pick(names) : `h${random.integer(0, 50)}`;
      const value = wild ? random.pick(values) : String(random.integer(0, 9));
      fields.push({ name, value, indexing: random.integer(0, 1) === 0 ? "table" : "plain" });
    }
    const out = new Writer();
    this.#encoder.encode(out, undefined, fields);
    return Buffer.from(out.view());
  }

  #headers(): Buffer {
    const random = this.#random;
    let id = this.#id();
    let end = random.integer(0, 1) === 0;
    let first = false;
    if (this.#server && (random.integer(0, 2) > 0 || id === 0)) {
      id = this.#lastId += 2;
      first = true;
    } else if (id === 0) return frame(6, 0, 0, Buffer.alloc(8));
    else {
      first = this.#open.get(id) === false;
      if (!first && !this.#wild) end = true;
    }
    if (end) this.#open.delete(id);
    else this.#open.set(id, true);
    const fields: Array<[string, string]> = this.#server
      ? [
          [":method", "POST"],
          [":scheme", "http"],
          [":path", `/${random.integer(0, 5)}`],
        ]
      : [[":status", random.pick(["200", "404"])]];
    const block = this.#block(first ? fields : []);
    const flag = end ? 1 : 0;
    if (random.integer(0, 5) > 0) return frame(1, 4 | flag, id, block);
    const cut = random.integer(0, block.length);
    return Buffer.concat([frame(1, flag, id, block.subarray(0, cut)), frame(9, 4, id, block.subarray(cut))]);
  }

  #data(): Buffer {
    const random = this.#random;
    const id = this.#id();
    if (id === 0 || this.#open.get(id) === false) return this.#headers();
    const content = Buffer.alloc(random.pick([0, 1, 5, 300, 3000]), 1);
    const flags = content.length > 0 ? random.pick([0, 0, 1, 8]) : 1;
    if (flags === 1) this.#open.delete(id);
    return frame(0, flags, id, content);
  }

  /** Opened by our client. */
  opened(id: number): void {
    this.#lastId = id;
    this.#open.set(id, false);
  }

  #number(usual: number): number {
    return this.#wild ? this.#random.pick(numbers) : this.#random.integer(1, usual);
  }

  frame(): Buffer {
    const random = this.#random;
    switch (random.integer(0, 12)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return this.#headers();
      case 4:
      case 5:
      case 6:
      case 7:
        return this.#data();
      case 8:
        return frame(8, 0, random.pick([0, this.#id()]), this.#uint32(this.#number(50_000)));
      case 9: {
        const id = this.#id();
        if (id === 0) return this.#headers();
        this.#open.delete(id);
        return frame(3, 0, id, this.#uint32(random.integer(0, 14)));
      }
      case 10:
        return this.#wild
          ? settings([random.integer(0, 7), random.pick(numbers)])
          : settings(
              random.pick([
                [1, 0],
                [1, 200],
                [1, 4096],
                [3, 10],
                [4, 0],
                [4, 70_000],
                [5, 20_000],
              ] as const),
            );
      case 11:
        return this.#wild
          ? frame(7, 0, 0, Buffer.concat([this.#uint32(random.pick(numbers)), this.#uint32(0)]))
          : frame(6, random.integer(0, 1), 0, Buffer.alloc(8, random.integer(0, 255)));
      default:
        return this.#wild
          ? frame(
              random.pick([2, 4, 5, 9, 10, 200]),
              random.pick(loud),
              this.#id(),
              Buffer.alloc(random.pick([0, 4, 5, 6])),
            )
          : frame(2, 0, 101, "00000000 10");
    }
  }

  mutate(bytes: Buffer): Buffer {
    const random = this.#random;
    const copy = Buffer.from(bytes);
    switch (random.integer(0, 5)) {
      case 0:
        copy[random.integer(0, copy.length - 1)] = random.pick(loud);
        return copy;
      case 1: {
        const at = random.integer(0, copy.length - 1);
        copy[at] = (copy[at] as number) ^ (1 << random.integer(0, 7));
        return copy;
      }
      case 2:
        return copy.subarray(0, random.integer(0, copy.length));
      case 3:
        return Buffer.concat([copy, copy]);
      case 4: {
        // The same content under another length, type, flags or stream.
        copy[random.integer(0, 8)] = random.pick(loud);
        return copy;
      }
      default: {
        const at = random.integer(0, copy.length);
        return Buffer.concat([copy.subarray(0, at), Buffer.from([random.pick(loud)]), copy.subarray(at)]);
      }
    }
  }
}

/** What one connection was: how many frames it was sent, and whether it survived them. */
export interface MutatedCase {
  readonly frames: number;
  readonly survived: boolean;
}

/**
 * One connection whose peer sends frames, some of them mutated, in any pieces. Throws when the session breaks a promise: it
 * throws, sends what is malformed, tells a handler something behind its end, or leaves something behind when it is closed.
 */
export async function mutatedCase(seed: number, side: "server" | "client"): Promise<MutatedCase> {
  const random = SeededRandom.of(seed);
  const server = side === "server";
  const clock = new ManualClock();
  const checker = new Checker(server ? 0 : clientPreface.length);
  const wire = new Wire(random, (bytes) => checker.push(bytes));
  let ends = 0;
  const streams: Http2Stream[] = [];
  const owner = {
    onRequest: (stream: Http2Stream) => {
      streams.push(stream);
      return random.integer(0, 20) === 0 ? undefined : new AnyHandler(random, true);
    },
    onWelcome: () => {},
    onRoom: () => {},
    onGoAway: () => {},
    onSessionClosed: () => {
      ends++;
    },
  };
  const options = { streamsMax: 20, windowBytes: 20_000, unwrittenMaxBytes: 1 << 20 };
  const session: Http2ServerSession | Http2ClientSession = server
    ? new Http2ServerSession(wire, clock, owner, options)
    : new Http2ClientSession(wire, clock, owner, options);
  const rate = random.pick([0, 0.005, 0.02, 0.1]);
  const frames = new Frames(random, server, rate);
  const count = await feed(session, wire, random, frames, streams, rate);
  const survived = !session.closed;
  if (wire.owesDrain) {
    wire.owesDrain = false;
    session.onDrain();
  }
  if (!survived && checker.goAways === 0) throw new Error("closed without a GOAWAY");
  session.onClose(undefined);
  await new Promise((resolve) => process.nextTick(resolve));
  if (ends !== 1) throw new Error(`the end was told ${ends} times`);
  if (streams.some((one) => !one.closed)) throw new Error("a stream outlives its connection");
  if (session.inFlight !== 0) throw new Error(`${session.inFlight} places are taken on a closed connection`);
  if (clock.timers !== 0) throw new Error("a timer is left");
  return { frames: count, survived };
}

async function feed(
  session: Http2Session,
  wire: Wire,
  random: SeededRandom,
  frames: Frames,
  streams: Http2Stream[],
  rate: number,
): Promise<number> {
  const server = session instanceof Http2ServerSession;
  let waiting = server ? Buffer.concat([clientPreface, settings()]) : settings();
  let count = 0;
  for (; count < 100 && !session.closed; count++) {
    if (session instanceof Http2ClientSession && random.integer(0, 2) === 0) {
      const handler = new AnyHandler(random, false);
      const stream = session.open(
        handler,
        undefined,
        [{ name: ":path", value: "/" }],
        random.integer(0, 1) === 0,
      );
      if (stream !== undefined) {
        frames.opened(stream.id);
        streams.push(stream);
      }
    }
    const whole = frames.frame();
    waiting = Buffer.concat([waiting, random.chance(rate) ? frames.mutate(whole) : whole]);
    const size = random.integer(0, waiting.length);
    const chunk = Buffer.from(waiting.subarray(0, size));
    waiting = waiting.subarray(size);
    session.onData(chunk);
    chunk.fill(0xdd);
    if (random.integer(0, 3) === 0) await new Promise((resolve) => process.nextTick(resolve));
    if (wire.owesDrain && random.integer(0, 1) === 0) {
      wire.owesDrain = false;
      session.onDrain();
    }
    if (random.integer(0, 99) === 0) {
      if (session instanceof Http2ServerSession) session.drain("any time");
      else if (session instanceof Http2ClientSession) session.drain();
    }
  }
  return count;
}
