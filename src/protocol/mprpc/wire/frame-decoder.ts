import { FrameHeader, Kind } from "./header.js";
import type { FrameLimits } from "./limits.js";
import { firstPieceBytes, MessageBuffer } from "./message-buffer.js";

/** Takes the frames of one connection. `header` is valid only during the call. */
export interface FrameSink {
  /** `shared`: the memory of the bytes is reused, so copy what you keep; otherwise they may be kept. */
  onFrame(header: FrameHeader, buffer: Buffer, bodyStart: number, bodyEnd: number, shared: boolean): void;
  /** A message over `bodyMaxBytes`: it is skipped and never buffered, and the next frame follows. */
  onOversized(header: FrameHeader, sizeBytes: number): void;
  /** A CALL, REPLY or MESSAGE whose message comes in chunks. Undefined: it is refused, and its chunks are skipped. */
  onOpening(header: FrameHeader): ChunkedMessage | undefined;
}

/** A message that comes in chunks, as its receiver sees it. */
export interface ChunkedMessage {
  /** The whole message, in memory of its own; undefined if its sender abandoned it. */
  onEnd(body: Buffer | undefined): void;
  /** A chunk of so many bytes begins. Returns why it is malformed, or nothing. */
  onChunk?(sizeBytes: number): string | undefined;
}

interface Arriving {
  readonly callId: number;
  readonly sizeBytes: number;
  missingBytes: number;
  /** Undefined once it is forgotten. */
  message: ChunkedMessage | undefined;
  gathering: MessageBuffer | undefined;
  discarded: boolean;
}

/** If at least this many bytes are missing, they are read directly to their place instead of being copied. */
const directBytes = 8 * 1024;
/** Before a message that is probably large, at most this much is read, so that little must be copied. */
const peekBytes = 4 * 1024;
/** The largest frame for which memory is allocated before its first byte has arrived. */
const expectedMaxBytes = 256 * 1024;
/** What the next frame may be larger than the last one, without being moved to other memory. */
const expectedSlackBytes = 64;
/**
 * At most this many connections of a process may hold memory for a frame that has not begun, 8 MiB in all. For thousands of
 * connections that are idle after a large message it would be too much.
 */
const expectingMax = 32;
/** How many have. */
let expecting = 0;

/**
 * Cuts a byte stream into frames: any split, any coalescing. Complete frames are passed on without a copy;
 * a frame that spans several reads is gathered. Messages in chunk frames are assembled, several at a
 * time, by the number of their call.
 */
export class FrameDecoder {
  readonly #limits: FrameLimits;
  readonly #header = new FrameHeader();
  /** The frame that is not whole yet. */
  #partial: MessageBuffer | undefined;
  /** Bytes of a body still to skip. */
  #skip = 0;
  /** Messages in chunks that have been announced and are not whole, by call number. */
  #arriving: Map<number, Arriving> | undefined;
  /** The message and the bytes that are still to come of the present chunk frame. */
  #filling: Arriving | undefined;
  #chunkLeft = 0;
  /** Size of the last thing that was large: the next may get its room at once. 0 once a small one has come. */
  #largeBytes = 0;
  /** Size of the last frame, when the one before it was large as well: the next is most likely one more. Else 0. */
  #expectedBytes = 0;
  /** The size from the last look at a frame is its full size. */
  #sized = false;
  /** `#partial` is memory for a frame that has not begun. */
  #expecting = false;
  #stopped = false;
  #held = false;
  /** Frames that were taken so far. */
  frames = 0;
  /** Bytes of messages in chunks that were taken so far. */
  chunkBytes = 0;
  /** Where in the last chunk `push` stopped. */
  unread = 0;

  constructor(limits: FrameLimits) {
    this.#limits = limits;
  }

  /** Ends the decoding, also in the middle of a chunk. */
  stop(): void {
    this.#stopped = true;
    this.#expectNothing();
    this.#partial = undefined;
    this.#arriving = this.#filling = undefined;
  }

  /** Makes the running `push` return after the current frame, with the rest of its chunk unread. */
  hold(): void {
    this.#held = true;
  }

  /** The receiver no longer needs the message of this call, but must be notified of its end. */
  discard(callId: number): void {
    const arriving = this.#arriving?.get(callId);
    if (arriving === undefined) return;
    arriving.gathering = undefined;
    arriving.discarded = true;
  }

  /** The receiver needs neither the message of this call nor its end: its chunks are skipped. */
  forget(callId: number): void {
    const arriving = this.#arriving?.get(callId);
    if (arriving === undefined) return;
    this.#arriving?.delete(callId);
    arriving.message = arriving.gathering = undefined;
  }

  /** Bytes still to come of the message of this call; undefined when none is arriving. */
  missingBytes(callId: number): number | undefined {
    return this.#arriving?.get(callId)?.missingBytes;
  }

