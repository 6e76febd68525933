import type { Peer } from "../../call/peer.js";
import { messages } from "../../error/messages.js";
import type { Connection } from "../../transport/transport.js";
import type { Dispatcher, ServerSession } from "../dispatcher.js";
import { peerOf } from "../peer-of.js";

/** The caller has this long to read the answer and close, ms. */
const lingerMs = 1000;

/** Answers an HTTP/1.1 caller, in HTTP/1.1, with the protocols of this port. */
export class Http1Refusal implements ServerSession {
  readonly peer: Peer;
  readonly inFlight = 0;
  readonly #connection: Connection;
  readonly #dispatcher: Dispatcher;
  readonly #text: string;
  readonly #status: string;
  #answered = false;
  #closed = false;

  constructor(connection: Connection, dispatcher: Dispatcher, names: readonly string[]) {
    this.peer = peerOf(connection, "http/1.1");
    this.#connection = connection;
    this.#dispatcher = dispatcher;
    const { turnedAway } = connection;
    this.#status = turnedAway === undefined ? "505 HTTP Version Not Supported" : "400 Bad Request";
    this.#text = `${turnedAway ?? messages.http1NotServed(names.join(", "))}\n`;
    connection.setHandler(this);
  }

  get unsentBytes(): number {
    return this.#connection.unwrittenBytes;
  }

  onData(): void {
    if (this.#answered) return;
    this.#answered = true;
    const body = Buffer.from(this.#text, "utf8");
    const head = [
      `HTTP/1.1 ${this.#status}`,
      "content-type: text/plain; charset=utf-8",
      `content-length: ${body.length}`,
      "connection: close",
    ];
    this.#connection.write(Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`, "latin1"), body]));
    this.#connection.end();
    // An immediate reset could discard the answer before it is read.
    this.#dispatcher.clock.setTimer(() => this.close(messages.http1Refused), lingerMs);
  }

  /** A caller that ends its half behind the request still reads the answer. */
  onEnd(): void {
    if (!this.#answered) this.close(messages.http1Refused);
  }

  onDrain(): void {}

  onClose(): void {
    this.#end(messages.http1Refused);
  }

  drain(): void {}

  stop(why: string): void {
    this.close(why);
  }

  close(reason: string): void {
    this.#connection.destroy();
    this.#end(reason);
  }

  #end(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#dispatcher.onConnectionClosed(this, reason);
  }
}
