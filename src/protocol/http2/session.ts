import type { Clock } from "../../base/clock.js";
import { emptyBytes } from "../../protobuf/reader.js";
import type { Connection, ConnectionHandler } from "../../transport/transport.js";
import { Allowance } from "./allowance.js";
import { ClosedStreams } from "./closed-streams.js";
import { HeaderBlock } from "./header-block.js";
import { Liveness, type LivenessOwner } from "./liveness.js";
import type { Http2Options } from "./options.js";
import { Output } from "./output.js";
import { ReceiveWindow } from "./receive-window.js";
import { SendTurns } from "./send-turns.js";
import { applySettings, PeerSettings } from "./settings.js";
import type { Http2Stream, StreamFailure, StreamHandler, StreamHost } from "./stream.js";
import {
  ConnectionError,
  defaultTableBytes,
  defaultWindowBytes,
  ErrorCode,
  errorName,
  windowMaxBytes,
} from "./wire/frame.js";
import { FrameDecoder, type FrameSink } from "./wire/frame-decoder.js";
import {
  writeGoAway,
  writePing,
  writeReset,
  writeSettings,
  writeSettingsAck,
  writeWindowUpdate,
} from "./wire/frame-writer.js";
import { HeaderList } from "./wire/header-field.js";
import { HpackDecoder } from "./wire/hpack-decoder.js";
import { HpackEncoder, type OutgoingField, type PreparedHeaders } from "./wire/hpack-encoder.js";

/** The peer may make us answer this often while it reads nothing. */
const unreadAnswersMax = 1000;
/** Reading stops while more than this waits to be sent, bytes. */
const pauseAtBytes = 1024 * 1024;

/**
 * What both sides of an HTTP/2 connection have in common:
 *
 *     open --drain--> draining --streams ended, or close--> closed
 *
 * `closed` is the end for the layer above. The connection itself lives on for a moment, so that a GOAWAY arrives.
 */
export abstract class Http2Session implements ConnectionHandler, FrameSink, StreamHost, LivenessOwner {
  protected readonly clock: Clock;
  protected readonly options: Readonly<Http2Options>;
  protected readonly connection: Connection;
  /** @internal */
  readonly output: Output;
  /** @internal */
  readonly encoder = new HpackEncoder();
  /** @internal What we may send on all streams. */
  sendWindow = defaultWindowBytes;
  protected readonly peer = new PeerSettings();
  protected state: "open" | "draining" | "closed" = "open";
  protected readonly streams = new Map<number, Http2Stream>();
  protected readonly decoder: FrameDecoder;
  protected readonly turns: SendTurns;
  protected readonly live: Liveness;
  protected readonly closedStreams = new ClosedStreams();
  /** When the bytes came that are worked on. */
  protected nowMs: number;
  /** Streams that are reset, by the peer or for its errors. Handlers bound them too, but begin work each time. */
  protected readonly resets: Allowance;
  /** Frames that bring nobody anything: pings, settings, priorities, empty ones. */
  readonly #oddities: Allowance;
  readonly #window: ReceiveWindow;
  readonly #hpack: HpackDecoder;
  readonly #list = new HeaderList();
  #block: HeaderBlock | undefined;
  /** The stream whose DATA is passed on, what is left of the frame, and whether it is the last. */
  #dataStream: Http2Stream | undefined;
  #dataLeft = 0;
  #dataEnds = false;
  #unreadAnswers = 0;
  #held = false;
  #paused = false;
  #rest: Buffer = emptyBytes;
  #peerEnded = false;
  /** Closed because nothing came any more, not even an answer to a ping. */
  silent = false;
  /** Closed because the peer broke a rule. */
  malformed = false;

  constructor(connection: Connection, clock: Clock, options: Readonly<Http2Options>) {
    this.connection = connection;
    this.clock = clock;
    this.options = options;
    this.nowMs = clock.now();
    this.output = new Output(connection);
    this.decoder = new FrameDecoder(this);
    this.turns = new SendTurns(this);
    this.#window = new ReceiveWindow(options);
    this.#hpack = new HpackDecoder(options.headers, defaultTableBytes);
    this.resets = new Allowance(1000, 100, this.nowMs);
    this.#oddities = new Allowance(2000, 200, this.nowMs);
    this.live = new Liveness(this, clock, options, this.decoder);
  }

