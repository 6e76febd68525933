import type { EventRecord } from "../driver.js";

/** The field of the encoded message; always the first of an entry. */
const payloadField = "payload";
const payloadName = Buffer.from(payloadField);

export interface RedisEntry extends EventRecord {
  readonly id: string;
}

/** A record as the fields of an entry. */
export function fieldsOf({ payload, headers }: EventRecord): Array<string | Buffer> {
  const bytes = Buffer.isBuffer(payload)
    ? payload
    : Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  return headers.length === 0 ? [payloadField, bytes] : [payloadField, bytes, ...headers];
}

/** Entries of XRANGE, XREADGROUP and XAUTOCLAIM. Deleted ones, which have no fields, are left out. */
export function readEntries(found: unknown): RedisEntry[] {
  const entries: RedisEntry[] = [];
  for (const one of (found ?? []) as ReadonlyArray<readonly [Buffer, readonly Buffer[] | null] | null>) {
    const fields = one?.[1];
    if (one === null || fields === null || fields === undefined) continue;
    const headers: string[] = [];
    for (let at = 2; at < fields.length; at++) headers.push((fields[at] as Buffer).toString());
    // Another program may have added an entry of its own kind.
    const payload = fields[0]?.equals(payloadName) === true ? (fields[1] as Buffer) : Buffer.alloc(0);
    entries.push({ id: one[0].toString("latin1"), payload, headers });
  }
  return entries;
}

/** When an entry was added, ms since the Unix epoch: the first part of its id. */
export function timeOf(id: string): number {
  return Number(id.slice(0, id.indexOf("-")));
}
