import type net from "node:net";
import type { TLSSocket } from "node:tls";
import { describeEnd } from "../tcp.js";
import type { Connection, ConnectionHandler, ConnectionSecurity } from "../transport.js";
import { explainTlsError } from "./explain.js";

/**
 * A write up to this size is copied, so its buffer is free at once: TLS reports only in a later turn of the event loop that a
 * write was sent, and senders would wait needlessly.
 */
const copiedMaxBytes = 16 * 1024;
/** Beyond this many unsent bytes writes wait and are then sent together. */
const windowBytes = 64 * 1024;

/** A connection whose bytes TLS carries, after its handshake. */
export class TlsConnection implements Connection {
  readonly remote: string;
  readonly local: string;
  /** Each is a record of its own, and Node reports it done only in a later turn of the event loop, until which the next one waits. */
  readonly costlyWrites = true;
  security: ConnectionSecurity;
  turnedAway: string | undefined;
  onDistrusted: ((reason: string) => void) | undefined;
  /** The shared secret, if it was secured with one. */
  secretKey: Buffer | undefined;
  /** The certificate of the other end, in DER, for a resumed session, where TLS does not provide it. */
  certificate: Buffer | undefined;
  /** The end of that certificate's time, by the wall clock; undefined: it has shown none that counts. */
  certifiedUntilMs: number | undefined;
  readonly socket: TLSSocket;
  /** Bytes have come since the handshake. */
  heard = false;
  readonly #raw: net.Socket;
  #handler: ConnectionHandler | undefined;
  #error: Error | undefined;
  #awaitingDrain = false;
  readonly #onWritten = (): void => {
    if (!this.#awaitingDrain || this.socket.writableLength > 0) return;
    this.#awaitingDrain = false;
    this.#handler?.onDrain();
  };

  /** `socket` has not been read from; `raw` is the socket under it. */
  constructor(socket: TLSSocket, raw: net.Socket, security: ConnectionSecurity) {
    this.socket = socket;
    this.#raw = raw;
    this.security = security;
    this.remote = describeEnd(raw.remoteAddress, raw.remotePort);
    this.local = describeEnd(raw.localAddress, raw.localPort);
    raw.setNoDelay(true);
    socket.on("error", (error) => {
      this.#error ??= explainTlsError(error);
    });
    socket.once("close", () => this.#handler?.onClose(this.#error));
  }

  get unwrittenBytes(): number {
    return this.socket.writableLength;
  }

  get closed(): boolean {
    return this.socket.destroyed;
  }

  setHandler(handler: ConnectionHandler): void {
    const first = this.#handler === undefined;
    this.#handler = handler;
    if (!first) return;
    this.socket.on("data", (chunk: Buffer) => {
      this.heard = true;
      this.#handler?.onData(chunk);
    });
    this.socket.on("end", () => this.#handler?.onEnd());
  }

  write(data: Uint8Array): boolean {
    const { socket } = this;
    if (socket.destroyed || socket.writableEnded) return true;
    if (data.length <= copiedMaxBytes && socket.writableLength + data.length <= windowBytes) {
      socket.write(Buffer.from(data));
      return true;
    }
    this.#awaitingDrain = true;
    socket.write(data, this.#onWritten);
    return false;
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  end(): void {
    this.socket.end();
  }

  destroy(error?: Error): void {
    if (error !== undefined) this.#error ??= error;
    this.socket.destroy();
  }

  reset(): void {
    // TLS has no RST of its own.
    if (!this.#raw.destroyed) this.#raw.resetAndDestroy();
    this.socket.destroy();
  }
}