  /** Where the next bytes of the connection should be read to: `usual`, a part of it, or where they belong. */
  readTo(usual: Buffer): Buffer {
    if (this.#largeBytes === 0 && this.#partial === undefined && this.#chunkLeft === 0) return usual;
    if (this.#chunkLeft > 0) {
      const gathering = this.#filling?.gathering;
      return gathering === undefined || this.#chunkLeft < directBytes
        ? usual
        : gathering.room(this.#chunkLeft);
    }
    this.#expect();
    const partial = this.#partial;
    if (partial === undefined) return usual.subarray(0, peekBytes);
    const missing = partial.need - partial.have;
    if (missing >= directBytes) return partial.room(missing);
    // Of large frames one after the other no more is read than belongs to this one: what is read of the next would be copied.
    if (this.#expectedBytes === 0) return usual;
    return partial.room(partial.sized ? missing : Math.max(missing, this.#expectedBytes - partial.have));
  }

  /** Makes memory ready for a frame like the last ones, so that one read brings it to its own place. */
  #expect(): void {
    if (this.#expectedBytes === 0 || this.#partial !== undefined || expecting >= expectingMax) return;
    expecting++;
    this.#expecting = true;
    this.#partial = this.#newPartial(4);
  }

  /** Room for a frame that needs `need` bytes at least, as much as those before it give reason for. */
  #newPartial(need: number): MessageBuffer {
    const ready = this.#expectedBytes === 0 ? 0 : this.#expectedBytes + expectedSlackBytes;
    return new MessageBuffer(need, this.#largeBytes, ready);
  }

  #expectNothing(): void {
    if (!this.#expecting) return;
    expecting--;
    this.#expecting = false;
  }

  /**
   * Hands each whole frame to `sink`, at most about `framesMax`, and none after `hold`; `unread` says where it stopped, and
   * the rest must be given again. Returns why the stream is malformed, or nothing; after a reason nothing is decoded.
   */
  push(chunk: Buffer, sink: FrameSink, framesMax = Infinity): string | undefined {
    const last = this.frames + framesMax;
    this.#held = false;
    const partial = this.#partial;
    if (partial === undefined) return this.#cut(chunk, 0, 0, chunk.length, sink, last);
    this.#partial = undefined;
    if (this.#expecting) {
      this.#expectNothing();
      // It was read to other memory.
      if (!partial.holds(chunk)) return this.#cut(chunk, 0, 0, chunk.length, sink, last);
    }
    if (partial.holds(chunk)) {
      const had = partial.have;
      partial.have += chunk.length;
      if (partial.have >= partial.need) {
        return this.#cut(partial.buffer, 0, had, partial.have, sink, last, partial);
      }
      this.#partial = partial;
      this.unread = chunk.length;
      return undefined;
    }
    return this.#complete(partial, chunk, sink, last);
  }

  /** Gathers the rest of a frame out of bytes that lie elsewhere, and goes on with those behind it. */
  #complete(partial: MessageBuffer, chunk: Buffer, sink: FrameSink, last: number): string | undefined {
    let offset = 0;
    while (!this.#stopped) {
      const count = Math.min(partial.need - partial.have, chunk.length - offset);
      partial.append(chunk, offset, count);
      offset += count;
      this.unread = offset;
      if (partial.have < partial.need) {
        this.#partial = partial;
        return undefined;
      }
      const used = this.#take(partial.buffer, 0, partial.have, sink, false);
      if (typeof used === "string") return this.#malformed(used);
      if (used > 0) return this.#cut(chunk, offset, 0, chunk.length, sink, last);
      partial.want(-used, this.#sized);
    }
    this.unread = chunk.length;
    return undefined;
  }

  /**
   * Cuts `buffer[start..end)` into frames, of which the bytes from `readAt` on were read just now. `own`: what `buffer` is of,
   * when it is no memory that is used again.
   */
  #cut(
    buffer: Buffer,
    start: number,
    readAt: number,
    end: number,
    sink: FrameSink,
    last: number,
    own?: MessageBuffer,
  ): string | undefined {
    let offset = start;
    while (!this.#stopped) {
      if (this.#skip > 0) {
        const passed = Math.min(this.#skip, end - offset);
        this.#skip -= passed;
        offset += passed;
      }
      this.unread = offset - readAt;
      if (offset >= end || this.frames >= last || this.#held) return undefined;
      if (this.#chunkLeft > 0) {
        offset += this.#fill(buffer, offset, end);
        continue;
      }
      const used = this.#take(buffer, offset, end, sink, own === undefined);
      if (typeof used === "string") return this.#malformed(used);
      if (used > 0) {
        offset += used;
        continue;
      }
      if (own !== undefined && offset === 0) {
        own.want(-used, this.#sized);
        this.#partial = own;
      } else {
        const partial = this.#newPartial(-used);
        partial.append(buffer, offset, end - offset);
        partial.want(-used, this.#sized);
        this.#partial = partial;
      }
      this.unread = end - readAt;
      return undefined;
    }
    this.unread = end - readAt;
    return undefined;
  }

  #malformed(reason: string): string {
    this.stop();
    return reason;
  }

  /**
   * Looks at the frame that starts at `start`. A positive result is how many bytes it took, a negative one how many it
   * needs in all, a string why it is malformed.
   */
  #take(buffer: Buffer, start: number, end: number, sink: FrameSink, shared: boolean): number | string {
    this.#sized = false;
    if (end - start < 4) return -4;
    const headerSize =
      ((buffer[start] as number) |
        ((buffer[start + 1] as number) << 8) |
        ((buffer[start + 2] as number) << 16) |
        ((buffer[start + 3] as number) << 24)) >>>
      0;
    if (headerSize > this.#limits.headerMaxBytes) {
      return `header of ${headerSize} bytes is over the limit of ${this.#limits.headerMaxBytes} (limits.header)`;
    }
    if (headerSize === 0) return "header of 0 bytes";
    const bodyStart = start + 4 + headerSize;
    if (bodyStart > end) return -(4 + headerSize);
    const header = this.#header;
    const wrong = header.read(buffer, start + 4, bodyStart);
    if (wrong !== undefined) return wrong;
    const { kind, bodySize } = header;
    if (kind === 0) return "a classic header on an mprpc/2 connection";
    this.frames++;
    if (kind === Kind.CHUNK) return this.#onChunk(header) ?? bodyStart - start;
    if (header.messageSize > 0 && (kind === Kind.CALL || kind === Kind.REPLY || kind === Kind.MESSAGE)) {
      // The table of kinds gives it no body of its own.
      this.#skip = bodySize;
      return this.#open(header, sink) ?? bodyStart - start;
    }
    if (bodySize > this.#limits.bodyMaxBytes) {
      this.#skip = bodySize;
      sink.onOversized(header, bodySize);
      return bodyStart - start;
    }
    const bodyEnd = bodyStart + bodySize;
    const size = bodyEnd - start;
    if (bodyEnd > end) {
      this.#sized = true;
      return -size;
    }
    if (bodySize > firstPieceBytes) {
      this.#expectedBytes = this.#largeBytes > 0 && size <= expectedMaxBytes ? size : 0;
      this.#largeBytes = size;
      // A view of a small part would keep all of it.
      sink.onFrame(header, buffer, bodyStart, bodyEnd, shared || size * 2 < buffer.length);
    } else {
      this.#largeBytes = this.#expectedBytes = 0;
      sink.onFrame(header, buffer, bodyStart, bodyEnd, shared);
    }
    return size;
  }

  #open(header: FrameHeader, sink: FrameSink): string | undefined {
    const { callId, messageSize: sizeBytes } = header;
    if (this.#arriving?.has(callId)) {
      return `a message of call ${callId} was announced before the last one was whole`;
    }
    if (sizeBytes > this.#limits.bodyMaxBytes) {
      sink.onOversized(header, sizeBytes);
      return undefined;
    }
    const message = sink.onOpening(header);
    if (message === undefined || this.#stopped) return undefined;
    this.#arriving ??= new Map();
    this.#arriving.set(callId, {
      ...{ callId, sizeBytes, missingBytes: sizeBytes, message },
      ...{ gathering: undefined, discarded: false },
    });
    return undefined;
  }

  #onChunk({ bodySize, status, callId }: FrameHeader): string | undefined {
    const arriving = this.#arriving?.get(callId);
    if (arriving === undefined) {
      // Chunks of a refused or abandoned message may still arrive.
      this.#skip = bodySize;
      return undefined;
    }
    if (status !== 0) {
      this.#skip = bodySize;
      this.#arriving?.delete(callId);
      arriving.message?.onEnd(undefined);
      return undefined;
    }
    if (bodySize > arriving.missingBytes) {
      return `a chunk of ${bodySize} bytes where ${arriving.missingBytes} are left of the message of call ${callId}`;
    }
    const wrong = arriving.message?.onChunk?.(bodySize);
    if (wrong !== undefined) return wrong;
    this.#chunkLeft = bodySize;
    this.#filling = arriving;
    this.#expectedBytes = 0;
    if (!arriving.discarded) arriving.gathering ??= new MessageBuffer(arriving.sizeBytes, this.#largeBytes);
    return undefined;
  }

  /** Takes bytes of the present chunk frame; returns how many. */
  #fill(chunk: Buffer, offset: number, end: number): number {
    const arriving = this.#filling as Arriving;
    const count = Math.min(this.#chunkLeft, end - offset);
    this.#chunkLeft -= count;
    arriving.missingBytes -= count;
    this.chunkBytes += count;
    arriving.gathering?.append(chunk, offset, count);
    if (this.#chunkLeft > 0) return count;
    this.#filling = undefined;
    this.#largeBytes = Math.max(this.#largeBytes, arriving.sizeBytes - arriving.missingBytes);
    if (arriving.missingBytes === 0 && arriving.message !== undefined) {
      this.#arriving?.delete(arriving.callId);
      this.#largeBytes = arriving.sizeBytes;
      arriving.message.onEnd(arriving.gathering?.buffer);
    }
    return count;
  }
}
