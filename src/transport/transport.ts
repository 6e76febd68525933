import type { Address } from "../base/address.js";
import type { TlsOptions } from "./tls/options.js";

/** What a connection tells its owner. Exactly one owner at a time; `onClose` comes once and is the last call. */
export interface ConnectionHandler {
  /** Bytes that arrived, in memory that is used again for the next ones: what is to be kept must be copied before it returns. */
  onData(chunk: Buffer): void;
  /**
   * Where the next bytes should go: memory of the owner's, so that a large message is gathered without a copy, or
   * `usual`, the connection's own, or a part of it. Asked at the end of the read before, so that what the owner does until
   * the bytes come must leave that memory alone. A wish: a connection may hand over its own memory all the same.
   */
  readTo?(usual: Buffer): Buffer;
  /** The other side has finished sending; ours may still be open. */
  onEnd(): void;
  /** Everything written has left the process; comes after a `write` that returned false. */
  onDrain(): void;
  /** The connection is over, with the reason if it failed. */
  onClose(error: Error | undefined): void;
}

/** What the transport itself knows of the other end, beyond its address. */
export interface ConnectionSecurity {
  /** How the bytes travel. */
  readonly kind: "tls" | "unix" | "inproc" | (string & {});
  /** Nobody between the two ends can read them: tokens may be sent. */
  readonly confidential: boolean;
  /** Who the other end has proved to be: `spiffe://...`, `dns:name`, `secret:name`, `unix:path`, `inproc:node`. */
  readonly identity: string | undefined;
  /** The protocol both ends agreed on before the first byte (ALPN). */
  readonly alpn?: string | undefined;
  /** `TLS_AES_128_GCM_SHA256` and the like. */
  readonly cipher?: string | undefined;
}

export interface Connection {
  readonly remote: string;
  readonly local: string;
  /** Undefined: bytes in clear, and nobody has proved anything. It may change while the connection lives (another certificate list). */
  readonly security?: ConnectionSecurity | undefined;
  /** The other end is let in only to be told this, in the protocol that it speaks, and to leave. */
  readonly turnedAway?: string | undefined;
  /** Set by its owner: the other end is not trusted any more, and the connection will be cut after a while. */
  onDistrusted?: ((reason: string) => void) | undefined;
  /** Bytes accepted by `write` and not yet handed to the system. */
  readonly unwrittenBytes: number;
  readonly closed: boolean;
  /** Must be called once, before the first bytes can arrive (in the turn the connection was received), and may be called again to change owner. */
  setHandler(handler: ConnectionHandler): void;
  /** Sends bytes. True: all of them have left and the buffer may be used again. False: it is still in use; `onDrain` follows. */
  write(data: Uint8Array): boolean;
  /** The same for bytes that lie in several places, in one go where the system can. Without it each is written for itself. */
  writeParts?(parts: readonly Uint8Array[]): boolean;
  /** Stops and restarts `onData`. */
  pause(): void;
  resume(): void;
  /** Sends what is left and then FIN. The other direction stays open. */
  end(): void;
  /** Closes both directions at once, without sending what is left. */
  destroy(error?: Error): void;
  /** Closes with RST, so that the peer sees a failure and never a clean end. */
  reset(): void;
}

export interface Listener {
  /** The bound address, with the real port. */
  readonly address: Address;
  /**
   * Set when other processes accept on this address too, and the system shares connections out: a text that is the same
   * for each of them, of letters and digits.
   */
  readonly sharedBy?: string;
  /** Connections may be secured, or have to be. */
  readonly tls?: "optional" | "required";
  /** Stops accepting; connections live on. Resolves when the port is free. */
  close(): Promise<void>;
}

export interface ConnectOptions {
  /** Fails with an error that names the limit when the connection takes longer, ms. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  /** The names (ALPN) of the protocol that will be spoken, the preferred one first, for transports that agree on it. */
  alpn?: readonly string[] | undefined;
  /** Whom the caller's own configuration takes for the other end, where the transport can prove it: see `TlsOptions.peerName`. */
  peerName?: string | undefined;
  /** A name that a registry gives the other end: it must have this one as well. */
  tlsName?: string | undefined;
}

export interface ListenOptions {
  /** The names (ALPN) of the protocols that are answered. */
  alpn?: readonly string[] | undefined;
}

/** A way to reach a peer: TCP or in memory. Sockets are opened nowhere else in the library. */
export interface Transport {
  /** Rejects with an `Error` whose message names the address. */
  connect(address: Address, options: ConnectOptions): Promise<Connection>;
  /** Rejects with an `Error` that names the address (`EADDRINUSE` ...). `onConnection` must call `setHandler` at once. */
  listen(
    address: Address,
    onConnection: (connection: Connection) => void,
    options?: ListenOptions,
  ): Promise<Listener>;
  /** The local address that traffic to `address` leaves from. Sends nothing. Rejects when there is no route. */
  localHostTowards(address: Address): Promise<string>;
  /** Present where `connect` secures each connection and fails otherwise: which name providers of a service must prove. */
  readonly expects?: { nameFor(service: string): string | undefined } | undefined;
  /** The same, secured in another way; what `options` does not say stays as it is. Throws `Error` for files that cannot be used. */
  secured?(options: TlsOptions): Transport;
  /** Watches its files no more. Connections live on. */
  close?(): void;
}
