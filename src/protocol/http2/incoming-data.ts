import type { Http2Options } from "./options.js";
import { ReceiveWindow } from "./receive-window.js";
import type { Http2Stream } from "./stream.js";
import { ErrorCode } from "./wire/frame.js";

/** What incoming DATA needs of its session. */
export interface IncomingDataHost {
  readonly closed: boolean;
  readonly options: Readonly<Http2Options>;
  streamOf(streamId: number): Http2Stream | undefined;
  /** DATA of a stream that is not open, or not any more. */
  onLateData(streamId: number): void;
  /** A frame that brings nothing. */
  onEmptyData(): void;
  /** Content has come. */
  onContent(): void;
  onRemoteEnd(stream: Http2Stream): void;
  streamError(streamId: number, code: number, reason: string): void;
  tooMuchData(): void;
  /** Lets the peer send more on a stream; 0: on all of them. */
  grant(streamId: number, bytes: number): void;
}

/** Passes the content of DATA frames on to its streams, and keeps the windows in which the peer may send it. */
export class IncomingData {
  readonly #host: IncomingDataHost;
  readonly #window: ReceiveWindow;
  /** The stream whose DATA is passed on, what is left of the frame, and whether it is the last. */
  #stream: Http2Stream | undefined;
  #leftBytes = 0;
  #ends = false;

  constructor(host: IncomingDataHost) {
    this.#host = host;
    this.#window = new ReceiveWindow(host.options);
  }

  get starved(): boolean {
    return this.#window.starved;
  }

  /** A DATA frame begins. See `FrameSink`. */
  begin(streamId: number, flowBytes: number, endStream: boolean): void {
    const host = this.#host;
    this.#stream = undefined;
    this.#leftBytes = flowBytes;
    this.#ends = endStream;
    if (!this.#window.take(flowBytes)) {
      host.tooMuchData();
      return;
    }
    const stream = host.streamOf(streamId);
    if (stream === undefined) {
      host.onLateData(streamId);
      return;
    }
    stream.receiveWindow -= flowBytes;
    if (stream.remoteEnded)
      host.streamError(streamId, ErrorCode.STREAM_CLOSED, "DATA behind the end of the stream");
    else if (stream.receiveWindow < 0) {
      host.streamError(streamId, ErrorCode.FLOW_CONTROL_ERROR, "more DATA than the stream's window");
    } else if (!stream.responded) {
      host.streamError(streamId, ErrorCode.PROTOCOL_ERROR, "DATA in front of the headers");
    } else this.#stream = stream;
  }

  add(buffer: Buffer, start: number, end: number, last: boolean): void {
    const count = end - start;
    this.#leftBytes -= count;
    const stream = this.#stream;
    const ends = last && this.#ends;
    if (count > 0) this.#host.onContent();
    else if (!ends) this.#host.onEmptyData();
    if (stream === undefined || stream.closed) return;
    stream.receivedBytes += count;
    const { expectedBytes } = stream;
    if (
      expectedBytes >= 0 &&
      (stream.receivedBytes > expectedBytes || (ends && stream.receivedBytes < expectedBytes))
    ) {
      const text = "content-length is not the length of the body";
      this.#host.streamError(stream.id, ErrorCode.PROTOCOL_ERROR, text);
      return;
    }
    if (ends) stream.remoteEnded = true;
    if (stream.handler !== undefined) {
      stream.unconsumedBytes += count;
      this.#window.unreadBytes += count;
      if (count > 0 || ends) stream.handler.onData(stream, buffer, start, end, ends);
    }
    if (ends) this.#host.onRemoteEnd(stream);
    // Padding, and data that nobody reads.
    else if (stream.handler === undefined || this.#leftBytes > 0) this.giveBack(stream, 0);
  }

  /** What the stream was given back; 0 when there is only its padding. */
  giveBack(stream: Http2Stream, bytes: number): void {
    const count = Math.min(bytes, stream.unconsumedBytes);
    stream.unconsumedBytes -= count;
    this.#window.unreadBytes -= count;
    if (count > 0) this.grantWindow();
    if (stream.closed || stream.remoteEnded) return;
    const { receiveTarget } = stream;
    const free = receiveTarget - stream.receiveWindow - stream.unconsumedBytes;
    if (free >= receiveTarget / 2) this.#refill(stream, free);
  }

  #refill(stream: Http2Stream, free: number): void {
    const { receiveTarget } = stream;
    // A stream that has used its window twice gets a larger one.
    if (stream.receivedBytes >= receiveTarget * 2) {
      const mostBytes = Math.max(receiveTarget, this.#host.options.windowMaxBytes);
      stream.receiveTarget = Math.min(receiveTarget * 2, mostBytes);
    }
    const grant = free + stream.receiveTarget - receiveTarget;
    stream.receiveWindow += grant;
    this.#host.grant(stream.id, grant);
  }

  /** Refills the window of the connection. */
  grantWindow(): void {
    if (this.#host.closed) return;
    const bytes = this.#window.grant();
    if (bytes > 0) this.#host.grant(0, bytes);
  }

  /** The stream is over: what lay unread of it is nobody's. */
  drop(stream: Http2Stream): void {
    if (stream.unconsumedBytes === 0) return;
    this.#window.unreadBytes -= stream.unconsumedBytes;
    stream.unconsumedBytes = 0;
    this.grantWindow();
  }

  /** The connection is over. */
  close(): void {
    this.#window.close();
  }
}
