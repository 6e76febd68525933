import { type Address, formatAddress } from "../base/endpoint.js";
import { textOf } from "../base/thrown.js";
import { RpcError } from "../error/rpc-error.js";
import { Status, type StatusCode } from "../error/status.js";
import type { Connection, ConnectionHandler, Transport } from "../transport/transport.js";
import { type ClassicDialect, writeClassicRequest } from "../wire/classic.js";
import { Reader } from "../wire/codec/reader.js";
import { shortName } from "../wire/codec/types.js";
import { Received } from "../wire/received.js";
import type { CallCarrier, PendingCall } from "./pending-call.js";

export interface ClassicClientOptions {
  dialect: ClassicDialect;
  connectTimeoutMs: number;
  bodyMaxBytes: number;
}

/** Wants to know whether the provider can be reached. */
export interface ConnectObserver {
  onConnected(): void;
  /** The call fails `executed: never` right after. */
  onConnectFailed(reason: string): void;
}

/** A classic provider aborts on requests above this; they are refused here instead. */
export const classicRequestMaxBytes = 65_000;

/** One call to a classic provider: a connection of its own, the request in one write, the reply up to the end. */
class ClassicExchange implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #call: PendingCall;
  readonly #options: ClassicClientOptions;
  readonly #onOver: () => void;
  readonly #received = new Received();
  #over = false;

  constructor(connection: Connection, call: PendingCall, options: ClassicClientOptions, onOver: () => void) {
    this.#connection = connection;
    this.#call = call;
    this.#options = options;
    this.#onOver = onOver;
    connection.setHandler(this);
  }

  onData(chunk: Buffer): void {
    const { bodyMaxBytes, dialect } = this.#options;
    const framed = dialect === "framed";
    this.#received.append(chunk);
    const { bytes } = this.#received;
    // Where the length stands in front nothing is gathered in vain.
    const sizeBytes = framed && bytes.length >= 4 ? bytes.readUInt32BE(0) : 0;
    if (sizeBytes > bodyMaxBytes || bytes.length > bodyMaxBytes + 4) {
      this.#fail(
        Status.RESOURCE_EXHAUSTED,
        `the reply is over the limit of ${bodyMaxBytes} bytes (limits.body)`,
      );
    } else if (framed) {
      if (bytes.length >= 4 + sizeBytes) this.#succeed(bytes.subarray(4, 4 + sizeBytes));
    } else if (dialect === "varint") {
      // Neither a length nor an end tells where this reply stops: callers of the dialect take one read for the whole.
      this.#succeed(bytes);
    }
  }

  onEnd(): void {
    if (this.#options.dialect !== "framed") this.#succeed(this.#received.bytes);
    else this.#fail(Status.UNAVAILABLE, "the classic provider closed before its reply was whole");
  }

  onDrain(): void {}

  onClose(error: Error | undefined): void {
    this.#fail(
      Status.UNAVAILABLE,
      `the classic provider closed the connection: ${error?.message ?? "no reply"}`,
    );
  }

  cancel(): void {
    this.#finish();
  }

  #succeed(body: Buffer): void {
    if (!this.#finish()) return;
    const { output } = this.#call.method;
    let message: unknown;
    try {
      message = output.decode(new Reader(body), body.length);
    } catch (error) {
      const text = `the classic reply cannot be decoded as ${output.typeName}: ${textOf(error)}`;
      this.#call.onFailure(new RpcError(Status.INTERNAL, text, { executed: "yes", cause: error }));
      return;
    }
    this.#call.onReply(message, undefined);
  }

  #fail(code: StatusCode, text: string): void {
    if (this.#finish()) this.#call.onFailure(new RpcError(code, text, { executed: "maybe" }));
  }

  #finish(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#call.carrier = undefined;
    this.#connection.destroy();
    this.#onOver();
    return true;
  }
}

/** Calls to one provider of the classic framework, one connection each, as it demands. */
export class ClassicClient implements CallCarrier {
  readonly endpoint: string;
  readonly #address: Address;
  readonly #transport: Transport;
  readonly #options: ClassicClientOptions;
  readonly #inFlight = new Map<PendingCall, () => void>();

  constructor(address: Address, transport: Transport, options: ClassicClientOptions) {
    this.endpoint = formatAddress(address);
    this.#address = address;
    this.#transport = transport;
    this.#options = options;
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  start(call: PendingCall, observer: ConnectObserver): void {
    let bytes: Buffer;
    try {
      bytes = writeClassicRequest(
        this.#options.dialect,
        shortName(call.method.service),
        call.method.name,
        (writer) => call.method.input.encode(call.request, writer),
      );
    } catch (error) {
      const text = `the request cannot be encoded: ${textOf(error)}`;
      call.onFailure(new RpcError(Status.INTERNAL, text, { executed: "never", cause: error }));
      return;
    }
    if (bytes.length > classicRequestMaxBytes) {
      const text = `a request of ${bytes.length} bytes is over the limit of a classic provider, ${classicRequestMaxBytes}`;
      call.onFailure(new RpcError(Status.RESOURCE_EXHAUSTED, text, { executed: "never" }));
      return;
    }
    const abort = new AbortController();
    call.carrier = this;
    this.#inFlight.set(call, () => abort.abort());
    const options = { timeoutMs: this.#options.connectTimeoutMs, signal: abort.signal };
    this.#transport.connect(this.#address, options).then(
      (connection) => {
        observer.onConnected();
        if (!this.#inFlight.has(call)) {
          connection.destroy();
          return;
        }
        const exchange = new ClassicExchange(connection, call, this.#options, () =>
          this.#inFlight.delete(call),
        );
        this.#inFlight.set(call, () => exchange.cancel());
        connection.write(bytes);
      },
      (error: unknown) => {
        if (!this.#inFlight.delete(call)) return;
        call.carrier = undefined;
        const reason = textOf(error);
        observer.onConnectFailed(reason);
        call.onFailure(new RpcError(Status.UNAVAILABLE, reason, { executed: "never", cause: error }));
      },
    );
  }

  /** The classic wire cannot say it to the provider; closing the connection is all there is. */
  abandon(call: PendingCall): boolean {
    const cancel = this.#inFlight.get(call);
    this.#inFlight.delete(call);
    call.carrier = undefined;
    cancel?.();
    return false;
  }
}
