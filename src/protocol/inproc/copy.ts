import { Metadata } from "../../base/metadata.js";
import { Reader } from "../../protobuf/reader.js";
import type { MessageType } from "../../protobuf/types.js";
import { Writer } from "../../protobuf/writer.js";

/** Messages of this size and larger have memory of their own, and their `bytes` fields are views of it. */
const ownMinBytes = 16 * 1024;
const scratchBytes = 4096;

/**
 * Copies messages from one side to the other by encoding and decoding them: the result is exactly what would arrive over a
 * connection (defaults, unknown fields, floats, refused values), its size is known, and it shares nothing.
 */
export class MessageCopy {
  readonly #writer = new Writer(scratchBytes);
  readonly #reader = new Reader(Buffer.alloc(0));

  /** Returns its size, bytes. Throws for a message that cannot be encoded; then it must be cleared. */
  write(type: MessageType, message: unknown): number {
    type.encode(message, this.#writer);
    return this.#writer.position;
  }

  /** The message that was written, as `type`. Throws if the bytes are invalid. */
  read(type: MessageType): unknown {
    const { position } = this.#writer;
    const own = this.takeOwn();
    if (own === undefined) {
      const message = type.decode(this.#reader.reset(this.#writer.buffer, 0, position, true), position);
      this.#writer.clear();
      return message;
    }
    const message = type.decode(this.#reader.reset(own, 0, position), position);
    this.#reader.release();
    return message;
  }

  /** The bytes that were written, valid until the next call. */
  view(): Buffer {
    return this.#writer.view();
  }

  /** The memory of a large message is handed over, not copied, unless much of it is unused. Undefined: it stays here. */
  takeOwn(): Buffer | undefined {
    const { position, buffer } = this.#writer;
    if (position < ownMinBytes || position < buffer.length * 0.8) return undefined;
    const own = this.#writer.detach();
    this.#writer.buffer = Buffer.allocUnsafeSlow(scratchBytes);
    return own.subarray(0, position);
  }

  clear(): void {
    this.#writer.clear();
  }
}

/** Reused between messages; unset while in use, since encoding may run the user's getters. */
let spare: MessageCopy | undefined;

export function takeCopy(): MessageCopy {
  const copy = spare ?? new MessageCopy();
  spare = undefined;
  return copy;
}

export function giveBack(copy: MessageCopy): void {
  copy.clear();
  spare = copy;
}

/** A deep copy, bytes included. Undefined if empty. */
export function copyMetadata(metadata: Metadata | undefined): Metadata | undefined {
  if (metadata === undefined || metadata.size === 0) return undefined;
  const copy = new Metadata();
  const { flat } = metadata;
  for (let i = 0; i < flat.length; i += 2) {
    const value = flat[i + 1] as string | Buffer;
    copy.append(flat[i] as string, typeof value === "string" ? value : Buffer.from(value));
  }
  return copy;
}

/** Size of an entry in a header besides its key and value, bytes: tags and lengths. */
const entryBytes = 6;

/** Size of metadata in the header of a frame, bytes. */
export function metadataBytes(metadata: Metadata | undefined): number {
  if (metadata === undefined || metadata.size === 0) return 0;
  let bytes = 0;
  for (const part of metadata.flat) {
    bytes += entryBytes / 2 + (typeof part === "string" ? Buffer.byteLength(part) : part.length);
  }
  return bytes;
}
