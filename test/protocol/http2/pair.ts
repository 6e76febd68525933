import { systemClock } from "../../../src/base/clock.js";
import {
  type Http2ClientOwner,
  Http2ClientSession,
  type ResponseHandler,
} from "../../../src/protocol/http2/client-session.js";
import type { Http2Options } from "../../../src/protocol/http2/options.js";
import { type Http2ServerOwner, Http2ServerSession } from "../../../src/protocol/http2/server-session.js";
import type { Http2Stream, StreamFailure, StreamHandler } from "../../../src/protocol/http2/stream.js";
import type { HeaderList } from "../../../src/protocol/http2/wire/header-field.js";
import { MemoryNetwork } from "../../../src/transport/memory.js";
import type { Connection } from "../../../src/transport/transport.js";
import { deferred } from "../../support/async.js";

export type Fields = Record<string, string>;

export function fieldsOf(list: HeaderList): Fields {
  return Object.fromEntries(list.slice().map(({ name, value }) => [name, value]));
}

export function outgoing(fields: Fields): Array<{ name: string; value: string }> {
  return Object.entries(fields).map(([name, value]) => ({ name, value }));
}

/** One side of a stream, as it was told of it. */
export class Side implements ResponseHandler {
  stream: Http2Stream | undefined;
  headers: Fields | undefined;
  trailers: Fields | undefined;
  ended = false;
  failure: StreamFailure | undefined;
  writables = 0;
  /** What is done at once with what comes. Default: it is given back to the peer. */
  onBytes: ((stream: Http2Stream, count: number) => void) | undefined = (stream, count) =>
    stream.consumed(count);
  onEnded: (() => void) | undefined;
  #pieces: Buffer[] = [];
  readonly #over = deferred<void>();

  get body(): Buffer {
    if (this.#pieces.length !== 1) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0] as Buffer;
  }

  /** Resolves when the peer has ended its half, or it failed. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  onResponse(_stream: Http2Stream, headers: HeaderList, endStream: boolean): void {
    this.headers = fieldsOf(headers);
    if (endStream) this.#end();
  }

  onData(stream: Http2Stream, bytes: Buffer, start: number, end: number, endStream: boolean): void {
    this.#pieces.push(Buffer.from(bytes.subarray(start, end)));
    this.onBytes?.(stream, end - start);
    if (endStream) this.#end();
  }

  onTrailers(_stream: Http2Stream, headers: HeaderList): void {
    this.trailers = fieldsOf(headers);
    this.#end();
  }

  onWritable(): void {
    this.writables++;
  }

  onReset(_stream: Http2Stream, failure: StreamFailure): void {
    this.failure = failure;
    this.#over.resolve();
  }

  #end(): void {
    this.ended = true;
    this.onEnded?.();
    this.#over.resolve();
  }
}

/** A server that notes its requests, and does with each what the test says. */
export class Server implements Http2ServerOwner {
  session!: Http2ServerSession;
  readonly requests: Side[] = [];
  closed: { reason: string | undefined } | undefined;
  onRequestStart: ((side: Side, stream: Http2Stream) => void) | undefined;
  /** Resets release their place at once. */
  releases = true;

  onRequest(stream: Http2Stream, headers: HeaderList, endStream: boolean): StreamHandler {
    const side = new Side();
    side.stream = stream;
    side.headers = fieldsOf(headers);
    side.ended = endStream;
    if (this.releases) {
      const onReset = side.onReset.bind(side);
      side.onReset = (one, failure) => {
        onReset(one, failure);
        one.release();
      };
    }
    this.requests.push(side);
    this.onRequestStart?.(side, stream);
    return side;
  }

  onSessionClosed(reason: string | undefined): void {
    this.closed = { reason };
  }
}

export class Client implements Http2ClientOwner {
  session!: Http2ClientSession;
  welcomes = 0;
  rooms = 0;
  goAway: { code: number; debug: string } | undefined;
  closed: { reason: string | undefined } | undefined;

  onWelcome(): void {
    this.welcomes++;
  }

  onRoom(): void {
    this.rooms++;
  }

  onGoAway(code: number, debug: string): void {
    this.goAway = { code, debug };
  }

  onSessionClosed(reason: string | undefined): void {
    this.closed = { reason };
  }

  /** Opens a stream; `body`: sent with it. */
  request(fields: Fields, body?: string | Buffer): Side {
    const side = new Side();
    const all = outgoing({ ":method": "POST", ":scheme": "http", ":path": "/", ...fields });
    side.stream = this.session.open(side, undefined, all, body === undefined);
    if (body !== undefined) side.stream?.write(Buffer.from(body), true);
    return side;
  }
}

/** Answers with what came, and the trailer `done: yes`. */
export function echo(side: Side, stream: Http2Stream): void {
  const answer = (): void => {
    stream.headers(undefined, outgoing({ ":status": "200" }));
    stream.write(side.body, false);
    stream.end(undefined, outgoing({ done: "yes" }));
  };
  if (side.ended) answer();
  else side.onEnded = answer;
}

/** Both ends of a connection in memory. */
export async function connectionPair(): Promise<[caller: Connection, provider: Connection]> {
  const network = new MemoryNetwork();
  let provider: Connection | undefined;
  const listener = await network.listen({ host: "127.0.0.1", port: 0 }, (connection) => {
    provider = connection;
  });
  const caller = await network.connect(listener.address, { timeoutMs: 1000 });
  await listener.close();
  return [caller, provider as Connection];
}

export async function startPair(
  serverOptions: Partial<Http2Options> = {},
  clientOptions: Partial<Http2Options> = {},
): Promise<{ server: Server; client: Client; ends: [caller: Connection, provider: Connection] }> {
  const ends = await connectionPair();
  const server = new Server();
  const client = new Client();
  server.session = new Http2ServerSession(ends[1], systemClock, server, serverOptions);
  client.session = new Http2ClientSession(ends[0], systemClock, client, clientOptions);
  server.onRequestStart = echo;
  return { server, client, ends };
}
