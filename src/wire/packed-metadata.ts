import { isKeyUnit, type Metadata, type UnreadMetadata } from "../base/metadata.js";
import { Reader } from "./codec/reader.js";

const keyTag = 0x0a;
const textTag = 0x12;
const binaryTag = 0x1a;

/** Up to this many bytes are copied here: for more a call into C++ costs less. */
const shortCopyMax = 96;

/** Reads one entry, whatever its form, and appends it. Throws for a key that is not valid. */
export function readMetadataEntry(reader: Reader, end: number, into: Metadata): void {
  let key = "";
  let value: string | Buffer = "";
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === keyTag) key = reader.string();
    else if (tag === textTag) value = reader.string();
    else if (tag === binaryTag) value = reader.bytes();
    else reader.skipField(tag);
  }
  into.append(key, value);
}

/**
 * True for an entry as writers make it: key, then value, and nothing else, the key a short one that is valid as it
 * stands. Such an entry can be kept as bytes, since reading it later cannot fail.
 */
export function isPlainEntry(buffer: Buffer, start: number, end: number): boolean {
  const keyLength = buffer[start + 1] as number;
  let position = start + 2;
  const valueAt = position + keyLength;
  if (buffer[start] !== keyTag || keyLength === 0 || keyLength > 127 || valueAt + 2 > end) return false;
  while (position < valueAt) if (!isKeyUnit(buffer[position++] as number)) return false;
  const tag = buffer[position++];
  if (tag !== textTag && tag !== binaryTag) return false;
  let length = 0;
  for (let shift = 0; shift < 28 && position < end; shift += 7) {
    const byte = buffer[position++] as number;
    length |= (byte & 127) << shift;
    if (byte < 128) return position + length === end;
  }
  return false;
}

/** Plain entries, one behind the other with the tag and length of their field between them, in memory of their own. */
export class PackedMetadata implements UnreadMetadata {
  readonly size: number;
  readonly #bytes: Buffer;

  constructor(size: number, buffer: Buffer, start: number, end: number) {
    this.size = size;
    const length = end - start;
    const bytes = Buffer.allocUnsafe(length);
    if (length <= shortCopyMax) for (let i = 0; i < length; i++) bytes[i] = buffer[start + i] as number;
    else buffer.copy(bytes, 0, start, end);
    this.#bytes = bytes;
  }

  readInto(metadata: Metadata): void {
    const bytes = this.#bytes;
    const reader = new Reader(bytes);
    for (let i = 0; i < this.size; i++) {
      if (i > 0) {
        reader.tag();
        reader.uint32();
      }
      reader.tag();
      const key = reader.string();
      metadata.append(key, reader.tag() === textTag ? reader.string() : reader.bytes());
    }
  }
}
