/** What a side accepts of one frame; checked before anything is allocated for it. */
export interface FrameLimits {
  /**
   * Largest RpcHeader, bytes. Metadata and error texts live in it. Default 64 KiB, as gRPC's header lists, and every side
   * must take that much. Key: `limits.header`.
   */
  headerMaxBytes: number;
  /** Largest message, bytes, both ways. Default 4 MiB, as gRPC's. Key: `limits.body`. */
  bodyMaxBytes: number;
}

/** What a side accepts on one connection. */
export interface WireLimits extends FrameLimits {
  /**
   * Messages in chunks that may be arriving on one connection at a time. The sender lets others wait. Default 64. Key:
   * `limits.arriving`.
   */
  arrivingMax: number;
  /**
   * Bytes these messages may have together, since each is put together in memory; at least one message of `bodyMaxBytes`
   * fits. Default 32 MiB. Key: `limits.arrivingbytes`.
   */
  arrivingMaxBytes: number;
  /**
   * Messages of streams that may lie on one connection and wait for their readers, bytes; what is promised to senders counts.
   * Default 64 MiB. Key: `limits.streambuffer`.
   */
  streamBufferBytes: number;
}

export const defaultWireLimits: Readonly<WireLimits> = {
  headerMaxBytes: 64 * 1024,
  bodyMaxBytes: 4 * 1024 * 1024,
  arrivingMax: 64,
  arrivingMaxBytes: 32 * 1024 * 1024,
  streamBufferBytes: 64 * 1024 * 1024,
};

/** What TLS calls the protocol (ALPN). */
export const mprpcAlpn = "mprpc/2";
