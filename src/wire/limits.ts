/** What a side accepts of one frame; checked before anything is allocated for it. */
export interface WireLimits {
  /**
   * Largest RpcHeader, bytes. Metadata and error texts live in it. Default 64 KiB, as gRPC's header lists, and every side
   * must take that much. Key: `limits.header`.
   */
  headerMaxBytes: number;
  /** Largest message, bytes, both ways. Default 4 MiB, as gRPC's. Key: `limits.body`. */
  bodyMaxBytes: number;
}

export const defaultWireLimits: Readonly<WireLimits> = {
  headerMaxBytes: 64 * 1024,
  bodyMaxBytes: 4 * 1024 * 1024,
};
