import type { Clock } from "../../base/clock.js";
import { messages } from "../../error/messages.js";
import type { Connection } from "../../transport/transport.js";
import { ClosedStreams } from "./closed-streams.js";
import { Http2Endpoint } from "./endpoint.js";
import { HeaderBlock } from "./header-block.js";
import type { Http2Options } from "./options.js";
import { ReceiveWindow } from "./receive-window.js";
import { SendTurns } from "./send-turns.js";
import { applySettings, PeerSettings } from "./settings.js";
import type { Http2Stream, StreamFailure, StreamHandler, StreamHost } from "./stream.js";
import {
  ConnectionError,
  defaultTableBytes,
  defaultWindowBytes,
  ErrorCode,
  windowMaxBytes,
} from "./wire/frame.js";
import type { FrameSink } from "./wire/frame-decoder.js";
import {
  writePing,
  writeReset,
  writeSettings,
  writeSettingsAck,
  writeWindowUpdate,
} from "./wire/frame-writer.js";
import { HeaderList } from "./wire/header-field.js";
import { HpackDecoder } from "./wire/hpack-decoder.js";
import { HpackEncoder, type OutgoingField, type PreparedHeaders } from "./wire/hpack-encoder.js";

/** What both sides of an HTTP/2 connection have in common: frames and streams. */
export abstract class Http2Session extends Http2Endpoint implements FrameSink, StreamHost {
  /** @internal */
  readonly encoder = new HpackEncoder();
  /** @internal What we may send on all streams. */
  sendWindow = defaultWindowBytes;
  protected readonly peer = new PeerSettings();
  protected readonly streams = new Map<number, Http2Stream>();
  protected readonly turns: SendTurns;
  protected readonly closedStreams = new ClosedStreams();
  /** How a stream ended before its handler was known. */
  protected failedEarly: StreamFailure | undefined;
  readonly #window: ReceiveWindow;
  readonly #hpack: HpackDecoder;
  readonly #list = new HeaderList();
  #block: HeaderBlock | undefined;
  /** The stream whose DATA is passed on, what is left of the frame, and whether it is the last. */
  #dataStream: Http2Stream | undefined;
  #dataLeft = 0;
  #dataEnds = false;

  constructor(connection: Connection, clock: Clock, options: Readonly<Http2Options>) {
    super(connection, clock, options);
    this.turns = new SendTurns(this);
    this.#window = new ReceiveWindow(options);
    this.#hpack = new HpackDecoder(options.headers, defaultTableBytes);
  }

  protected sink(): FrameSink {
    return this;
  }

  /** @internal */
  get peerMaxFrameBytes(): number {
    return this.peer.maxFrameBytes;
  }

  /** The largest header list that the peer takes, by its SETTINGS, bytes; a hint. */
  get peerHeaderListMaxBytes(): number {
    return this.peer.headerListMaxBytes;
  }

  /** Bytes that wait to be sent: for the peer's windows, and for the system. */
  get pendingBytes(): number {
    return this.turns.bytes + this.output.pendingBytes;
  }

  /**
   * Fields that are sent again and again, to be given to `headers`, `end` and `open` of this session and no other. They are
   * encoded once.
   */
  prepare(fields: readonly OutgoingField[]): PreparedHeaders {
    return this.encoder.prepare(fields);
  }

  /** Of the streams that are open. */
  get handlers(): StreamHandler[] {
    const found: StreamHandler[] = [];
    for (const { handler } of this.streams.values()) if (handler !== undefined) found.push(handler);
    return found;
  }

  /** The stream of this number, while it is open. */
  streamOf(streamId: number): Http2Stream | undefined {
    return this.streams.get(streamId);
  }

  /** Takes the connection's events, and sends what comes first on each side. */
  protected begin(settings: ReadonlyArray<readonly [id: number, value: number]>): void {
    this.connection.setHandler(this);
    writeSettings(this.output.writer, settings);
    this.output.frameWritten();
    this.#grantWindow();
    this.live.begin();
  }

  // --- frames ---

  onHeaderBlock(
    streamId: number,
    buffer: Buffer,
    start: number,
    end: number,
    first: boolean,
    last: boolean,
    endStream: boolean,
  ): void {
    if (first && last) {
      this.#onWholeBlock(streamId, buffer, start, end, endStream);
      return;
    }
    if (first) {
      this.#block = new HeaderBlock(streamId, endStream);
      this.live.blockBegun(this.nowMs);
    }
    const block = this.#block as HeaderBlock;
    const wrong = block.add(buffer, start, end);
    if (wrong !== undefined) this.fail(wrong);
    else if (last) {
      this.#block = undefined;
      const whole = block.whole();
      this.#onWholeBlock(streamId, whole, 0, whole.length, block.endStream);
    }
  }

