import type { Clock } from "../../../src/base/clock.js";
import { systemClock } from "../../../src/base/clock.js";
import { Writer } from "../../../src/protobuf/writer.js";
import { Http2ClientSession } from "../../../src/protocol/http2/client-session.js";
import type { Http2Options } from "../../../src/protocol/http2/options.js";
import { Http2ServerSession } from "../../../src/protocol/http2/server-session.js";
import { clientPreface } from "../../../src/protocol/http2/wire/frame.js";
import { HeaderList } from "../../../src/protocol/http2/wire/header-field.js";
import { HpackDecoder } from "../../../src/protocol/http2/wire/hpack-decoder.js";
import { HpackEncoder } from "../../../src/protocol/http2/wire/hpack-encoder.js";
import { settle } from "../../../src/testing/index.js";
import type { Connection, ConnectionHandler } from "../../../src/transport/transport.js";
import { frame, settings } from "./frames.js";
import { Client, connectionPair, echo, Server } from "./pair.js";

export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

export type Pairs = ReadonlyArray<readonly [name: string, value: string]>;

/** The other end of a connection, whose every frame the test writes. */
export class RawEnd implements ConnectionHandler {
  readonly connection: Connection;
  readonly frames: RawFrame[] = [];
  /** The other side has hung up. */
  ended = false;
  readonly #encoder = new HpackEncoder();
  readonly #decoder = new HpackDecoder({ listMaxBytes: 1 << 20, fieldsMax: 10_000 }, 4096);
  #rest: Buffer = Buffer.alloc(0);

  constructor(connection: Connection) {
    this.connection = connection;
    connection.setHandler(this);
  }

  /** A header block; `fields` go in as they are. */
  block(fields: Pairs): Buffer {
    const out = new Writer();
    this.#encoder.encode(
      out,
      undefined,
      fields.map(([name, value]) => ({ name, value })),
    );
    return Buffer.from(out.view());
  }

  async send(...frames: Buffer[]): Promise<void> {
    this.connection.write(Buffer.concat(frames));
    await settle();
  }

  /** Those of one type, by stream if one is given. */
  of(type: number, streamId?: number): RawFrame[] {
    return this.frames.filter(
      (one) => one.type === type && (streamId === undefined || one.streamId === streamId),
    );
  }

  /** The code of the GOAWAY that came last. */
  get goAwayCode(): number | undefined {
    return this.of(7).at(-1)?.payload.readUInt32BE(4);
  }

  resetCode(streamId: number): number | undefined {
    return this.of(3, streamId).at(-1)?.payload.readUInt32BE(0);
  }

  /** Content of all DATA of a stream. */
  data(streamId: number): Buffer {
    return Buffer.concat(this.of(0, streamId).map((one) => one.payload));
  }

  /** The fields of a HEADERS frame. */
  fields(one: RawFrame | undefined): Record<string, string> {
    if (one === undefined) return {};
    const list = new HeaderList();
    this.#decoder.decode(one.payload, 0, one.payload.length, list);
    return Object.fromEntries(list.slice().map(({ name, value }) => [name, value]));
  }

  onData(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 9) {
      const length = this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < 9 + length) return;
      const [, , , type = 0, flags = 0] = this.#rest;
      const streamId = this.#rest.readUInt32BE(5);
      this.frames.push({ type, flags, streamId, payload: Buffer.from(this.#rest.subarray(9, 9 + length)) });
      this.#rest = this.#rest.subarray(9 + length);
    }
  }

  onEnd(): void {
    this.ended = true;
    this.connection.end();
  }

  onDrain(): void {}

  onClose(): void {
    this.ended = true;
  }
}

export const request: Pairs = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "localhost"],
];

/** A server of ours, and a client that is not; `opening`: what it sends first. Default: preface and empty SETTINGS. */
export async function rawClient(
  options: Partial<Http2Options> = {},
  opening: Buffer | undefined = undefined,
  clock: Clock = systemClock,
): Promise<{ server: Server; raw: RawEnd }> {
  const [caller, provider] = await connectionPair();
  const server = new Server();
  server.session = new Http2ServerSession(provider, clock, server, options);
  server.onRequestStart = echo;
  const raw = new RawEnd(caller);
  await raw.send(opening ?? Buffer.concat([clientPreface, settings()]));
  return { server, raw };
}

/** A client of ours, and a server that is not; `opening`: what it sends first. Default: empty SETTINGS. */
export async function rawServer(
  options: Partial<Http2Options> = {},
  opening: Buffer = settings(),
  clock: Clock = systemClock,
): Promise<{ client: Client; raw: RawEnd }> {
  const [caller, provider] = await connectionPair();
  const client = new Client();
  client.session = new Http2ClientSession(caller, clock, client, options);
  const raw = new RawEnd(provider);
  // Behind the preface come frames.
  raw.onData = ((onData) => {
    let left = clientPreface.length;
    return (chunk: Buffer): void => {
      const skip = Math.min(left, chunk.length);
      left -= skip;
      onData(chunk.subarray(skip));
    };
  })(raw.onData.bind(raw));
  await raw.send(opening);
  return { client, raw };
}

export { frame, settings };
