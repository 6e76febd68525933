import type { Clock } from "../../base/clock.js";
import { messages } from "../../error/messages.js";
import type { Connection } from "../../transport/transport.js";
import { Allowance } from "./allowance.js";
import { drainPayload } from "./liveness.js";
import { defaultHttp2Options, type Http2Options } from "./options.js";
import { Http2Session } from "./session.js";
import { Http2Stream, type StreamHandler } from "./stream.js";
import {
  ConnectionError,
  clientPreface,
  ErrorCode,
  errorName,
  SettingId,
  streamIdMax,
} from "./wire/frame.js";
import { writeGoAway } from "./wire/frame-writer.js";
import { HeaderKind, type HeaderList } from "./wire/header-field.js";
import type { PreparedHeaders } from "./wire/hpack-encoder.js";

/** Streams the client may reset, or have us reset, at once and each second; each that ends well allows one more. */
const resetsBurst = 1000;
const resetsPerSecond = 100;

/** The events of a server session for the layer above. */
export interface Http2ServerOwner {
  /**
   * A request. Its headers are well-formed, with `:method` and, but for CONNECT, `:scheme` and `:path`. `endStream`: it has no
   * body, and nothing of the handler is called but `onReset`. Returns who takes the body; undefined: nobody wants it.
   */
  onRequest(stream: Http2Stream, headers: HeaderList, endStream: boolean): StreamHandler | undefined;
  /** Comes once; all streams have had their `onReset`. */
  onSessionClosed(reason: string | undefined): void;
}

/** The serving side of an HTTP/2 connection. */
export class Http2ServerSession extends Http2Session {
  readonly #owner: Http2ServerOwner;
  #prefaceAt = 0;
  #active = 0;
  #lastStreamId = 0;
  /** Streams with higher numbers are not accepted, as the last GOAWAY says. */
  #lastAccepted = streamIdMax;
  #why = "";
  readonly #tooLarge: PreparedHeaders;
  /** Limits reset streams (by the client or for its errors): the stream limit bounds them too, but each starts work. */
  readonly #resets: Allowance;

  constructor(
    connection: Connection,
    clock: Clock,
    owner: Http2ServerOwner,
    options: Partial<Http2Options> = {},
  ) {
    super(connection, clock, { ...defaultHttp2Options, ...options });
    this.#owner = owner;
    this.#resets = new Allowance(resetsBurst, resetsPerSecond, this.nowMs);
    this.#tooLarge = this.prepare([{ name: ":status", value: "431" }]);
    const { streamsMax, windowBytes, headers } = this.options;
    this.begin([
      [SettingId.MAX_CONCURRENT_STREAMS, streamsMax],
      [SettingId.INITIAL_WINDOW_SIZE, windowBytes],
      [SettingId.MAX_HEADER_LIST_SIZE, headers.listMaxBytes],
    ]);
  }

  /** Requests whose place is taken: not ended, or held. */
  get inFlight(): number {
    return this.#active;
  }

  get idle(): boolean {
    return this.#active === 0 && this.streams.size === 0;
  }

