import type { Clock } from "../../base/clock.js";
import { messages } from "../../error/messages.js";
import type { Connection } from "../../transport/transport.js";
import { ClosedStreams } from "./closed-streams.js";
import { Http2Endpoint } from "./endpoint.js";
import { HeaderBlock } from "./header-block.js";
import { IncomingData, type IncomingDataHost } from "./incoming-data.js";
import type { Http2Options } from "./options.js";
import { SendTurns } from "./send-turns.js";
import { applySettings, PeerSettings } from "./settings.js";
import type { Http2Stream, StreamFailure, StreamHandler, StreamHost } from "./stream.js";
import { StreamTable } from "./stream-table.js";
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
export abstract class Http2Session extends Http2Endpoint implements FrameSink, StreamHost, IncomingDataHost {
  /** @internal */
  readonly encoder = new HpackEncoder();
  /** @internal What we may send on all streams. */
  sendWindow = defaultWindowBytes;
  protected readonly peer = new PeerSettings();
  protected readonly streams = new StreamTable<Http2Stream>();
  protected readonly turns: SendTurns;
  protected readonly closedStreams = new ClosedStreams();
  /** How a stream ended before its handler was known. */
  protected failedEarly: StreamFailure | undefined;
  readonly #incoming: IncomingData;
  readonly #hpack: HpackDecoder;
  readonly #list = new HeaderList();
  #block: HeaderBlock | undefined;

  constructor(connection: Connection, clock: Clock, options: Readonly<Http2Options>) {
    super(connection, clock, options);
    this.turns = new SendTurns(this);
    this.#incoming = new IncomingData(this);
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
    for (const { handler } of this.streams.all()) if (handler !== undefined) found.push(handler);
    return found;
  }

  /** The peer has used all of the connection's window, which waits for readers. */
  get starved(): boolean {
    return this.#incoming.starved;
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
    this.#incoming.grantWindow();
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
    this.#incoming.begin(streamId, flowBytes, endStream);
  }

  onDataBytes(buffer: Buffer, start: number, end: number, last: boolean): void {
    this.#incoming.add(buffer, start, end, last);
  }

  /** @internal */
  tooMuchData(): void {
    this.fail(new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "more DATA than the connection's window"));
  }

  /** @internal */
  onContent(): void {
    this.oddities.earn();
  }

  /** @internal */
  onEmptyData(): void {
    this.oddity("DATA without content");
  }

  /** @internal */
  onLateData(streamId: number): void {
    if (this.closedStreams.isLate(streamId) || this.ignores(streamId)) return;
    if (this.isIdle(streamId)) {
      this.fail(new ConnectionError(ErrorCode.PROTOCOL_ERROR, `DATA on stream ${streamId}, which is idle`));
    } else
      this.fail(new ConnectionError(ErrorCode.STREAM_CLOSED, `DATA on stream ${streamId}, which is closed`));
  }

  /** @internal The peer has ended its half. */
  onRemoteEnd(stream: Http2Stream): void {
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
    for (const stream of this.streams.all()) {
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
    if (excess > 0) for (const stream of this.streams.all()) stream.receiveWindow -= excess;
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
    else if (this.streams.get(streamId) !== undefined) this.streamError(streamId, code, reason);
    else this.oddity(reason);
  }

  // --- streams ---

  /** @internal */
  onConsumed(stream: Http2Stream, bytes: number): void {
    this.#incoming.giveBack(stream, bytes);
  }

  /** @internal */
  grant(streamId: number, bytes: number): void {
    writeWindowUpdate(this.output.writer, streamId, bytes);
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

  /** @internal The peer broke a rule on one stream. */
  streamError(streamId: number, code: number, reason: string): void {
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
    this.streams.delete(stream);
    this.turns.drop(stream);
    this.#incoming.drop(stream);
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
    for (const stream of this.streams.all()) {
      const unprocessed = this.#neverSent(stream);
      this.endStream(stream, { code: ErrorCode.CANCEL, remote: lost, unprocessed, reason });
    }
    this.#incoming.close();
  }

  protected onWorked(): void {
    this.#incoming.grantWindow();
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
