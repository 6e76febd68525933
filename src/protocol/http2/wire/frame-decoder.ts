import { emptyBytes } from "../../../protobuf/reader.js";
import {
  ConnectionError,
  defaultMaxFrameBytes,
  ErrorCode,
  Flag,
  FrameType,
  frameHeaderBytes,
  streamIdMax,
} from "./frame.js";

/** Takes the frames of one connection, in their order. Buffers belong to the caller of `push`, or are reused by the decoder. */
export interface FrameSink {
  /**
   * A part of a header block: `buffer[start..end)`. `first`: of HEADERS, else of CONTINUATION; `last`: the block ends here.
   * `endStream` is that of HEADERS.
   */
  onHeaderBlock(
    streamId: number,
    buffer: Buffer,
    start: number,
    end: number,
    first: boolean,
    last: boolean,
    endStream: boolean,
  ): void;
  /** A DATA frame begins, of which `flowBytes` count for flow control, padding among them. Its content follows. */
  onDataFrame(streamId: number, flowBytes: number, endStream: boolean): void;
  /** A part of the content of the current DATA frame. `last`: the content is complete. */
  onDataBytes(buffer: Buffer, start: number, end: number, last: boolean): void;
  onPriority(streamId: number): void;
  onReset(streamId: number, code: number): void;
  /** `buffer[start..end)`: entries of six bytes, all of them whole. */
  onSettings(ack: boolean, buffer: Buffer, start: number, end: number): void;
  /** `buffer[start..start + 8)`. */
  onPing(ack: boolean, buffer: Buffer, start: number): void;
  onGoAway(lastStreamId: number, code: number, debug: string): void;
  onWindowUpdate(streamId: number, increment: number): void;
  /** A frame of unknown type was ignored. */
  onUnknown(type: number): void;
  /** A malformed frame that ends its stream but not the connection. */
  onStreamError(streamId: number, code: number, reason: string): void;
}

/** The first room for a frame that comes in pieces, bytes. */
const gatherFirstBytes = 1024;
/** Most bytes kept of the text of a GOAWAY. */
const debugShownBytes = 256;

/**
 * Decodes bytes into frames: RFC 9113 section 4, and the rules of section 6 that concern a single frame. Pure: no socket,
 * no timer; bytes may be cut anywhere. DATA is passed on as it arrives, other frames when they are complete.
 */
export class FrameDecoder {
  readonly #sink: FrameSink;
  readonly #maxFrameBytes: number;
  /** Frames so far. */
  frames = 0;
  /** Where the last `push` stopped because of `hold` or `stop`. */
  unread = 0;
  #held = false;
  #stopped = false;
  #wrong: ConnectionError | undefined;
  /** An incomplete frame: its header and its payload so far. */
  #gathered: Buffer = emptyBytes;
  #have = 0;
  /** Of the DATA frame that is passed on: whether there is one, content that is missing, padding behind it. */
  #inData = false;
  #contentLeft = 0;
  #contentPassed = false;
  #paddingLeft = 0;
  /** The stream of which a CONTINUATION must follow. */
  #continues = 0;