  #onWholeBlock(streamId: number, buffer: Buffer, start: number, end: number, endStream: boolean): void {
    const list = this.#list;
    const wrong = this.#hpack.decode(buffer, start, end, list);
    if (wrong !== undefined) {
      this.fail(new ConnectionError(ErrorCode.COMPRESSION_ERROR, wrong));
      return;
    }
    this.oddities.earn();
    this.live.doubted = false;
    const stream = this.streams.get(streamId);
    if (stream !== undefined) this.onStreamHeaders(stream, list, endStream);
    else this.onNewHeaders(streamId, list, endStream);
  }

  onDataFrame(streamId: number, flowBytes: number, endStream: boolean): void {
    this.live.doubted = false;
    this.#dataStream = undefined;
    this.#dataLeft = flowBytes;
    this.#dataEnds = endStream;
    if (!this.#window.take(flowBytes)) {
      this.fail(new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "more DATA than the connection's window"));
      return;
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      this.#onLateData(streamId);
      return;
    }
    stream.receiveWindow -= flowBytes;
    if (stream.remoteEnded)
      this.streamError(streamId, ErrorCode.STREAM_CLOSED, "DATA behind the end of the stream");
    else if (stream.receiveWindow < 0) {
      this.streamError(streamId, ErrorCode.FLOW_CONTROL_ERROR, "more DATA than the stream's window");
    } else if (!stream.responded) {
      this.streamError(streamId, ErrorCode.PROTOCOL_ERROR, "DATA in front of the headers");
    } else this.#dataStream = stream;
  }

  #onLateData(streamId: number): void {
    if (this.closedStreams.isLate(streamId) || this.ignores(streamId)) return;
    if (this.isIdle(streamId)) {
      this.fail(new ConnectionError(ErrorCode.PROTOCOL_ERROR, `DATA on stream ${streamId}, which is idle`));
    } else
      this.fail(new ConnectionError(ErrorCode.STREAM_CLOSED, `DATA on stream ${streamId}, which is closed`));
  }

  onDataBytes(buffer: Buffer, start: number, end: number, last: boolean): void {
    const count = end - start;
    this.#dataLeft -= count;
    const stream = this.#dataStream;
    const ends = last && this.#dataEnds;
    if (count > 0) this.oddities.earn();
    else if (!ends) this.oddity("DATA without content");
    if (stream === undefined || stream.closed) return;
    stream.receivedBytes += count;
    const { expectedBytes } = stream;
    if (
      expectedBytes >= 0 &&
      (stream.receivedBytes > expectedBytes || (ends && stream.receivedBytes < expectedBytes))
    ) {
      this.streamError(stream.id, ErrorCode.PROTOCOL_ERROR, "content-length is not the length of the body");
      return;
    }
    if (ends) stream.remoteEnded = true;
    if (stream.handler !== undefined) {
      stream.unconsumedBytes += count;
      this.#window.unreadBytes += count;
      if (count > 0 || ends) stream.handler.onData(stream, buffer, start, end, ends);
    }
    if (ends) this.onRemoteEnd(stream);
    // Padding, and data that nobody reads.
    else if (stream.handler === undefined || this.#dataLeft > 0) this.onConsumed(stream, 0);
  }

  /** The peer has ended its half. */
  protected onRemoteEnd(stream: Http2Stream): void {
    stream.remoteEnded = true;
    if (stream.localEnded && stream.waiting === undefined && !stream.closed) this.#endedByBoth(stream);
  }

  /** @internal Our half has left. */
  onLocalEnd(stream: Http2Stream): void {
    if (stream.closed) return;
    if (stream.remoteEnded) this.#endedByBoth(stream);
    else this.onEarlyEnd(stream);
  }

  #endedByBoth(stream: Http2Stream): void {
    this.onEndedByBoth();
    this.forget(stream);
  }

  onPriority(_streamId: number): void {
    this.oddity("PRIORITY");
  }

  onUnknown(type: number): void {
    this.oddity(`frames of type ${type}`);
  }

  onReset(streamId: number, code: number): void {
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      if (this.isIdle(streamId)) {
        this.fail(
          new ConnectionError(ErrorCode.PROTOCOL_ERROR, `RST_STREAM on stream ${streamId}, which is idle`),
        );
      } else this.oddity("RST_STREAM of closed streams");
      return;
    }
    this.onPeerReset(stream, code);
    this.countReset("streams reset");
  }

  onSettings(ack: boolean, buffer: Buffer, start: number, end: number): void {
    this.oddity("SETTINGS");
    if (this.closed) return;
    if (ack) {
      this.#onSettingsAck();
      return;
    }
    const before = this.peer.windowBytes;
    const wrong = applySettings(this.peer, buffer, start, end);
    if (wrong !== undefined) {
      this.fail(wrong);
      return;
    }
    this.encoder.setTableMax(this.peer.tableBytes);
    const grown = this.peer.windowBytes - before;
    for (const stream of this.streams.values()) {
      stream.sendWindow += grown;
      if (stream.sendWindow > windowMaxBytes) {
        this.fail(new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "SETTINGS make a window too large"));
        return;
      }
      this.turns.add(stream);
    }
    this.answer(writeSettingsAck);
    const first = !this.live.settingsSeen;
    this.live.settingsSeen = true;
    this.onPeerSettings(first);
    this.turns.pump();
  }

  #onSettingsAck(): void {
    if (this.live.settingsAcked) return;
    this.live.settingsAcked = true;
    // Until now the peer may have used the default window.
    const excess = defaultWindowBytes - this.options.windowBytes;
    if (excess > 0) for (const stream of this.streams.values()) stream.receiveWindow -= excess;
  }

  onPing(ack: boolean, buffer: Buffer, start: number): void {
    this.oddity("PING");
    if (ack) {
      this.onPingAck(buffer, start);
      return;
    }
    if (!this.closed) this.answer((writer) => writePing(writer, true, buffer, start));
  }

  onWindowUpdate(streamId: number, increment: number): void {
    if (streamId === 0) {
      this.sendWindow += increment;
      if (this.sendWindow > windowMaxBytes) {
        this.fail(new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "WINDOW_UPDATE beyond 2^31-1"));
        return;
      }
    } else {
      const stream = this.streams.get(streamId);
      if (stream === undefined) {
        if (this.isIdle(streamId)) {
          const text = `WINDOW_UPDATE on stream ${streamId}, which is idle`;
          this.fail(new ConnectionError(ErrorCode.PROTOCOL_ERROR, text));
        } else this.oddity("WINDOW_UPDATE of closed streams");
        return;
      }
      stream.sendWindow += increment;
      if (stream.sendWindow > windowMaxBytes) {
        this.streamError(streamId, ErrorCode.FLOW_CONTROL_ERROR, "WINDOW_UPDATE beyond 2^31-1");
        return;
      }
      this.turns.add(stream);
    }
    if (this.turns.bytes > 0) this.turns.pump();
  }

  onStreamError(streamId: number, code: number, reason: string): void {
    if (this.isIdle(streamId))
      this.fail(new ConnectionError(code, `${reason}, on stream ${streamId}, which is idle`));
    else if (this.streams.has(streamId)) this.streamError(streamId, code, reason);
    else this.oddity(reason);
  }

  // --- streams ---

  /** @internal What the stream was given back; 0 when there is only its padding. */
  onConsumed(stream: Http2Stream, bytes: number): void {
    const count = Math.min(bytes, stream.unconsumedBytes);
    stream.unconsumedBytes -= count;
    this.#window.unreadBytes -= count;
    if (count > 0) this.#grantWindow();
    if (stream.closed || stream.remoteEnded) return;
    const { receiveTarget } = stream;
    const free = receiveTarget - stream.receiveWindow - stream.unconsumedBytes;
    if (free < receiveTarget / 2) return;
    // A stream that has used its window twice gets a larger one.
    const grows = stream.receivedBytes >= receiveTarget * 2;
    if (grows)
      stream.receiveTarget = Math.min(
        receiveTarget * 2,
        Math.max(receiveTarget, this.options.windowMaxBytes),
      );
    const grant = free + stream.receiveTarget - receiveTarget;
    stream.receiveWindow += grant;
    writeWindowUpdate(this.output.writer, stream.id, grant);
    this.output.frameWritten();
  }

  #grantWindow(): void {
    const bytes = this.#window.grant();
    if (bytes <= 0 || this.closed) return;
    writeWindowUpdate(this.output.writer, 0, bytes);
    this.output.frameWritten();
  }

  /** @internal A DATA frame of ours has been written. */
  onDataSent(): void {
    this.oddities.earn();
  }

  /** @internal */
  onQueued(stream: Http2Stream, bytes: number): void {
    this.turns.bytes += bytes;
    this.turns.add(stream);
    this.turns.pump();
    if (this.pendingBytes <= this.options.unwrittenMaxBytes || stream.closed) return;
    const reason = messages.http2TooMuchUnwritten(this.options.unwrittenMaxBytes);
    this.sendReset(stream.id, ErrorCode.ENHANCE_YOUR_CALM);
    this.closedStreams.addLate(stream.id);
    this.endStream(stream, { code: ErrorCode.ENHANCE_YOUR_CALM, remote: false, unprocessed: false, reason });
  }

  /** @internal */
  resetStream(stream: Http2Stream, code: number): void {
    this.sendReset(stream.id, code);
    if (!stream.remoteEnded) this.closedStreams.addLate(stream.id);
    this.forget(stream);
  }

  /** The peer broke a rule on one stream. */
  protected streamError(streamId: number, code: number, reason: string): void {
    this.sendReset(streamId, code);
    const stream = this.streams.get(streamId);
    if (stream === undefined || !stream.remoteEnded) this.closedStreams.addLate(streamId);
    if (stream !== undefined) this.endStream(stream, { code, remote: false, unprocessed: false, reason });
    this.countReset("errors on streams");
  }

  protected sendReset(streamId: number, code: number): void {
    this.answer((writer) => writeReset(writer, streamId, code));
  }

  /** It is over, before both sides have ended it. */
  protected endStream(stream: Http2Stream, failure: StreamFailure): void {
    if (stream.closed) return;
    const handler = this.hasResponse(stream) ? undefined : stream.handler;
    if (failure.remote) stream.remoteEnded = true;
    if (handler !== undefined) stream.held = true;
    this.forget(stream);
    if (stream.handler === undefined) this.failedEarly = failure;
    handler?.onReset(stream, failure);
  }

  protected forget(stream: Http2Stream): void {
    stream.closed = true;
    this.streams.delete(stream.id);
    this.turns.drop(stream);
    if (stream.unconsumedBytes > 0) {
      this.#window.unreadBytes -= stream.unconsumedBytes;
      stream.unconsumedBytes = 0;
      this.#grantWindow();
    }
    if (stream.remoteEnded) this.closedStreams.addEnded(stream.id);
    if (!stream.held) this.freeSlot(stream);
    this.onStreamClosed(stream);
  }

  /** Its first frame has not left the process. */
  #neverSent(stream: Http2Stream): boolean {
    return stream.openedBy > this.output.flushed;
  }

  protected get streamWindowBytes(): number {
    const { windowBytes } = this.options;
    return this.live.settingsAcked ? windowBytes : Math.max(windowBytes, defaultWindowBytes);
  }

  protected failStreams(reason: string, lost: boolean): void {
    for (const stream of [...this.streams.values()]) {
      const unprocessed = this.#neverSent(stream);
      this.endStream(stream, { code: ErrorCode.CANCEL, remote: lost, unprocessed, reason });
    }
  }

  protected onWorked(): void {
    this.#grantWindow();
  }

  protected onRoomToSend(): void {
    this.turns.pump();
  }

  /** @internal */
  abstract freeSlot(stream: Http2Stream): void;
  abstract onGoAway(lastStreamId: number, code: number, debug: string): void;
  protected abstract isIdle(streamId: number): boolean;
  /** Its frames are ignored: it arrived after our GOAWAY. */
  protected abstract ignores(streamId: number): boolean;
  protected abstract onNewHeaders(streamId: number, list: HeaderList, endStream: boolean): void;
  protected abstract onStreamHeaders(stream: Http2Stream, list: HeaderList, endStream: boolean): void;
  /** A stream was reset, by the peer or for its errors. */
  protected abstract countReset(what: string): void;
  /** A stream has ended normally. */
  protected abstract onEndedByBoth(): void;
  /** At a client: the response is whole, so that its handler has been told the end. */
  protected abstract hasResponse(stream: Http2Stream): boolean;
  protected abstract onEarlyEnd(stream: Http2Stream): void;
  protected abstract onPeerReset(stream: Http2Stream, code: number): void;
  protected abstract onPeerSettings(first: boolean): void;
  protected abstract onPingAck(buffer: Buffer, start: number): void;
  protected abstract onStreamClosed(stream: Http2Stream): void;
}
