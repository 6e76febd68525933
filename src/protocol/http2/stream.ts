import type { Writer } from "../../protobuf/writer.js";
import { OutgoingData } from "./outgoing-data.js";
import type { Output } from "./output.js";
import { ErrorCode, frameHeaderBytes } from "./wire/frame.js";
import { finishData, finishHeaders, reserveFrameHeader } from "./wire/frame-writer.js";
import type { HeaderList } from "./wire/header-field.js";
import type { HpackEncoder, OutgoingField, PreparedHeaders } from "./wire/hpack-encoder.js";

/** Why a stream ended early. */
export interface StreamFailure {
  /** One of `ErrorCode`. */
  readonly code: number;
  /** The peer reset it; otherwise we did, or the connection is closed. */
  readonly remote: boolean;
  /** The peer has certainly not processed it. */
  readonly unprocessed: boolean;
  readonly reason: string;
}

/** The events of a stream for the layer above. Buffers and header lists are reused as soon as the callback returns. */
export interface StreamHandler {
  /**
   * A part of the body: `bytes[start..end)`. It counts against the stream's window until it is given back with
   * `stream.consumed`. `endStream`: it is the last; may come with no bytes.
   */
  onData(stream: Http2Stream, bytes: Buffer, start: number, end: number, endStream: boolean): void;
  /** The last the peer sends: fields behind the body. */
  onTrailers(stream: Http2Stream, headers: HeaderList): void;
  /** There is room again after a write that returned false. */
  onWritable(stream: Http2Stream): void;
  /** It ended before both sides had ended it. Called once, as the last event. */
  onReset(stream: Http2Stream, failure: StreamFailure): void;
}

/** What a stream needs of its session. */
export interface StreamHost {
  readonly output: Output;
  readonly encoder: HpackEncoder;
  /** What we may send on all streams. */
  sendWindow: number;
  readonly peerMaxFrameBytes: number;
  /** A DATA frame has been written. */
  onDataSent(): void;
  /** Content waits on the stream. */
  onQueued(stream: Http2Stream, bytes: number): void;
  /** Our half was sent. */
  onLocalEnd(stream: Http2Stream): void;
  /** The layer above has read `bytes`. */
  onConsumed(stream: Http2Stream, bytes: number): void;
  resetStream(stream: Http2Stream, code: number): void;
  freeSlot(stream: Http2Stream): void;
}

/**
 * One request and its response, at either side. Both sides end their half, and then it is closed; `reset` by either ends it at
 * once. Calls on a stream that is closed do nothing.
 */
export class Http2Stream {
  readonly id: number;
  /** @internal */
  readonly session: StreamHost;
  handler: StreamHandler | undefined = undefined;
  /** Closed, for whatever reason. */
  closed = false;
  /** We have ended our half; its last frame was sent or is queued. */
  localEnded = false;
  remoteEnded = false;
  /** The final response headers have arrived; the next header block is a trailer. */
  responded = false;
  /** @internal What we may send, and the peer. */
  sendWindow: number;
  /** @internal */
  receiveWindow: number;
  /** @internal What `receiveWindow` is filled up to. */
  receiveTarget: number;
  /** @internal */
  receivedBytes = 0;
  /** @internal Passed on, and not given back yet. */
  unconsumedBytes = 0;
  /** @internal What content-length says is to come, or -1. */
  expectedBytes = -1;
  /** @internal What waits for a window, or for the system. */
  waiting: OutgoingData | undefined = undefined;
  /** @internal A write returned false. */
  owesWritable = false;
  /** @internal Counts against the limit of the peer's streams. */
  hasSlot = false;
  /** @internal Its work may go on after it is closed. */
  held = false;
  /** @internal Which frame of the output opened it. */
  openedBy = 0;
  #dataAt = 0;

  /** @internal */
  constructor(session: StreamHost, id: number, sendWindow: number, receiveWindow: number) {
    this.session = session;
    this.id = id;
    this.sendWindow = sendWindow;
    this.receiveWindow = this.receiveTarget = receiveWindow;
  }

  /** Bytes that wait for the peer's window or for the system. */
  get queuedBytes(): number {
    return this.waiting?.bytes ?? 0;
  }

  /** Sends the header block that comes first: a response's (interim ones before it), not a request's, which `open` sends. */
  headers(prepared: PreparedHeaders | undefined, extra?: readonly OutgoingField[], endStream = false): void {
    if (this.closed || this.localEnded) return;
    this.writeHeaders(prepared, extra, endStream);
  }

