import { gunzip, gzipSync } from "node:zlib";
import { messages } from "../../error/messages.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import type { MessageType } from "../../protobuf/types.js";
import type { Http2Stream } from "../http2/stream.js";

/** In front of each message: whether it is compressed, and its size. */
export const prefixBytes = 5;
/** First allocation for an incomplete message: the size claimed by its sender is not trusted. */
const firstPartBytes = 64 * 1024;
/** Messages between these sizes are compressed if both sides support it: smaller ones gain nothing, larger ones take too long. */
const compressedMinBytes = 1024;
const compressedMaxBytes = 1024 * 1024;

export interface MessageBodyOwner {
  /** `shared`: the memory is reused as soon as this returns. */
  onMessage(buffer: Buffer, start: number, end: number, shared: boolean): void;
  /** All messages have been passed on. */
  onBodyEnd(): void;
  /** The body is malformed or too large. No more messages follow. */
  onBodyFailure(error: RpcError): void;
}

/** Splits the body of one direction of a stream into messages. */
export class MessageBody {
  readonly #owner: MessageBodyOwner;
  readonly #maxBytes: number;
  readonly #encoding: string;
  /** Of a message that is not whole: its prefix, then its content. */
  #prefix: Buffer | undefined;
  #prefixAt = 0;
  #part: Buffer | undefined;
  #partAt = 0;
  #sizeBytes = -1;
  #compressed = false;
  #inflater: Inflater | undefined;
  #stopped = false;

  /** `encoding`: what `grpc-encoding` says. */
  constructor(owner: MessageBodyOwner, maxBytes: number, encoding: string) {
    this.#owner = owner;
    this.#maxBytes = maxBytes;
    this.#encoding = encoding;
  }

  /** Bytes of a message that is not whole. */
  get partBytes(): number {
    return this.#sizeBytes < 0 ? this.#prefixAt : prefixBytes + this.#partAt;
  }

