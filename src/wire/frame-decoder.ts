import { FrameHeader } from "./header.js";
import type { WireLimits } from "./limits.js";

/** Takes the frames of one connection. `header` is valid only during the call; the bytes may be kept. */
export interface FrameSink {
  onFrame(header: FrameHeader, buffer: Buffer, bodyStart: number, bodyEnd: number): void;
  /** A frame whose body is over `bodyMaxBytes`: its body is passed over, never gathered, and the next frame follows. */
  onOversized(header: FrameHeader): void;
}

/** First allocation for a frame that comes in pieces; it grows as bytes really arrive, so a claimed length costs nothing. */
const firstPieceBytes = 16 * 1024;

/**
 * Cuts a byte stream into frames: any split, any coalescing. Whole frames inside a chunk are handed over where they
 * lie; only a frame that crosses chunks is gathered.
 */
export class FrameDecoder {
  readonly #limits: WireLimits;
  readonly #header = new FrameHeader();
  /** Bytes of the frame that is not whole yet. */
  #partial: Buffer | undefined;
  #have = 0;
  /** How many bytes the partial frame needs before it can be looked at again. */
  #need = 0;
  /** Bytes of an oversized body still to pass over. */
  #skip = 0;
  #stopped = false;

  constructor(limits: WireLimits) {
    this.#limits = limits;
  }

  /** Ends the decoding, also in the middle of a chunk. */
  stop(): void {
    this.#stopped = true;
    this.#partial = undefined;
  }

  /** Hands each whole frame to `sink`. Returns why the stream is malformed, or nothing; after a reason nothing is decoded. */
  push(chunk: Buffer, sink: FrameSink): string | undefined {
    let offset = 0;
    while (!this.#stopped) {
      if (this.#skip > 0) {
        const passed = Math.min(this.#skip, chunk.length - offset);
        this.#skip -= passed;
        offset += passed;
      }
      if (offset >= chunk.length) return undefined;
      if (this.#partial !== undefined) {
        offset += this.#gather(chunk, offset);
        if (this.#have < this.#need) return undefined;
        const whole = this.#partial;
        const used = this.#take(whole, 0, this.#have, sink);
        if (typeof used === "string") return this.#malformed(used);
        if (used > 0) this.#partial = undefined;
        else this.#need = -used;
      } else {
        const used = this.#take(chunk, offset, chunk.length, sink);
        if (typeof used === "string") return this.#malformed(used);
        if (used > 0) offset += used;
        else {
          this.#keep(chunk, offset, -used);
          return undefined;
        }
      }
    }
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
  #take(buffer: Buffer, start: number, end: number, sink: FrameSink): number | string {
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
    if (header.kind === 0) return "a classic header on an mprpc/2 connection";
    if (header.bodySize > this.#limits.bodyMaxBytes) {
      this.#skip = header.bodySize;
      sink.onOversized(header);
      return bodyStart - start;
    }
    const bodyEnd = bodyStart + header.bodySize;
    if (bodyEnd > end) return -(bodyEnd - start);
    sink.onFrame(header, buffer, bodyStart, bodyEnd);
    return bodyEnd - start;
  }

  /** Starts a partial frame with the rest of `chunk`. */
  #keep(chunk: Buffer, offset: number, need: number): void {
    const have = chunk.length - offset;
    const partial = Buffer.allocUnsafeSlow(Math.max(have, Math.min(need, firstPieceBytes)));
    chunk.copy(partial, 0, offset);
    this.#partial = partial;
    this.#have = have;
    this.#need = need;
  }

  /** Moves bytes from `chunk` to the partial frame, at most what it needs; returns how many. */
  #gather(chunk: Buffer, offset: number): number {
    let partial = this.#partial as Buffer;
    const count = Math.min(this.#need - this.#have, chunk.length - offset);
    const total = this.#have + count;
    if (total > partial.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(total, Math.min(this.#need, partial.length * 2)));
      partial.copy(grown, 0, 0, this.#have);
      partial = this.#partial = grown;
    }
    chunk.copy(partial, this.#have, offset, offset + count);
    this.#have = total;
    return count;
  }
}