  /** @internal */
  writeHeaders(
    prepared: PreparedHeaders | undefined,
    extra: readonly OutgoingField[] | undefined,
    endStream: boolean,
  ): void {
    const { session } = this;
    const { writer } = session.output;
    const at = reserveFrameHeader(writer);
    session.encoder.encode(writer, prepared, extra);
    finishHeaders(writer, at, session.peerMaxFrameBytes, endStream, this.id);
    session.output.frameWritten();
    if (endStream) this.#ended();
  }

  /**
   * Begins a DATA frame in the connection's own output: write the content to what it returns, then `endData` in the same turn,
   * and nothing else to this connection in between. Needs no copy when the windows have room.
   */
  beginData(): Writer {
    const { writer } = this.session.output;
    this.#dataAt = reserveFrameHeader(writer);
    return writer;
  }

  /** Bytes of content since `beginData`. */
  get dataBytes(): number {
    return this.session.output.writer.position - this.#dataAt - frameHeaderBytes;
  }

  /** Removes the frame that `beginData` began. */
  abortData(): void {
    this.session.output.writer.position = this.#dataAt;
  }

  /**
   * Completes what `beginData` began; longer content leaves in several frames. Returns whether there is room for more; if not,
   * `onWritable` follows.
   */
  endData(endStream: boolean): boolean {
    const { session } = this;
    const { output } = session;
    const at = this.#dataAt;
    const length = output.writer.position - at - frameHeaderBytes;
    if (this.closed || this.localEnded) {
      output.writer.position = at;
      return true;
    }
    const fits =
      length === 0 || (length <= this.sendWindow && length <= session.sendWindow && output.takesData);
    if (fits && this.waiting === undefined) {
      this.sendWindow -= length;
      session.sendWindow -= length;
      finishData(output.writer, at, session.peerMaxFrameBytes, endStream, this.id);
      session.onDataSent();
      output.frameWritten();
      if (endStream) this.#ended();
      return true;
    }
    const start = at + frameHeaderBytes;
    const content = Buffer.from(output.writer.buffer.subarray(start, start + length));
    output.writer.position = at;
    return this.#queue(content, endStream);
  }

  /** Sends a part of the body, as `beginData` and `endData` do. Waiting data is kept without a copy, so do not change it. */
  write(bytes: Buffer, endStream: boolean): boolean {
    if (this.closed || this.localEnded) return true;
    const { session } = this;
    const { length } = bytes;
    if (this.waiting === undefined && length <= this.sendWindow && length <= session.sendWindow) {
      if (session.output.takesData) {
        const writer = this.beginData();
        writer.ensure(length);
        writer.buffer.set(bytes, writer.position);
        writer.position += length;
        return this.endData(endStream);
      }
    }
    return this.#queue(bytes, endStream);
  }

  #queue(content: Buffer, endStream: boolean): boolean {
    this.waiting ??= new OutgoingData();
    this.waiting.add(content);
    if (endStream) this.#endWith(this.waiting, undefined, undefined, false);
    this.session.onQueued(this, content.length);
    if (this.waiting === undefined || this.waiting.hasRoom) return true;
    this.owesWritable = true;
    return false;
  }

  /** Ends our half, with trailers, after unsent data. */
  end(prepared: PreparedHeaders | undefined, extra?: readonly OutgoingField[]): void {
    if (this.closed || this.localEnded) return;
    if (this.waiting === undefined) this.writeHeaders(prepared, extra, true);
    else this.#endWith(this.waiting, prepared, extra, true);
  }

  #endWith(
    waiting: OutgoingData,
    prepared: PreparedHeaders | undefined,
    extra: readonly OutgoingField[] | undefined,
    trailers: boolean,
  ): void {
    this.localEnded = true;
    waiting.ends = true;
    if (trailers) waiting.trailers = { prepared, extra };
  }

  /** Ends it at once, both ways. Unsent data is dropped. The handler is not notified. */
  reset(code: number = ErrorCode.CANCEL): void {
    if (!this.closed) this.session.resetStream(this, code);
  }

  /** Returns `bytes` received by `onData` to the peer's window. */
  consumed(bytes: number): void {
    this.session.onConsumed(this, bytes);
  }

  /** At a server: it still counts when it is closed, because its work goes on, until `release`. */
  hold(): void {
    this.held = true;
  }

  /**
   * At a server: its work is over. Must be called once after `onReset`, and after `hold`. Until then it counts against the limit
   * of streams; otherwise a peer could start any number of handlers by resetting one stream after the other.
   */
  release(): void {
    this.held = false;
    if (this.closed) this.session.freeSlot(this);
  }

  /** @internal Our last frame was written. */
  #ended(): void {
    this.localEnded = true;
    this.session.onLocalEnd(this);
  }

  /** @internal What waited has left, its end among it. */
  onWaitingGone(): void {
    if (this.localEnded) this.session.onLocalEnd(this);
  }
}
