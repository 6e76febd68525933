import type { MsgHdrs } from "@nats-io/transport-node";

/** Headers as a record has them, without those of NATS itself. */
export function flatHeaders(headers: MsgHdrs | undefined): string[] {
  if (headers === undefined) return [];
  const flat: string[] = [];
  for (const [key, values] of headers) {
    if (key.startsWith("Nats-")) continue;
    for (const value of values) flat.push(key, value);
  }
  return flat;
}
