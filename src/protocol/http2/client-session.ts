import type { Clock } from "../../base/clock.js";
import { printable } from "../../base/printable.js";
import { messages } from "../../error/messages.js";
import type { Connection } from "../../transport/transport.js";
import { defaultHttp2Options, type Http2Options } from "./options.js";
import { bodyFault, trailerFault } from "./server-session.js";
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
import { HeaderKind, type HeaderList } from "./wire/header-field.js";
import type { HeaderLimits } from "./wire/hpack-decoder.js";
import type { OutgoingField, PreparedHeaders } from "./wire/hpack-encoder.js";

/** Streams that may be open before the server has said how many. */
const streamsMaxUntilKnown = 100;

/** A server's SETTINGS, a WINDOW_UPDATE, and its GOAWAY: with more, the connection has been of use. */
const greetingFramesMax = 3;

function tooLargeText({ listMaxBytes, fieldsMax }: HeaderLimits): string {
  return `a header list over the limits of ${listMaxBytes} bytes (limits.header) and ${fieldsMax} fields`;
}

/** The events of a client's stream for the layer above. */
export interface ResponseHandler extends StreamHandler {
  /** The final response headers, with `:status`; interim ones (1xx) are skipped. `endStream`: nothing follows. */
  onResponse(stream: Http2Stream, headers: HeaderList, endStream: boolean): void;
}

/** The events of a client session for the layer above. */
export interface Http2ClientOwner {
  /** The server's first SETTINGS have arrived: it speaks HTTP/2. */
  onWelcome(): void;
  /** There is room for a stream where there was none: one has ended, or the server allows more. */
  onRoom(): void;
  /** No more streams can be opened: the server accepts no more, or stream numbers are used up. Accepted streams go on; for the others `onReset` was called. `turnedAway`: the server has taken none since the connection began. */
  onGoAway(code: number, debug: string, turnedAway: boolean): void;
  /** Comes once; all streams have had their `onReset`. */
  onSessionClosed(reason: string | undefined): void;
}

/** The calling side of an HTTP/2 connection. */
export class Http2ClientSession extends Http2Session {
  readonly #owner: Http2ClientOwner;
  #nextId = 1;
  #full = false;
  /** Why the server goes away, if it has said so. */
  #leaves = "";

  constructor(
    connection: Connection,
    clock: Clock,
    owner: Http2ClientOwner,
    options: Partial<Http2Options> = {},
  ) {
    super(connection, clock, { ...defaultHttp2Options, ...options });
    this.#owner = owner;
    const { windowBytes, headers } = this.options;
    const { writer } = this.output;
    writer.ensure(clientPreface.length);
    writer.buffer.set(clientPreface, writer.position);
    writer.position += clientPreface.length;
    this.begin([
      [SettingId.ENABLE_PUSH, 0],
      [SettingId.INITIAL_WINDOW_SIZE, windowBytes],
      [SettingId.MAX_HEADER_LIST_SIZE, headers.listMaxBytes],
    ]);
  }

  get inFlight(): number {
    return this.streams.size;
  }

  /** The server's first SETTINGS have come. */
  get welcomed(): boolean {
    return this.live.settingsSeen;
  }

  /** How many streams may be open at a time. */
  get streamsMax(): number {
    const { streamsMax } = this.peer;
    if (streamsMax !== undefined) return streamsMax;
    return this.welcomed ? streamIdMax : streamsMaxUntilKnown;
  }