  get lastPeerStreamId(): number {
    return Math.min(this.#lastStreamId, this.#lastAccepted);
  }

  /**
   * Accepts no more requests: sends GOAWAY, refuses requests that arrive more than a round trip later, and
   * closes when those in flight have ended. Before the first frame of the client it refuses all of them and closes at once.
   */
  drain(why: string): void {
    if (this.state !== "open") return;
    this.state = "draining";
    this.#why = why;
    if (this.decoder.frames === 0) {
      this.onDrainOverdue();
      return;
    }
    writeGoAway(this.output.writer, streamIdMax, ErrorCode.NO_ERROR, why.slice(0, 200));
    this.output.frameWritten();
    this.ping(drainPayload);
    this.live.draining();
  }

  onDrainOverdue(): void {
    if (this.state !== "draining" || this.#lastAccepted !== streamIdMax) return;
    this.live.drained();
    this.#lastAccepted = this.#lastStreamId;
    writeGoAway(this.output.writer, this.#lastStreamId, ErrorCode.NO_ERROR, this.#why.slice(0, 200));
    this.output.frameWritten();
    this.#endIfDrained();
  }

  protected onPingAck(buffer: Buffer, start: number): void {
    if (drainPayload.equals(buffer.subarray(start, start + 8))) this.onDrainOverdue();
  }

  #endIfDrained(): void {
    if (this.state === "draining" && this.#lastAccepted !== streamIdMax && this.idle) this.finish(true);
  }

  onIdleTooLong(): void {
    this.close(messages.http2Idle(this.options.idleTimeoutMs));
  }

  /** Its client reads whatever it does, so this side may wait for that. */
  protected get pausesReading(): boolean {
    return true;
  }

  protected get peerGone(): string {
    return messages.callerGone;
  }

  protected takePreface(chunk: Buffer): number {
    let at = 0;
    while (this.#prefaceAt < clientPreface.length && at < chunk.length) {
      if (chunk[at] !== clientPreface[this.#prefaceAt]) {
        this.fail(
          new ConnectionError(ErrorCode.PROTOCOL_ERROR, "the connection does not begin as HTTP/2 does"),
        );
        return chunk.length;
      }
      at++;
      this.#prefaceAt++;
    }
    return at;
  }

  protected isIdle(streamId: number): boolean {
    return streamId % 2 === 0 || streamId > this.#lastStreamId;
  }

  protected ignores(streamId: number): boolean {
    return streamId > this.#lastAccepted;
  }

  protected onNewHeaders(streamId: number, list: HeaderList, endStream: boolean): void {
    if (streamId % 2 === 0 || streamId <= this.#lastStreamId) {
      this.#onOldHeaders(streamId);
      return;
    }
    this.#lastStreamId = streamId;
    if (streamId > this.#lastAccepted) return;
    if (this.#active >= this.options.streamsMax) {
      this.#refuse(streamId, endStream);
      return;
    }
    const fault = list.fault ?? requestFault(list);
    if (fault !== undefined) {
      this.streamError(streamId, ErrorCode.PROTOCOL_ERROR, fault);
      return;
    }
    this.#accept(streamId, list, endStream);
  }

  #accept(streamId: number, list: HeaderList, endStream: boolean): void {
    const stream = new Http2Stream(this, streamId, this.peer.windowBytes, this.streamWindowBytes);
    stream.responded = true;
    stream.remoteEnded = endStream;
    stream.hasSlot = true;
    this.#active++;
    this.streams.add(stream);
    if (list.tooLarge) {
      stream.headers(this.#tooLarge, undefined, true);
      return;
    }
    if (list.has(HeaderKind.CONTENT_LENGTH)) {
      stream.expectedBytes = Number(list.valueOf(HeaderKind.CONTENT_LENGTH));
      if (endStream && stream.expectedBytes > 0) {
        this.streamError(streamId, ErrorCode.PROTOCOL_ERROR, "content-length without a body");
        return;
      }
    }
    this.failedEarly = undefined;
    const handler = this.#owner.onRequest(stream, list, endStream);
    stream.handler = handler;
    // What it wrote at once may have been more than is kept.
    if (this.failedEarly !== undefined && stream.closed) handler?.onReset(stream, this.failedEarly);
  }

  #onOldHeaders(streamId: number): void {
    if (this.closedStreams.isLate(streamId)) return;
    const text = `HEADERS on stream ${streamId}`;
    if (this.closedStreams.hasEnded(streamId)) {
      this.fail(new ConnectionError(ErrorCode.STREAM_CLOSED, `${text}, which is closed`));
    } else this.fail(new ConnectionError(ErrorCode.PROTOCOL_ERROR, `${text} out of turn`));
  }

  /** A stream over the limit. Before the client knows the limit, this is not its fault. */
  #refuse(streamId: number, endStream: boolean): void {
    this.sendReset(streamId, ErrorCode.REFUSED_STREAM);
    if (!endStream) this.closedStreams.addLate(streamId);
    if (this.live.settingsAcked) this.countReset("streams over the limit");
  }

  protected onStreamHeaders(stream: Http2Stream, list: HeaderList, endStream: boolean): void {
    if (stream.remoteEnded) {
      this.streamError(stream.id, ErrorCode.STREAM_CLOSED, "HEADERS behind the end of the stream");
      return;
    }
    const fault = list.fault ?? trailerFault(list, endStream) ?? bodyFault(stream);
    if (fault !== undefined) {
      this.streamError(stream.id, ErrorCode.PROTOCOL_ERROR, fault);
      return;
    }
    stream.remoteEnded = true;
    stream.handler?.onTrailers(stream, list);
    this.onRemoteEnd(stream);
  }

  protected countReset(what: string): void {
    if (!this.#resets.spend(this.nowMs)) this.tooMany(what);
  }

  protected onEndedByBoth(): void {
    this.#resets.earn();
  }

  protected hasResponse(): boolean {
    return false;
  }

  /** The response is complete and the request is not: the rest of the request is not needed. */
  protected onEarlyEnd(stream: Http2Stream): void {
    this.resetStream(stream, ErrorCode.NO_ERROR);
  }

  protected onPeerReset(stream: Http2Stream, code: number): void {
    const reason = messages.http2StreamReset("client", errorName(code));
    this.endStream(stream, { code, remote: true, unprocessed: false, reason });
  }

  freeSlot(stream: Http2Stream): void {
    if (!stream.hasSlot) return;
    stream.hasSlot = false;
    this.#active--;
    if (this.#active === 0) this.live.idle();
    if (this.state === "draining") this.#endIfDrained();
  }

  protected onStreamClosed(): void {
    if (this.state === "draining") this.#endIfDrained();
  }

  onGoAway(): void {
    this.oddity("GOAWAY");
    // A client that goes takes its calls with it when it closes; those in flight are answered.
  }

  protected onPeerSettings(): void {}

  protected onSessionClosed(reason: string | undefined): void {
    this.#owner.onSessionClosed(reason);
  }
}

/** The rules of RFC 9113 section 8.3.1. */
function requestFault(list: HeaderList): string | undefined {
  // The first fields are all there are to judge by.
  if (list.tooLarge) return undefined;
  if (list.has(HeaderKind.STATUS)) return ":status in a request";
  if (!list.has(HeaderKind.METHOD)) return "a request without :method";
  const connect = list.valueOf(HeaderKind.METHOD) === "CONNECT";
  const path = list.has(HeaderKind.PATH);
  const scheme = list.has(HeaderKind.SCHEME);
  if (connect) return path || scheme ? "CONNECT with :path or :scheme" : undefined;
  if (!path) return "a request without :path";
  return scheme ? undefined : "a request without :scheme";
}

const pseudoKinds = (1 << (HeaderKind.STATUS + 1)) - 2;

export function trailerFault(list: HeaderList, endStream: boolean): string | undefined {
  if (!endStream) return "trailers that do not end the stream";
  return (list.kinds & pseudoKinds) !== 0 ? "a pseudo field in trailers" : undefined;
}

export function bodyFault(stream: Http2Stream): string | undefined {
  const { expectedBytes, receivedBytes } = stream;
  return expectedBytes >= 0 && expectedBytes !== receivedBytes
    ? "content-length is not the length of the body"
    : undefined;
}
