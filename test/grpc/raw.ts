import { onTestFinished } from "vitest";
import type { Clock } from "../../src/base/clock.js";
import { systemClock } from "../../src/base/clock.js";
import { Http2ClientSession } from "../../src/protocol/http2/client-session.js";
import type { Http2Options } from "../../src/protocol/http2/options.js";
import { type Http2ServerOwner, Http2ServerSession } from "../../src/protocol/http2/server-session.js";
import type { Connection, Transport } from "../../src/transport/transport.js";
import { type Fields, outgoing, Side } from "../protocol/http2/pair.js";

/** A client of HTTP/2 and no more: what it sends is up to the test. */
export class RawClient {
  readonly session: Http2ClientSession;
  goAway: string | undefined;
  closed: string | undefined;

  private constructor(connection: Connection, clock: Clock, options: Partial<Http2Options>) {
    this.session = new Http2ClientSession(
      connection,
      clock,
      {
        onWelcome: () => {},
        onRoom: () => {},
        onGoAway: (_code, debug) => {
          this.goAway ??= debug;
        },
        onSessionClosed: (reason) => {
          this.closed = reason ?? "";
        },
      },
      options,
    );
  }

  static async connect(
    transport: Transport,
    address: { host: string; port: number },
    clock: Clock = systemClock,
    options: Partial<Http2Options> = {},
  ): Promise<RawClient> {
    const connection = await transport.connect(address, { timeoutMs: 5000 });
    const client = new RawClient(connection, clock, options);
    onTestFinished(() => client.session.close("the test has ended"));
    return client;
  }

  /** Sends a request; `body` undefined: the test sends the rest. */
  request(fields: Fields, body?: Buffer): Side {
    const side = new Side();
    const head = { ":method": "POST", ":scheme": "http", ":path": "/", ":authority": "test", ...fields };
    side.stream = this.session.open(side, undefined, outgoing(head), body?.length === 0);
    if (body !== undefined && body.length > 0) side.stream?.write(body, true);
    return side;
  }
}

/** A message with its prefix. */
export function framed(message: Buffer = Buffer.alloc(0)): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** A server of HTTP/2 and no more. */
export async function rawServer(
  transport: Transport,
  address: { host: string; port: number },
  clock: Clock,
  onRequest: (session: Http2ServerSession) => Http2ServerOwner["onRequest"],
  options: Partial<Http2Options> = {},
): Promise<Http2ServerSession[]> {
  const sessions: Http2ServerSession[] = [];
  const listener = await transport.listen(address, (connection) => {
    const session: Http2ServerSession = new Http2ServerSession(
      connection,
      clock,
      {
        onRequest: (stream, headers, endStream) => onRequest(session)(stream, headers, endStream),
        onSessionClosed: () => {},
      },
      options,
    );
    sessions.push(session);
  });
  onTestFinished(() => listener.close());
  return sessions;
}
