import type { Http2Stream, StreamHost } from "./stream.js";
import { finishData, reserveFrameHeader } from "./wire/frame-writer.js";

/** Streams that have something to send take turns with frames of this size at most, bytes. */
const turnBytes = 16_384;

/** Sends what waits on the streams of a connection, as windows and the system have room: a frame of each in turn. */
export class SendTurns {
  readonly #session: StreamHost;
  /** Those whose own window has room. */
  readonly #ready = new Set<Http2Stream>();
  /** What waits on all streams, bytes. */
  bytes = 0;

  constructor(session: StreamHost) {
    this.#session = session;
  }

  /** Something waits on the stream, or its window has grown. */
  add(stream: Http2Stream): void {
    if (stream.waiting !== undefined && (stream.sendWindow > 0 || stream.waiting.bytes === 0)) {
      this.#ready.add(stream);
    }
  }

  /** The stream is closed: what waits on it is never sent. */
  drop(stream: Http2Stream): void {
    if (stream.waiting === undefined) return;
    this.bytes -= stream.waiting.bytes;
    stream.waiting = undefined;
    this.#ready.delete(stream);
  }

  pump(): void {
    const session = this.#session;
    for (const stream of this.#ready) {
      if (!session.output.takesData) return;
      const waiting = stream.waiting;
      this.#ready.delete(stream);
      if (waiting === undefined) continue;
      if (waiting.bytes > 0 && session.sendWindow <= 0) {
        // The connection's window is used up. Those without content, which only end, need none.
        this.#ready.add(stream);
        if (!this.#anyEmpty()) return;
        continue;
      }
      this.#sendFrame(stream);
    }
  }

  #anyEmpty(): boolean {
    for (const stream of this.#ready) if (stream.waiting?.bytes === 0) return true;
    return false;
  }

  #sendFrame(stream: Http2Stream): void {
    const session = this.#session;
    const { output } = session;
    const waiting = stream.waiting;
    if (waiting === undefined) return;
    const most = Math.min(turnBytes, session.peerMaxFrameBytes, stream.sendWindow, session.sendWindow);
    const count = Math.max(0, Math.min(waiting.bytes, most));
    const last = count === waiting.bytes;
    const endStream = last && waiting.ends && waiting.trailers === undefined;
    if (count > 0 || endStream) {
      const { writer } = output;
      const at = reserveFrameHeader(writer);
      writer.ensure(count);
      waiting.take(writer.buffer, writer.position, count);
      writer.position += count;
      stream.sendWindow -= count;
      session.sendWindow -= count;
      this.bytes -= count;
      finishData(writer, at, session.peerMaxFrameBytes, endStream, stream.id);
      session.onDataSent();
      output.frameWritten();
    }
    if (!last) this.add(stream);
    else {
      stream.waiting = undefined;
      if (waiting.trailers !== undefined) {
        const { prepared, extra } = waiting.trailers;
        stream.writeHeaders(prepared, extra, true);
        return;
      }
      stream.onWaitingGone();
    }
    if (stream.owesWritable && waiting.hasRoom && !stream.closed && !stream.localEnded) {
      stream.owesWritable = false;
      stream.handler?.onWritable(stream);
    }
  }
}