  constructor(sink: FrameSink, maxFrameBytes = defaultMaxFrameBytes) {
    this.#sink = sink;
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** In the middle of a header block, which the peer must continue. */
  get inHeaderBlock(): boolean {
    return this.#continues !== 0;
  }

  /** From inside a callback: looks at no frame more. `push` returns, `unread` says where; the next `push` ends it. */
  hold(): void {
    this.#held = true;
  }

  /** Nothing more is decoded, ever. */
  stop(): void {
    this.#stopped = true;
    this.#gathered = emptyBytes;
  }

  /** Returns what is wrong, if anything is; nothing more may be pushed then. */
  push(chunk: Buffer): ConnectionError | undefined {
    this.#held = false;
    const end = chunk.length;
    let at = 0;
    while (!this.#held && !this.#stopped) {
      if (this.#inData) {
        at = this.#passData(chunk, at, end);
        if (this.#inData) break;
        continue;
      }
      if (this.#have > 0) {
        at = this.#gather(chunk, at, end);
        if (this.#have > 0) break;
        this.#frame(this.#gathered, 0);
      } else {
        const need = this.#need(chunk, at, end - at);
        if (need > end - at) {
          at = this.#gather(chunk, at, end);
          break;
        }
        const from = at;
        at += need;
        this.#frame(chunk, from);
      }
      if (this.#wrong !== undefined) break;
    }
    this.unread = at;
    return this.#wrong;
  }

  /** How many bytes of the frame at `at` must be there before it can be worked on. */
  #need(bytes: Buffer, at: number, have: number): number {
    if (have < frameHeaderBytes) return frameHeaderBytes;
    const length =
      ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
    if (length > this.#maxFrameBytes) {
      this.#fail(
        ErrorCode.FRAME_SIZE_ERROR,
        `a frame of ${length} bytes, over the limit of ${this.#maxFrameBytes}`,
      );
      return frameHeaderBytes;
    }
    if (bytes[at + 3] !== FrameType.DATA) return frameHeaderBytes + length;
    const padded = ((bytes[at + 4] as number) & Flag.PADDED) !== 0 && length > 0;
    return padded ? frameHeaderBytes + 1 : frameHeaderBytes;
  }

  /** Takes what is there of a frame that is not; when it is, `#have` is 0 again. Returns where it stopped. */
  #gather(chunk: Buffer, from: number, end: number): number {
    let at = from;
    for (;;) {
      const need = this.#need(this.#gathered, 0, this.#have);
      if (this.#wrong !== undefined || (this.#have >= frameHeaderBytes && this.#have === need)) {
        this.#have = 0;
        return at;
      }
      if (at === end) return at;
      const count = Math.min(need - this.#have, end - at);
      const total = this.#have + count;
      if (total > this.#gathered.length) this.#grow(total);
      chunk.copy(this.#gathered, this.#have, at, at + count);
      this.#have = total;
      at += count;
    }
  }

  #grow(least: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(least, this.#gathered.length * 2, gatherFirstBytes));
    this.#gathered.copy(grown, 0, 0, this.#have);
    this.#gathered = grown;
  }

  #passData(chunk: Buffer, from: number, end: number): number {
    let at = from;
    if (!this.#contentPassed) {
      const count = Math.min(this.#contentLeft, end - at);
      this.#contentLeft -= count;
      const last = this.#contentLeft === 0;
      this.#contentPassed = last;
      at += count;
      if (count > 0 || last) this.#sink.onDataBytes(chunk, at - count, at, last);
    }
    if (this.#contentPassed) {
      const count = Math.min(this.#paddingLeft, end - at);
      this.#paddingLeft -= count;
      at += count;
      this.#inData = this.#paddingLeft > 0;
    }
    return at;
  }

  #fail(code: number, reason: string): void {
    this.#wrong ??= new ConnectionError(code, reason);
  }

  /** A frame that is whole; of DATA, up to its content. */
  #frame(bytes: Buffer, at: number): void {
    if (this.#wrong !== undefined) return;
    const length =
      ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
    const type = bytes[at + 3] as number;
    const flags = bytes[at + 4] as number;
    const streamId = uint32(bytes, at + 5) & streamIdMax;
    const start = at + frameHeaderBytes;
    if (this.frames++ === 0 && (type !== FrameType.SETTINGS || (flags & Flag.ACK) !== 0)) {
      this.#fail(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS");
      return;
    }
    if (this.#continues !== 0 && (type !== FrameType.CONTINUATION || streamId !== this.#continues)) {
      this.#fail(ErrorCode.PROTOCOL_ERROR, "a frame inside a header block");
      return;
    }
    switch (type) {
      case FrameType.DATA:
        this.#data(bytes, start, length, flags, streamId);
        break;
      case FrameType.HEADERS:
        this.#headers(bytes, start, length, flags, streamId);
        break;
      case FrameType.CONTINUATION:
        this.#continuation(bytes, start, length, flags, streamId);
        break;
      case FrameType.WINDOW_UPDATE:
        if (this.#hasLength("WINDOW_UPDATE", length, 4)) this.#windowUpdate(bytes, start, streamId);
        break;
      default:
        this.#rareFrame(bytes, start, length, type, flags, streamId);
    }
  }

  #rareFrame(
    bytes: Buffer,
    start: number,
    length: number,
    type: number,
    flags: number,
    streamId: number,
  ): void {
    const ack = (flags & Flag.ACK) !== 0;
    switch (type) {
      case FrameType.PRIORITY:
        if (this.#hasStream("PRIORITY", streamId)) this.#priority(bytes, start, length, streamId);
        break;
      case FrameType.RST_STREAM:
        if (this.#hasStream("RST_STREAM", streamId) && this.#hasLength("RST_STREAM", length, 4)) {
          this.#sink.onReset(streamId, uint32(bytes, start));
        }
        break;
      case FrameType.SETTINGS:
        if (this.#hasNoStream("SETTINGS", streamId)) this.#settings(bytes, start, length, ack);
        break;
      case FrameType.PUSH_PROMISE:
        this.#fail(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE, which nobody asked for");
        break;
      case FrameType.PING:
        if (this.#hasNoStream("PING", streamId) && this.#hasLength("PING", length, 8)) {
          this.#sink.onPing(ack, bytes, start);
        }
        break;
      case FrameType.GOAWAY:
        if (this.#hasNoStream("GOAWAY", streamId)) this.#goAway(bytes, start, length);
        break;
      default:
        this.#sink.onUnknown(type);
    }
  }

  #hasStream(name: string, streamId: number): boolean {
    if (streamId === 0) this.#fail(ErrorCode.PROTOCOL_ERROR, `${name} on stream 0`);
    return streamId !== 0;
  }

  #hasNoStream(name: string, streamId: number): boolean {
    if (streamId !== 0) this.#fail(ErrorCode.PROTOCOL_ERROR, `${name} on a stream`);
    return streamId === 0;
  }

  #hasLength(name: string, length: number, wanted: number): boolean {
    if (length !== wanted)
      this.#fail(ErrorCode.FRAME_SIZE_ERROR, `${name} of ${length} bytes instead of ${wanted}`);
    return length === wanted;
  }

  #data(bytes: Buffer, start: number, length: number, flags: number, streamId: number): void {
    if (!this.#hasStream("DATA", streamId)) return;
    let padding = 0;
    let content = length;
    if ((flags & Flag.PADDED) !== 0) {
      padding = length === 0 ? 0 : (bytes[start] as number);
      content = length - 1 - padding;
      if (content < 0) {
        this.#fail(ErrorCode.PROTOCOL_ERROR, "DATA with more padding than it has bytes");
        return;
      }
    }
    this.#inData = true;
    this.#contentPassed = false;
    this.#contentLeft = content;
    this.#paddingLeft = padding;
    this.#sink.onDataFrame(streamId, length, (flags & Flag.END_STREAM) !== 0);
  }

  #headers(bytes: Buffer, from: number, length: number, flags: number, streamId: number): void {
    if (!this.#hasStream("HEADERS", streamId)) return;
    let start = from;
    let end = from + length;
    if ((flags & Flag.PADDED) !== 0) {
      end -= length === 0 ? 1 : (bytes[start] as number);
      start++;
    }
    const priority = (flags & Flag.PRIORITY) !== 0;
    const dependency = start;
    if (priority) start += 5;
    if (start > end) {
      this.#fail(ErrorCode.PROTOCOL_ERROR, "HEADERS with more padding than it has bytes");
      return;
    }
    const last = (flags & Flag.END_HEADERS) !== 0;
    if (!last) this.#continues = streamId;
    if (priority && (uint32(bytes, dependency) & streamIdMax) === streamId) {
      this.#fail(ErrorCode.PROTOCOL_ERROR, "a stream that depends on itself");
      return;
    }
    this.#sink.onHeaderBlock(streamId, bytes, start, end, true, last, (flags & Flag.END_STREAM) !== 0);
  }

  #continuation(bytes: Buffer, start: number, length: number, flags: number, streamId: number): void {
    if (this.#continues === 0) {
      this.#fail(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without a header block");
      return;
    }
    const last = (flags & Flag.END_HEADERS) !== 0;
    if (last) this.#continues = 0;
    this.#sink.onHeaderBlock(streamId, bytes, start, start + length, false, last, false);
  }

  #priority(bytes: Buffer, start: number, length: number, streamId: number): void {
    if (length !== 5) {
      this.#sink.onStreamError(
        streamId,
        ErrorCode.FRAME_SIZE_ERROR,
        `PRIORITY of ${length} bytes instead of 5`,
      );
    } else if ((uint32(bytes, start) & streamIdMax) === streamId) {
      this.#fail(ErrorCode.PROTOCOL_ERROR, "a stream that depends on itself");
    } else this.#sink.onPriority(streamId);
  }

  #settings(bytes: Buffer, start: number, length: number, ack: boolean): void {
    if (ack ? length !== 0 : length % 6 !== 0) {
      this.#fail(ErrorCode.FRAME_SIZE_ERROR, `SETTINGS of ${length} bytes`);
      return;
    }
    this.#sink.onSettings(ack, bytes, start, start + length);
  }

  #goAway(bytes: Buffer, start: number, length: number): void {
    if (length < 8) {
      this.#fail(ErrorCode.FRAME_SIZE_ERROR, `GOAWAY of ${length} bytes`);
      return;
    }
    const debugEnd = start + Math.min(length, 8 + debugShownBytes);
    const debug = bytes.toString("latin1", start + 8, debugEnd);
    this.#sink.onGoAway(uint32(bytes, start) & streamIdMax, uint32(bytes, start + 4), debug);
  }

  #windowUpdate(bytes: Buffer, start: number, streamId: number): void {
    const increment = uint32(bytes, start) & streamIdMax;
    if (increment > 0) this.#sink.onWindowUpdate(streamId, increment);
    else if (streamId === 0) this.#fail(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE by 0");
    else this.#sink.onStreamError(streamId, ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE by 0");
  }
}

function uint32(bytes: Buffer, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  );
}
