import { ConnectionError, ErrorCode } from "./wire/frame.js";

/** Bytes of one header block before it is decoded: more than any list within the limits takes. */
const blockMaxBytes = 256 * 1024;
/** Frames of one header block; empty ones count. */
const blockFramesMax = 64;

/** Assembles a header block that arrives in several frames. */
export class HeaderBlock {
  readonly streamId: number;
  readonly endStream: boolean;
  readonly #pieces: Buffer[] = [];
  #bytes = 0;
  #frames = 0;

  constructor(streamId: number, endStream: boolean) {
    this.streamId = streamId;
    this.endStream = endStream;
  }

  add(buffer: Buffer, start: number, end: number): ConnectionError | undefined {
    this.#bytes += end - start;
    if (++this.#frames > blockFramesMax) {
      return new ConnectionError(
        ErrorCode.ENHANCE_YOUR_CALM,
        `a header block of more than ${blockFramesMax} frames`,
      );
    }
    if (this.#bytes > blockMaxBytes) {
      return new ConnectionError(
        ErrorCode.ENHANCE_YOUR_CALM,
        `a header block of more than ${blockMaxBytes} bytes`,
      );
    }
    if (end > start) this.#pieces.push(Buffer.from(buffer.subarray(start, end)));
    return undefined;
  }

  whole(): Buffer {
    return Buffer.concat(this.#pieces, this.#bytes);
  }
}
