/** A protocol by its name: `mprpc`, `classic`, and what is added. */
export type ProtocolName = "mprpc" | "classic" | (string & {});
