import { isKeyUnit, type Metadata, type UnreadMetadata } from "../../../base/metadata.js";
import { Reader } from "../../../protobuf/reader.js";
import type { Writer } from "../../../protobuf/writer.js";

const keyTag = 0x0a;
const textTag = 0x12;
const binaryTag = 0x1a;

/** Up to this many bytes are copied here: for more a call into C++ costs less. */
const shortCopyMax = 96;
/** An entry with no more characters than this has lengths of one byte each, when all of them are ASCII. */
const shortEntryMax = 120;

/** Appends one entry, as a field with this tag. */
export function writeMetadataEntry(writer: Writer, tag: number, key: string, value: string | Buffer): void {
  if (tag < 128 && typeof value === "string" && writeShortEntry(writer, tag, key, value)) return;
  writer.uint32(tag);
  const mark = writer.begin();
  writer.uint32(keyTag).string(key);
  if (typeof value === "string") writer.uint32(textTag).string(value);
  else writer.uint32(binaryTag).bytes(value);
  writer.end(mark);
}

/** The usual entry in one go: most calls that carry any carry two or three. False when it is not one, and nothing was written. */
function writeShortEntry(writer: Writer, tag: number, key: string, value: string): boolean {
  const keyLength = key.length;
  const valueLength = value.length;
  if (keyLength + valueLength > shortEntryMax) return false;
  writer.ensure(6 + shortEntryMax);
  const { buffer } = writer;
  let at = writer.position;
  buffer[at++] = tag;
  buffer[at++] = 4 + keyLength + valueLength;
  buffer[at++] = keyTag;
  buffer[at++] = keyLength;
  for (let i = 0; i < keyLength; i++) buffer[at++] = key.charCodeAt(i);
  buffer[at++] = textTag;
  buffer[at++] = valueLength;
  for (let i = 0; i < valueLength; i++) {
    const unit = value.charCodeAt(i);
    if (unit > 127) return false;
    buffer[at++] = unit;
  }
  writer.position = at;
  return true;
}

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

/** Entries are kept in pieces of this: an own Buffer for each call's costs more than all else that is done for them. */
const slabBytes = 8 * 1024;
/** Entries that take more have memory of their own. */
const slabShareMax = 512;
let slab: Buffer | undefined;
let slabUsed = 0;

/** Plain entries, one behind the other with the tag and length of their field between them, copied from where they came. */
export class PackedMetadata implements UnreadMetadata {
  readonly size: number;
  readonly #bytes: Buffer;
  readonly #start: number;
  readonly #end: number;

  constructor(size: number, buffer: Buffer, start: number, end: number) {
    this.size = size;
    const length = end - start;
    if (length > slabShareMax) {
      this.#bytes = Buffer.allocUnsafeSlow(length);
      this.#start = 0;
    } else {
      if (slab === undefined || slabUsed + length > slabBytes) {
        slab = Buffer.allocUnsafeSlow(slabBytes);
        slabUsed = 0;
      }
      this.#bytes = slab;
      this.#start = slabUsed;
      slabUsed += length;
    }
    this.#end = this.#start + length;
    const bytes = this.#bytes;
    const by = this.#start - start;
    if (length <= shortCopyMax) for (let i = start; i < end; i++) bytes[by + i] = buffer[i] as number;
    else buffer.copy(bytes, this.#start, start, end);
  }

  readInto(metadata: Metadata): void {
    // Copies what it gives out: one value that is kept must not keep the others.
    const reader = new Reader().reset(this.#bytes, this.#start, this.#end, true);
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

  firstIs(key: string, value: Buffer | undefined): boolean {
    const bytes = this.#bytes;
    let at = this.#start;
    for (let i = 0; i < this.size; i++) {
      // The tag and the length of the next entry's field.
      if (i > 0) at = afterVarint(bytes, afterVarint(bytes, at));
      // Of a plain entry: the tag and length of its key, a byte each.
      const keyLength = bytes[at + 1] as number;
      const keyAt = at + 2;
      const lengthAt = keyAt + keyLength + 1;
      const valueAt = afterVarint(bytes, lengthAt);
      const length = varintAt(bytes, lengthAt);
      if (isText(bytes, keyAt, keyLength, key)) {
        return value !== undefined && isSame(bytes, valueAt, length, value);
      }
      at = valueAt + length;
    }
    return value === undefined;
  }
}

function afterVarint(bytes: Buffer, start: number): number {
  let at = start;
  while ((bytes[at++] as number) > 127);
  return at;
}

function varintAt(bytes: Buffer, start: number): number {
  let value = 0;
  let at = start;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++] as number;
    value |= (byte & 127) << shift;
    if (byte < 128) return value;
  }
}

/** `text` is ASCII, as keys are. */
function isText(bytes: Buffer, start: number, length: number, text: string): boolean {
  if (length !== text.length) return false;
  for (let i = 0; i < length; i++) if (bytes[start + i] !== text.charCodeAt(i)) return false;
  return true;
}

/** Neither a view nor a call into C++ for what is mostly the same. */
function isSame(bytes: Buffer, start: number, length: number, other: Buffer): boolean {
  if (length !== other.length) return false;
  for (let i = 0; i < length; i++) if (bytes[start + i] !== other[i]) return false;
  return true;
}
