/** A protocol by its name: `mprpc`, `classic`, and what is added. */
export type ProtocolName = "mprpc" | "classic" | (string & {});

/** Who the caller has proved to be. Names say how: `spiffe://...`, `dns:name`, `secret:name`, `unix:path`, `token:name`. */
export interface PeerIdentities {
  /** By its connection. */
  readonly transport?: string | undefined;
  /** By what it sent with the call. */
  readonly token?: string | undefined;
}

/** Who makes a call, as its provider knows it. */
export interface Peer {
  /** `host:port` of its end of the connection. */
  readonly address: string;
  /** What it speaks. A `classic` caller gets no metadata and no error text, and sends no deadline. */
  readonly protocol: ProtocolName;
  /** Empty while nothing checks who calls. */
  readonly identities: PeerIdentities;
}
