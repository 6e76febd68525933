/**
 * Where a decoded message keeps the fields that its type does not know: one Buffer of whole fields, tags included, as they
 * came. The property is not enumerable and is absent when there are none, so that messages stay plain objects. Encoding
 * appends it, `create` keeps it, JSON ignores it. Extensions are read from it and written to it.
 */
export const unknownFields: unique symbol = Symbol.for("mprpc.unknownFields");

/** A message that may carry unknown fields. */
export interface WithUnknownFields {
  readonly [unknownFields]?: Buffer;
}

/** How many bytes of a backing store are in use: what a message's Buffer ends at may be written behind only once. */
const usedBytes = new WeakMap<ArrayBufferLike, number>();

/**
 * Appends `count` bytes to a message's unknown fields and gives the Buffer and where they begin in it, to be written.
 * Room grows by doubling, so that a hostile message of nothing but unknown fields costs linear time.
 */
export function roomForUnknown(message: object, count: number): { buffer: Buffer; at: number } {
  const before = (message as WithUnknownFields)[unknownFields];
  const at = before?.length ?? 0;
  const length = at + count;
  let buffer: Buffer;
  if (before !== undefined && isLast(before) && before.byteOffset + length <= before.buffer.byteLength) {
    buffer = Buffer.from(before.buffer, before.byteOffset, length);
  } else {
    // The first field gets exactly its size: most messages with unknown fields have one.
    const room = Buffer.allocUnsafeSlow(before === undefined ? count : Math.max(2 * at, length));
    if (before !== undefined) room.set(before);
    buffer = room.subarray(0, length);
  }
  usedBytes.set(buffer.buffer, buffer.byteOffset + length);
  setUnknownFields(message, buffer);
  return { buffer, at };
}

/** Whether `bytes` end where its backing store is used up to; another message may have grown behind them. */
function isLast(bytes: Buffer): boolean {
  return usedBytes.get(bytes.buffer) === bytes.byteOffset + bytes.length;
}

/** Replaces a message's unknown fields; none takes the property away. The Buffer is not copied. */
export function setUnknownFields(message: object, bytes: Buffer | undefined): void {
  if (bytes === undefined || bytes.length === 0) {
    delete (message as { [unknownFields]?: Buffer })[unknownFields];
    return;
  }
  Object.defineProperty(message, unknownFields, {
    value: bytes,
    writable: true,
    enumerable: false,
    configurable: true,
  });
}
