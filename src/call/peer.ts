/** The name of a protocol: `mprpc`, `classic`, `grpc`, `inproc`. */
export type ProtocolName = "mprpc" | "classic" | (string & {});

/** The proved identities of the caller. Each begins with how it was proved: `spiffe://...`, `dns:name`, `secret:name`, `unix:path`, `token:name`. */
export interface PeerIdentities {
  /** Proved by its connection. */
  readonly transport?: string | undefined;
  /** Proved by the token of the call. */
  readonly token?: string | undefined;
}

/** Who makes a call, as its provider knows it. */
export interface Peer {
  /** `host:port` of its end of the connection. */
  readonly address: string;
  /** What it speaks. A `classic` caller gets no metadata and no error text, and sends no deadline. */
  readonly protocol: ProtocolName;
  /** Empty if nothing identifies callers. */
  readonly identities: PeerIdentities;
}