  /** One more stream may be opened now. When it turns true again, `onRoom` tells. */
  get hasRoom(): boolean {
    if (this.state !== "open" || this.#nextId > streamIdMax) return false;
    if (this.streams.size < this.streamsMax) return true;
    this.#full = true;
    return false;
  }

  /** No stream is open. */
  get idle(): boolean {
    return this.streams.size === 0;
  }

  get lastPeerStreamId(): number {
    return 0;
  }

  /**
   * Sends a request's headers. `endStream`: it has no body; else that follows with `beginData` or `write`, best in the same
   * turn. Undefined when there is no room; ask `hasRoom` first.
   */
  open(
    handler: ResponseHandler,
    prepared: PreparedHeaders | undefined,
    extra: readonly OutgoingField[] | undefined,
    endStream: boolean,
  ): Http2Stream | undefined {
    if (!this.hasRoom) return undefined;
    const stream = new Http2Stream(this, this.#nextId, this.peer.windowBytes, this.streamWindowBytes);
    this.#nextId += 2;
    stream.handler = handler;
    if (this.streams.size === 0) this.live.busy();
    this.streams.add(stream);
    stream.openedBy = this.output.written + 1;
    stream.writeHeaders(prepared, extra, endStream);
    if (this.#nextId > streamIdMax) this.#onNumbersUsedUp();
    return stream;
  }

  /** There are 2^30 streams to a connection. What follows needs another one. */
  #onNumbersUsedUp(): void {
    this.state = "draining";
    this.#owner.onGoAway(ErrorCode.NO_ERROR, messages.http2NumbersUsedUp, false);
  }

  /** @internal For tests: the number of the next stream. */
  continueAt(streamId: number): void {
    this.#nextId = streamId;
  }

  /** Opens no more streams, and closes when those that are open have ended. */
  drain(): void {
    if (this.state !== "open") return;
    this.state = "draining";
    this.#endIfDrained();
  }

  #endIfDrained(): void {
    if (this.state === "draining" && this.streams.size === 0) this.finish(false);
  }

  /** Keeps reading no matter how much waits to be sent: if each side waited for the other to read, both would hang. */
  protected get pausesReading(): boolean {
    return false;
  }

  protected get peerGone(): string {
    if (this.#leaves !== "") return messages.closedByProviderSince(this.#leaves);
    if (this.welcomed) return messages.closedByProvider;
    return this.connection.security?.kind === "tls" ? messages.closedUnheardTls : messages.closedUnheard;
  }

  protected takePreface(): number {
    return 0;
  }

  protected isIdle(streamId: number): boolean {
    return streamId % 2 === 0 || streamId >= this.#nextId;
  }

  protected ignores(): boolean {
    return false;
  }

  onDrainOverdue(): void {}

  protected onPingAck(): void {}

  onIdleTooLong(): void {
    this.close(messages.http2Idle(this.options.idleTimeoutMs));
  }

  protected onNewHeaders(streamId: number): void {
    if (this.closedStreams.isLate(streamId)) return;
    const text = `HEADERS on stream ${streamId}`;
    if (this.isIdle(streamId))
      this.fail(new ConnectionError(ErrorCode.PROTOCOL_ERROR, `${text}, which is idle`));
    else this.fail(new ConnectionError(ErrorCode.STREAM_CLOSED, `${text}, which is closed`));
  }

  protected onStreamHeaders(stream: Http2Stream, list: HeaderList, endStream: boolean): void {
    if (stream.remoteEnded) {
      this.streamError(stream.id, ErrorCode.STREAM_CLOSED, "HEADERS behind the end of the stream");
      return;
    }
    const fault = list.tooLarge
      ? tooLargeText(this.options.headers)
      : (list.fault ?? this.#fault(stream, list, endStream));
    if (fault !== undefined) {
      this.streamError(stream.id, ErrorCode.PROTOCOL_ERROR, fault);
      return;
    }
    const handler = stream.handler as ResponseHandler;
    if (stream.responded) {
      stream.remoteEnded = true;
      handler.onTrailers(stream, list);
    } else {
      // Interim: the response is still to come.
      if (list.valueOf(HeaderKind.STATUS)?.startsWith("1")) return;
      stream.responded = true;
      if (endStream) stream.remoteEnded = true;
      else if (list.has(HeaderKind.CONTENT_LENGTH)) {
        stream.expectedBytes = Number(list.valueOf(HeaderKind.CONTENT_LENGTH));
      }
      handler.onResponse(stream, list, endStream);
    }
    if (stream.remoteEnded) this.onRemoteEnd(stream);
  }

  #fault(stream: Http2Stream, list: HeaderList, endStream: boolean): string | undefined {
    if (stream.responded) return trailerFault(list, endStream) ?? bodyFault(stream);
    return responseFault(list, endStream);
  }

  /** No limit is needed: we open these streams ourselves. */
  protected countReset(): void {}

  protected onEndedByBoth(): void {}

  protected hasResponse(stream: Http2Stream): boolean {
    return stream.remoteEnded;
  }

  /** Our half is over: the response may still come. */
  protected onEarlyEnd(): void {}

  protected onPeerReset(stream: Http2Stream, code: number): void {
    const unprocessed = code === ErrorCode.REFUSED_STREAM && !stream.responded;
    const reason = messages.http2StreamReset("server", errorName(code));
    this.endStream(stream, { code, remote: true, unprocessed, reason });
  }

  freeSlot(): void {}

  protected onStreamClosed(): void {
    if (this.state === "draining") this.#endIfDrained();
    else if (this.#full && this.hasRoom) {
      this.#full = false;
      this.#owner.onRoom();
    }
    if (this.streams.size === 0) this.live.idle();
  }

  protected onPeerSettings(first: boolean): void {
    if (first) this.#owner.onWelcome();
    if (this.#full && this.hasRoom) {
      this.#full = false;
      this.#owner.onRoom();
    }
  }

  onGoAway(lastStreamId: number, code: number, text: string): void {
    const debug = printable(text);
    this.#leaves = debug;
    this.oddity("GOAWAY");
    if (this.closed) return;
    if (this.state === "open") this.state = "draining";
    const said = debug === "" ? errorName(code) : `${errorName(code)}: ${debug}`;
    const reason = messages.http2StreamNotTaken(said);
    for (const stream of this.streams.all()) {
      if (stream.id <= lastStreamId) continue;
      this.closedStreams.addLate(stream.id);
      this.endStream(stream, {
        code: ErrorCode.REFUSED_STREAM,
        remote: true,
        unprocessed: !stream.responded,
        reason,
      });
    }
    const early = this.#nextId > 1 || this.decoder.frames <= greetingFramesMax;
    this.#owner.onGoAway(code, debug, lastStreamId === 0 && early);
    this.#endIfDrained();
  }

  protected onSessionClosed(reason: string | undefined): void {
    this.#owner.onSessionClosed(reason);
  }
}

/** The rules of RFC 9113 section 8.3.2. */
function responseFault(list: HeaderList, endStream: boolean): string | undefined {
  const others =
    (1 << HeaderKind.METHOD) |
    (1 << HeaderKind.SCHEME) |
    (1 << HeaderKind.AUTHORITY) |
    (1 << HeaderKind.PATH);
  if ((list.kinds & others) !== 0) return "a pseudo field of requests in a response";
  const status = list.valueOf(HeaderKind.STATUS);
  if (status === undefined) return "a response without :status";
  if (status === "101") return "status 101, which HTTP/2 does not have";
  return status.startsWith("1") && endStream ? "an interim response that ends the stream" : undefined;
}
