import type { Address } from "../base/address.js";
import type { TlsOptions } from "./tls/options.js";

/** Events of a connection for its owner. Exactly one owner at a time; `onClose` is called once, as the last event. */
export interface ConnectionHandler {
  /** Bytes that arrived. Their memory is reused for the next ones, so copy what you keep before it returns. */
  onData(chunk: Buffer): void;
  /**
   * Where the next bytes should be read to: memory of the owner, so that a large message is gathered without a copy, or
   * `usual`, the connection's own memory, or a part of it. Called at the end of the previous read, so the owner must not
   * use that memory until the bytes arrive. Only a hint: a connection may still pass its own memory.
   */
  readTo?(usual: Buffer): Buffer;
  /** The other side has finished sending; ours may still be open. */
  onEnd(): void;
  /** Everything written has been sent; called after a `write` that returned false. */
  onDrain(): void;
  /** The connection is closed, with the reason if it failed. */
  onClose(error: Error | undefined): void;
}

/** What the transport knows about the other end, beyond its address. */
export interface ConnectionSecurity {
  /** How the bytes are carried. */
  readonly kind: "tls" | "unix" | "inproc" | (string & {});
  /** Nobody between the two ends can read them: tokens may be sent. */
  readonly confidential: boolean;
  /** The proved identity of the other end: `spiffe://...`, `dns:name`, `secret:name`, `unix:path`, `inproc:node`. */
  readonly identity: string | undefined;
  /** The protocol both ends agreed on before the first byte (ALPN). */
  readonly alpn?: string | undefined;
  /** `TLS_AES_128_GCM_SHA256` and the like. */
  readonly cipher?: string | undefined;
}

export interface Connection {
  readonly remote: string;
  readonly local: string;
  /** Undefined: bytes in clear, and no identity is proved. It may change while the connection is open (another certificate list). */
  readonly security?: ConnectionSecurity | undefined;
  /** The connection is only accepted to refuse it with this reason, in the protocol that the other end speaks. */
  readonly turnedAway?: string | undefined;
  /** Set by its owner; called when the other end is no longer trusted and the connection will soon be closed. */
  onDistrusted?: ((reason: string) => void) | undefined;
  /** A write costs far more than one of a plain socket, so few large ones are better than many small. Default false. */
  readonly costlyWrites?: boolean;
  /** Bytes accepted by `write` and not yet handed to the system. */
  readonly unwrittenBytes: number;
  readonly closed: boolean;
  /** Sets the owner. Must be called in the turn in which the connection was received, before bytes can arrive; may be called again. */
  setHandler(handler: ConnectionHandler): void;
  /** Sends bytes. True: all were sent, and the buffer may be reused. False: it is still in use; `onDrain` follows. */
  write(data: Uint8Array): boolean;
  /** The same for several buffers, in one system call where possible. If missing, each buffer is written separately. */
  writeParts?(parts: readonly Uint8Array[]): boolean;
  /** Stops and restarts `onData`. */
  pause(): void;
  resume(): void;
  /** Sends the remaining bytes and then FIN. The other direction stays open. */
  end(): void;
  /** Closes both directions at once, without sending the remaining bytes. */
  destroy(error?: Error): void;
  /** Closes with RST, so that the peer sees a failure and never a clean end. */
  reset(): void;
}

export interface Listener {
  /** The bound address, with the real port. */
  readonly address: Address;
  /**
   * Set when other processes accept on this address too, and the system distributes the connections: a text of letters and
   * digits, the same for each of them.
   */
  readonly sharedBy?: string;
  /** Whether connections may, or must, use TLS. */
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
  /** The name of the other end that the caller's configuration expects, if the transport can prove it: see `TlsOptions.peerName`. */
  peerName?: string | undefined;
  /** A further name, from the registry, that the other end must also prove. */
  tlsName?: string | undefined;
  /** The address comes from a place to which others may write: a socket of this machine must belong to this user or to root. */
  ownSocket?: boolean | undefined;
}

export interface ListenOptions {
  /** The names (ALPN) of the protocols that are answered. */
  alpn?: readonly string[] | undefined;
}

/** A way to reach a peer, such as TCP, unix sockets or memory. Sockets are opened nowhere else in the library. */
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
  /** The kinds of identities that callers of its listeners can prove, as in rules of a policy. Undefined: not known. */
  readonly callerKinds?: readonly string[] | undefined;
  /** Who this process proves to be to others, now: `secret:name`, `spiffe://...`, `dns:name`. Undefined: nobody. */
  readonly identity?: string | undefined;
  /** The same, secured in another way; what `options` does not say stays as it is. Throws `Error` for files that cannot be used. */
  secured?(options: TlsOptions): Transport;
  /** Watches its files no more. Connections live on. */
  close?(): void;
}