  /** `host:port` of either end. */
  get local(): string {
    return this.connection.local;
  }

  get remote(): string {
    return this.connection.remote;
  }

  /** @internal */
  get peerMaxFrameBytes(): number {
    return this.peer.maxFrameBytes;
  }

  /** Bytes that wait to be sent: for the peer's windows, and for the system. */
  get pendingBytes(): number {
    return this.turns.bytes + this.output.pendingBytes;
  }

  get closed(): boolean {
    return this.state === "closed";
  }

  /**
   * Fields that are sent again and again, to be given to `headers`, `end` and `open` of this session and no other. They are
   * encoded once.
   */
  prepare(fields: readonly OutgoingField[]): PreparedHeaders {
    return this.encoder.prepare(fields);
  }

  /** Takes the connection's events, and sends what comes first on each side. */
  protected begin(settings: ReadonlyArray<readonly [id: number, value: number]>): void {
    this.connection.setHandler(this);
    writeSettings(this.output.writer, settings);
    this.output.frameWritten();
    this.#grantWindow();
    this.live.begin();
  }

  /** Works on nothing more, from the next frame on, until `resume`. */
  hold(): void {
    this.#held = true;
    this.decoder.hold();
  }

  resume(): void {
    if (!this.#held) return;
    this.#held = false;
    const rest = this.#rest;
    this.#rest = emptyBytes;
    if (rest.length > 0) this.#work(rest);
    if (this.#peerEnded && !this.#held) this.#onPeerGone();
  }

  /** Bytes that have come wait for `resume`. */
  get held(): boolean {
    return this.#held;
  }

  /** When anything last came, or what was written left. */
  get heardMs(): number {
    return this.live.heardMs;
  }

  /** Asks the peer whether it is there, and closes when it does not answer. */
  probe(): void {
    this.live.probe(this.clock.now());
  }

  /** Nothing is read, since too much waits to be sent. */
  get paused(): boolean {
    return this.#paused;
  }

  /** Takes no more streams. */
  get draining(): boolean {
    return this.state !== "open";
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

  /** Sends what has gathered now instead of at the end of the turn. */
  flush(): void {
    this.output.flush();
  }

  /** Ends it at once: tells the peer why, and streams that are left fail. */
  close(reason: string, code: number = ErrorCode.NO_ERROR): void {
    if (this.state === "closed") return;
    this.#tellWhy(code, reason);
    this.onOver(reason, false);
    this.#hangUp();
  }

  /** The end of a drain: everything is said. */
  protected finish(reason: string | undefined): void {
    if (this.state === "closed") return;
    this.output.flush();
    this.onOver(reason, false);
    this.#hangUp();
  }

  /** The peer broke a rule. */
  fail({ code, reason }: ConnectionError): void {
    if (this.state !== "closed") this.malformed = true;
    this.close(`${errorName(code)}: ${reason}`, code);
  }

  #tellWhy(code: number, reason: string): void {
    writeGoAway(this.output.writer, this.lastPeerStreamId, code, reason.slice(0, 200));
    this.output.frameWritten();
    this.output.flush();
  }

  /** What is left to send leaves, then the peer hangs up, or we do. */
  #hangUp(): void {
    if (this.output.blocked) return;
    this.connection.end();
    if (this.#peerEnded) this.connection.destroy();
  }

  /** The end for the layer above. */
  protected onOver(reason: string | undefined, lost: boolean): void {
    this.state = "closed";
    this.decoder.stop();
    this.#rest = emptyBytes;
    this.live.linger();
    if (this.#paused) this.connection.resume();
    for (const stream of [...this.streams.values()]) {
      const unprocessed = this.neverSent(stream);
      const text = reason ?? "the connection was closed";
      this.endStream(stream, { code: ErrorCode.CANCEL, remote: lost, unprocessed, reason: text });
    }
    this.onSessionClosed(reason);
  }

  // --- from the connection ---

  onData(chunk: Buffer): void {
    if (this.state === "closed") return;
    this.nowMs = this.clock.now();
    this.live.heard(this.nowMs);
    if (this.#held)
      this.#rest = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk]);
    else this.#work(chunk);
  }

  #work(chunk: Buffer): void {
    const from = this.takePreface(chunk);
    if (this.state === "closed" || from === chunk.length) return;
    const bytes = from === 0 ? chunk : chunk.subarray(from);
    const wrong = this.decoder.push(bytes);
    if (wrong !== undefined) {
      this.fail(wrong);
      return;
    }
    if (this.closed) return;
    if (this.decoder.unread < bytes.length) this.#rest = Buffer.from(bytes.subarray(this.decoder.unread));
    this.#grantWindow();
    if (!this.#paused && this.output.pendingBytes > pauseAtBytes) {
      this.#paused = true;
      this.connection.pause();
    }
  }

  onEnd(): void {
    this.#peerEnded = true;
    if (this.state === "closed") this.connection.destroy();
    else if (!this.#held) this.#onPeerGone();
  }

  #onPeerGone(): void {
    if (this.state !== "closed") this.onOver(this.streams.size === 0 ? undefined : "the peer has gone", true);
    this.output.flush();
    this.output.stop();
    this.connection.destroy();
  }

  onDrain(): void {
    this.live.heard(this.clock.now());
    this.#unreadAnswers = 0;
    this.output.onDrain();
    if (this.state === "closed") {
      this.#hangUp();
      return;
    }
    this.turns.pump();
    if (this.#paused && this.output.pendingBytes <= pauseAtBytes) {
      this.#paused = false;
      this.connection.resume();
    }
  }

  onClose(error: Error | undefined): void {
    this.output.stop();
    if (this.state !== "closed") this.onOver(error?.message, true);
    this.live.stop();
  }

  /** @internal The peer had its time to hang up. */
  onLingered(): void {
    this.connection.destroy();
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
    this.#oddities.earn();
    const stream = this.streams.get(streamId);
    if (stream !== undefined) this.onStreamHeaders(stream, list, endStream);
    else this.onNewHeaders(streamId, list, endStream);
  }

  onDataFrame(streamId: number, flowBytes: number, endStream: boolean): void {
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
    if (count > 0) this.#oddities.earn();
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
    // Padding, and what nobody wants to read.
    else if (stream.handler === undefined || this.#dataLeft > 0) this.onConsumed(stream, 0);
  }

  /** The peer has ended its half. */
  protected onRemoteEnd(stream: Http2Stream): void {
    stream.remoteEnded = true;
    if (stream.localEnded && stream.waiting === undefined && !stream.closed) this.forget(stream);
  }

  /** @internal Our half has left. */
  onLocalEnd(stream: Http2Stream): void {
    if (stream.closed) return;
    if (stream.remoteEnded) this.forget(stream);
    else this.onEarlyEnd(stream);
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
    if (!this.resets.spend(this.nowMs)) this.tooMany("streams reset");
  }

  onSettings(ack: boolean, buffer: Buffer, start: number, end: number): void {
    if (ack) {
      this.#onSettingsAck();
      return;
    }
    this.oddity("SETTINGS");
    if (this.closed) return;
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
    // Until now the peer may have used the window that everybody begins with.
    const excess = defaultWindowBytes - this.options.windowBytes;
    if (excess > 0) for (const stream of this.streams.values()) stream.receiveWindow -= excess;
  }

  onPing(ack: boolean, buffer: Buffer, start: number): void {
    if (ack) {
      this.onPingAck(buffer, start);
      return;
    }
    this.oddity("PING");
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
        }
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
    else this.streamError(streamId, code, reason);
  }

  // --- streams ---

  /** @internal What the stream was given back; 0 when there is only its padding. */
  onConsumed(stream: Http2Stream, bytes: number): void {
    const count = Math.min(bytes, stream.unconsumedBytes);
    stream.unconsumedBytes -= count;
    this.#window.unreadBytes -= count;
    if (stream.closed || stream.remoteEnded) return;
    const { receiveTarget } = stream;
    const free = receiveTarget - stream.receiveWindow - stream.unconsumedBytes;
    if (free < receiveTarget / 2) return;
    // One that has used its window twice over is worth a larger one.
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
    this.#grantWindow();
  }

  #grantWindow(): void {
    const bytes = this.#window.grant();
    if (bytes <= 0) return;
    writeWindowUpdate(this.output.writer, 0, bytes);
    this.output.frameWritten();
  }

  /** @internal A DATA frame of ours has been written. */
  onDataSent(): void {
    this.#oddities.earn();
  }

  /** @internal */
  onQueued(stream: Http2Stream, bytes: number): void {
    this.turns.bytes += bytes;
    this.turns.add(stream);
    this.turns.pump();
    if (this.pendingBytes <= this.options.unwrittenMaxBytes || stream.closed) return;
    const reason = `more than ${this.options.unwrittenMaxBytes} bytes wait to be sent`;
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
    if (!this.resets.spend(this.nowMs)) this.tooMany("errors on streams");
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
    handler?.onReset(stream, failure);
  }

  protected forget(stream: Http2Stream): void {
    stream.closed = true;
    this.streams.delete(stream.id);
    this.turns.drop(stream);
    this.#window.unreadBytes -= stream.unconsumedBytes;
    stream.unconsumedBytes = 0;
    if (stream.remoteEnded) this.closedStreams.addEnded(stream.id);
    if (!stream.held) this.freeSlot(stream);
    this.onStreamClosed(stream);
  }

  /** Its first frame has not left the process. */
  protected neverSent(stream: Http2Stream): boolean {
    return stream.openedBy > this.output.flushed;
  }

  protected get streamWindowBytes(): number {
    const { windowBytes } = this.options;
    return this.live.settingsAcked ? windowBytes : Math.max(windowBytes, defaultWindowBytes);
  }

  // --- limits ---

  /** Writes what the peer asks for. One that only asks, and reads nothing, is let go. */
  protected answer(write: (writer: Output["writer"]) => void): void {
    if (this.state === "closed") return;
    if (this.output.blocked && ++this.#unreadAnswers > unreadAnswersMax) {
      this.tooMany("frames to answer");
      return;
    }
    write(this.output.writer);
    this.output.frameWritten();
  }

  protected oddity(what: string): void {
    if (!this.#oddities.spend(this.nowMs)) this.tooMany(what);
  }

  protected tooMany(what: string): void {
    this.fail(new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, `too many: ${what}`));
  }

  /** @internal */
  ping(payload: Uint8Array): void {
    if (this.state === "closed") return;
    writePing(this.output.writer, false, payload);
    this.output.frameWritten();
  }

  /** @internal The highest stream of the peer that was taken in. */
  abstract readonly lastPeerStreamId: number;
  /** @internal */
  abstract freeSlot(stream: Http2Stream): void;
  /** @internal The peer has not answered the ping of a drain. */
  abstract onDrainOverdue(): void;
  abstract onGoAway(lastStreamId: number, code: number, debug: string): void;
  /** @internal No stream is open, and none is worked for. */
  abstract readonly idle: boolean;
  /** @internal */
  abstract onIdleTooLong(): void;
  /** Takes the client's first bytes off, at a server. Returns where frames begin. */
  protected abstract takePreface(chunk: Buffer): number;
  protected abstract isIdle(streamId: number): boolean;
  /** Frames of it are passed over: it came after we told the peer to go. */
  protected abstract ignores(streamId: number): boolean;
  protected abstract onNewHeaders(streamId: number, list: HeaderList, endStream: boolean): void;
  protected abstract onStreamHeaders(stream: Http2Stream, list: HeaderList, endStream: boolean): void;
  /** At a client: the response is whole, so that its handler has been told the end. */
  protected abstract hasResponse(stream: Http2Stream): boolean;
  protected abstract onEarlyEnd(stream: Http2Stream): void;
  protected abstract onPeerReset(stream: Http2Stream, code: number): void;
  protected abstract onPeerSettings(first: boolean): void;
  protected abstract onPingAck(buffer: Buffer, start: number): void;
  protected abstract onStreamClosed(stream: Http2Stream): void;
  protected abstract onSessionClosed(reason: string | undefined): void;
}