  add(bytes: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end && !this.#stopped) {
      if (this.#sizeBytes < 0) {
        if (this.#prefixAt === 0 && end - at >= prefixBytes) {
          if (!this.#begin(bytes, at)) return;
          at += prefixBytes;
        } else {
          at = this.#addToPrefix(bytes, at, end);
          if (this.#prefixAt < prefixBytes) return;
          this.#prefixAt = 0;
          if (!this.#begin(this.#prefix as Buffer, 0)) return;
        }
      }
      const missing = this.#sizeBytes - this.#partAt;
      if (this.#partAt === 0 && end - at >= missing) {
        this.#sizeBytes = -1;
        this.#pass(bytes, at, at + missing, true);
        at += missing;
      } else at = this.#addToPart(bytes, at, end);
    }
  }

  #addToPrefix(bytes: Buffer, start: number, end: number): number {
    this.#prefix ??= Buffer.allocUnsafeSlow(prefixBytes);
    let at = start;
    while (at < end && this.#prefixAt < prefixBytes) this.#prefix[this.#prefixAt++] = bytes[at++] as number;
    return at;
  }

  #begin(bytes: Buffer, at: number): boolean {
    const flag = bytes[at] as number;
    const size = bytes.readUInt32BE(at + 1);
    this.#compressed = flag === 1;
    const wrong = this.#wrong(flag, size);
    if (wrong === undefined) {
      this.#sizeBytes = size;
      this.#partAt = 0;
      return true;
    }
    this.#fail(wrong);
    return false;
  }

  #wrong(flag: number, size: number): RpcError | undefined {
    if (flag > 1) return new RpcError(Status.INTERNAL, messages.grpcFlag(flag));
    if (flag === 1 && this.#encoding !== "gzip") {
      return new RpcError(Status.INTERNAL, messages.grpcCompressedWithoutEncoding(this.#encoding));
    }
    if (size <= this.#maxBytes) return undefined;
    return new RpcError(Status.RESOURCE_EXHAUSTED, messages.streamMessageTooLargeHere(size, this.#maxBytes));
  }

  #addToPart(bytes: Buffer, at: number, end: number): number {
    const count = Math.min(end - at, this.#sizeBytes - this.#partAt);
    const needed = this.#partAt + count;
    const old = this.#part;
    if (old === undefined || old.length < needed) {
      const doubled = Math.max(needed, (old?.length ?? 0) * 2, firstPartBytes);
      this.#part = Buffer.allocUnsafeSlow(Math.min(this.#sizeBytes, doubled));
      old?.copy(this.#part, 0, 0, this.#partAt);
    }
    const part = this.#part as Buffer;
    bytes.copy(part, this.#partAt, at, at + count);
    this.#partAt = needed;
    if (needed === this.#sizeBytes) {
      this.#part = undefined;
      this.#partAt = 0;
      this.#sizeBytes = -1;
      this.#pass(part, 0, needed, false);
    }
    return at + count;
  }

  #pass(bytes: Buffer, start: number, end: number, shared: boolean): void {
    if (!this.#compressed && this.#inflater === undefined) {
      this.#owner.onMessage(bytes, start, end, shared);
      return;
    }
    this.#inflater ??= new Inflater(this.#maxBytes, this.#owner, (error) => this.#fail(error));
    const own = shared ? Buffer.from(bytes.subarray(start, end)) : bytes.subarray(start, end);
    this.#inflater.add(own, this.#compressed);
  }

  /** The peer has ended its half. */
  end(): void {
    if (this.#stopped) return;
    if (this.partBytes > 0) this.#fail(new RpcError(Status.INTERNAL, messages.grpcBodyCutOff));
    else if (this.#inflater !== undefined) this.#inflater.end();
    else this.#owner.onBodyEnd();
  }

  #fail(error: RpcError): void {
    if (this.#stopped) return;
    this.stop();
    this.#owner.onBodyFailure(error);
  }

  /** The rest is not needed. */
  stop(): void {
    this.#stopped = true;
    this.#part = undefined;
    this.#inflater?.stop();
  }
}

/** Decompresses messages off the event loop, one after the other; later messages wait for earlier ones. */
class Inflater {
  readonly #maxBytes: number;
  readonly #owner: MessageBodyOwner;
  readonly #fail: (error: RpcError) => void;
  readonly #waiting: Array<{ readonly bytes: Buffer; readonly compressed: boolean }> = [];
  #busy = false;
  #ended = false;
  #stopped = false;

  constructor(maxBytes: number, owner: MessageBodyOwner, fail: (error: RpcError) => void) {
    this.#maxBytes = maxBytes;
    this.#owner = owner;
    this.#fail = fail;
  }

  add(bytes: Buffer, compressed: boolean): void {
    this.#waiting.push({ bytes, compressed });
    this.#next();
  }

  end(): void {
    this.#ended = true;
    this.#next();
  }

  stop(): void {
    this.#stopped = true;
    this.#waiting.length = 0;
  }

  #next(): void {
    while (!this.#busy && !this.#stopped) {
      const first = this.#waiting.shift();
      if (first === undefined) break;
      if (first.compressed) this.#inflate(first.bytes);
      else this.#owner.onMessage(first.bytes, 0, first.bytes.length, false);
    }
    if (!this.#ended || this.#busy || this.#stopped) return;
    this.#stopped = true;
    this.#owner.onBodyEnd();
  }

  #inflate(bytes: Buffer): void {
    this.#busy = true;
    gunzip(bytes, { maxOutputLength: Math.max(1, this.#maxBytes) }, (error, message) => {
      this.#busy = false;
      if (this.#stopped) return;
      if (error === null) {
        this.#owner.onMessage(message, 0, message.length, false);
        this.#next();
        return;
      }
      const tooLarge = (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
      this.#fail(
        tooLarge
          ? new RpcError(Status.RESOURCE_EXHAUSTED, messages.grpcInflatedTooLarge(this.#maxBytes))
          : new RpcError(Status.INTERNAL, messages.grpcNotInflatable(error.message)),
      );
    });
  }
}

/**
 * Writes a message with its prefix into a DATA frame of `stream` that is left open: `stream.endData` follows. Returns its size
 * before compression, bytes. Throws `RpcError` for one that is too large, and what the type throws for one it cannot encode;
 * nothing is left of it then.
 */
export function writeMessage<In>(
  stream: Http2Stream,
  type: MessageType<unknown, In>,
  message: In,
  maxBytes: number,
  gzip: boolean,
): number {
  const writer = stream.beginData();
  const at = writer.position;
  writer.ensure(prefixBytes);
  writer.position = at + prefixBytes;
  try {
    type.encode(message, writer);
  } catch (error) {
    stream.abortData();
    throw error;
  }
  const sizeBytes = writer.position - at - prefixBytes;
  if (sizeBytes > maxBytes) {
    stream.abortData();
    throw new RpcError(Status.RESOURCE_EXHAUSTED, messages.streamMessageTooLarge(sizeBytes, maxBytes));
  }
  let sentBytes = sizeBytes;
  if (gzip && sizeBytes >= compressedMinBytes && sizeBytes <= compressedMaxBytes) {
    const packed = gzipSync(writer.buffer.subarray(at + prefixBytes, writer.position), { level: 1 });
    if (packed.length < sizeBytes) {
      writer.buffer.set(packed, at + prefixBytes);
      sentBytes = packed.length;
      writer.position = at + prefixBytes + sentBytes;
    }
  }
  const { buffer } = writer;
  buffer[at] = sentBytes < sizeBytes ? 1 : 0;
  buffer[at + 1] = sentBytes >>> 24;
  buffer[at + 2] = sentBytes >>> 16;
  buffer[at + 3] = sentBytes >>> 8;
  buffer[at + 4] = sentBytes;
  return sizeBytes;
}

/**
 * Ends the frame of a message of a stream. Returns whether the next may follow; if not, the stream's `onWritable` does. `takesMore`:
 * little waits on the other streams; where much does, each stream has one message waiting and no more.
 */
export function endMessage(stream: Http2Stream, takesMore: boolean): boolean {
  if (!stream.endData(false)) return false;
  if (takesMore || stream.queuedBytes === 0) return true;
  stream.owesWritable = true;
  return false;
}

/** The size of the message that is all of `bytes[start..end)` and not compressed; -1 when it is not so simple. */
export function wholeMessage(bytes: Buffer, start: number, end: number): number {
  const size = end - start - prefixBytes;
  if (size < 0 || bytes[start] !== 0) return -1;
  const said =
    (((bytes[start + 1] as number) << 24) |
      ((bytes[start + 2] as number) << 16) |
      ((bytes[start + 3] as number) << 8) |
      (bytes[start + 4] as number)) >>>
    0;
  return said === size ? size : -1;
}
