import { ByteQueue } from "../../base/byte-queue.js";
import type { Clock, Timer } from "../../base/clock.js";
import { PeerTimer } from "../../base/peer-timer.js";
import { textOf } from "../../base/thrown.js";
import { messages } from "../../error/messages.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status, type StatusCode } from "../../error/status.js";
import { Reader } from "../../protobuf/reader.js";
import type { MessageType } from "../../protobuf/types.js";
import type { Connection, ConnectionHandler } from "../../transport/transport.js";
import type { ClassicDialect } from "./classic-wire.js";

/** What callers of the `varint` dialect read at once. A reply up to this size is taken as complete when it decodes. */
const shortReplyBytes = 1024;
/** A longer reply without a length is complete when nothing arrives for this long, ms. */
const quietMs = 20;

export interface ExchangeOptions {
  readonly dialect: ClassicDialect;
  readonly output: MessageType;
  readonly bodyMaxBytes: number;
  readonly clock: Clock;
}

/** How an exchange ends; exactly one of the two is called, once, unless it is cancelled. */
export interface ExchangeSink {
  /** `bytes`: how many there were of it. */
  onReply(message: unknown, bytes: number): void;
  onFailure(error: RpcError): void;
}

/** One request to a classic provider, on a connection of its own: sent in one write, and the reply read up to its end. */
export class ClassicExchange implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #options: ExchangeOptions;
  readonly #sink: ExchangeSink;
  readonly #received = new ByteQueue();
  #quiet: Timer | undefined;
  #over = false;

  constructor(connection: Connection, request: Buffer, options: ExchangeOptions, sink: ExchangeSink) {
    this.#connection = connection;
    this.#options = options;
    this.#sink = sink;
    connection.setHandler(this);
    connection.write(request);
  }

  onData(chunk: Buffer): void {
    const { bodyMaxBytes, dialect } = this.#options;
    const framed = dialect === "framed";
    this.#received.append(chunk);
    const { bytes } = this.#received;
    // With a length prefix nothing is buffered in vain.
    const sizeBytes = framed && bytes.length >= 4 ? bytes.readUInt32BE(0) : 0;
    if (sizeBytes > bodyMaxBytes || bytes.length > bodyMaxBytes + 4) {
      const text = messages.classicReplyTooLarge(bodyMaxBytes);
      this.#fail(Status.RESOURCE_EXHAUSTED, text);
    } else if (framed) {
      if (bytes.length >= 4 + sizeBytes) this.#decode(bytes.subarray(4, 4 + sizeBytes));
    } else if (dialect === "varint") this.#readBare(bytes);
  }

  /**
   * A `varint` reply does not say where it ends, and a part of it may also decode. So a long reply must be followed by
   * silence; a short one, which callers of the dialect take with one read, must at least decode.
   */
  #readBare(bytes: Buffer): void {
    this.#quiet?.cancel();
    if (bytes.length <= shortReplyBytes && this.#tryDecode(bytes) instanceof RpcError === false) {
      this.#decode(bytes);
      return;
    }
    const { clock } = this.#options;
    this.#quiet = new PeerTimer(clock, () => this.#decode(bytes), quietMs, true);
  }

  onEnd(): void {
    const { dialect } = this.#options;
    const { bytes } = this.#received;
    if (dialect === "framed") {
      this.#fail(Status.UNAVAILABLE, messages.classicReplyCut);
    } else if (dialect === "varint" && bytes.length === 0) {
      // A killed provider also ends like this.
      this.#fail(Status.UNAVAILABLE, messages.classicReplyMissing);
    } else this.#decode(bytes);
  }

  onDrain(): void {}

  onClose(error: Error | undefined): void {
    const text = messages.classicClosed(error?.message ?? messages.withoutReply);
    this.#fail(Status.UNAVAILABLE, text);
  }

  cancel(): void {
    this.#finish();
  }

  #tryDecode(body: Buffer): RpcError | { readonly message: unknown } {
    const { output } = this.#options;
    try {
      return { message: output.decode(new Reader(body), body.length) };
    } catch (error) {
      const text = messages.classicReplyUndecodable(output.typeName, textOf(error));
      return new RpcError(Status.INTERNAL, text, { executed: "yes", cause: error });
    }
  }

  #decode(body: Buffer): void {
    if (!this.#finish()) return;
    const result = this.#tryDecode(body);
    if (result instanceof RpcError) this.#sink.onFailure(result);
    else this.#sink.onReply(result.message, body.length);
  }

  #fail(code: StatusCode, text: string): void {
    if (this.#finish()) this.#sink.onFailure(new RpcError(code, text, { executed: "maybe" }));
  }

  #finish(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#quiet?.cancel();
    this.#connection.destroy();
    return true;
  }
}
