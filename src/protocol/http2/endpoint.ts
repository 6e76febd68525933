import type { Clock } from "../../base/clock.js";
import { messages } from "../../error/messages.js";
import { emptyBytes } from "../../protobuf/reader.js";
import type { Connection, ConnectionHandler } from "../../transport/transport.js";
import { Allowance } from "./allowance.js";
import { Liveness, type LivenessOwner } from "./liveness.js";
import type { Http2Options } from "./options.js";
import { Output } from "./output.js";
import { ConnectionError, ErrorCode, errorName } from "./wire/frame.js";
import { FrameDecoder, type FrameSink } from "./wire/frame-decoder.js";
import { writeGoAway, writePing } from "./wire/frame-writer.js";

/** Most answers (to PING, SETTINGS) queued for a peer that does not read. */
const unreadAnswersMax = 1000;
/** Reading stops while more than this waits to be sent, or to be worked on, bytes. */
const pauseAtBytes = 1024 * 1024;
const restMaxBytes = 64 * 1024;
/** The allowance of useless frames: at once, and per second. */
const odditiesBurst = 2000;
const odditiesPerSecond = 200;
/** What a GOAWAY says, characters. */
const debugMax = 200;

/**
 * Bytes in and out of an HTTP/2 connection, and its life:
 *
 *     open --drain--> draining --streams ended, or close--> closed
 *
 * `closed` is the end for the layer above. The connection itself lives on for a moment, so that a GOAWAY arrives.
 */
export abstract class Http2Endpoint implements ConnectionHandler, LivenessOwner {
  protected readonly clock: Clock;
  /** @internal */
  readonly options: Readonly<Http2Options>;
  protected readonly connection: Connection;
  /** @internal */
  readonly output: Output;
  protected readonly decoder: FrameDecoder;
  protected readonly live: Liveness;
  protected state: "open" | "draining" | "closed" = "open";
  /** When the bytes being processed arrived. */
  protected nowMs: number;
  /** Useless frames: pings, settings, priorities, empty ones. */
  protected readonly oddities: Allowance;
  #unreadAnswers = 0;
  #held = false;
  #paused = false;
  /** Arrived bytes that wait for `resume`. */
  #rest: Buffer = emptyBytes;
  #peerEnded = false;
  /** Closed because nothing arrived any more, not even the answer to a ping. */
  silent = false;
  /** Closed because the peer broke a rule. */
  malformed = false;

  constructor(connection: Connection, clock: Clock, options: Readonly<Http2Options>) {
    this.connection = connection;
    this.clock = clock;
    this.options = options;
    this.nowMs = clock.now();
    this.output = new Output(connection);
    this.decoder = new FrameDecoder(this.sink());
    this.oddities = new Allowance(odditiesBurst, odditiesPerSecond, this.nowMs);
    this.live = new Liveness(this, clock, options, this.decoder);
  }

  /** `host:port` of either end. */
  get local(): string {
    return this.connection.local;
  }

  get remote(): string {
    return this.connection.remote;
  }

  get closed(): boolean {
    return this.state === "closed";
  }

  /** Takes no more streams. */
  get draining(): boolean {
    return this.state !== "open";
  }

  /** Stops processing at the next frame, until `resume`. */
  hold(): void {
    this.#held = true;
    this.decoder.hold();
  }

  resume(): void {
    if (!this.#held) return;
    this.#held = false;
    const rest = this.#rest;
    this.#rest = emptyBytes;
    if (rest.length > 0) this.#work(rest, true);
    this.#resumeReading();
    if (this.#peerEnded && !this.#held) this.#onPeerGone();
  }

  /** Bytes that have come wait for `resume`. */
  get held(): boolean {
    return this.#held;
  }

  /** Sends what has gathered now instead of at the end of the turn. */
  flush(): void {
    this.output.flush();
  }

  /** Ends it at once: sends the reason to the peer; open streams fail. */
  close(reason: string, code: number = ErrorCode.NO_ERROR): void {
    if (this.state === "closed") return;
    this.#tellWhy(code, reason);
    this.onOver(reason, false);
    this.#hangUp();
  }

  /** The end of a drain. `said`: the peer knows already. */
  protected finish(said: boolean): void {
    if (this.state === "closed") return;
    if (said) this.output.flush();
    else this.#tellWhy(ErrorCode.NO_ERROR, "");
    this.onOver(undefined, false);
    this.#hangUp();
  }

  /** The peer broke a rule. */
  fail({ code, reason }: ConnectionError): void {
    if (this.state !== "closed") this.malformed = true;
    this.close(`${errorName(code)}: ${reason}`, code);
  }

  #tellWhy(code: number, reason: string): void {
    writeGoAway(this.output.writer, this.lastPeerStreamId, code, reason.slice(0, debugMax));
    this.output.frameWritten();
    this.output.flush();
  }

  /** Sends the remaining bytes; then the peer closes, or we do. */
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
    this.failStreams(reason ?? messages.closed, lost);
    this.onSessionClosed(reason);
  }

  // --- from the connection ---

  onData(chunk: Buffer): void {
    if (this.state === "closed") return;
    this.nowMs = this.clock.now();
    this.live.heard(this.nowMs);
    if (!this.#held) this.#work(chunk, false);
    else {
      this.#rest = Buffer.concat([this.#rest, chunk]);
      this.#pauseIf(this.#rest.length > restMaxBytes);
    }
  }

  #work(chunk: Buffer, ours: boolean): void {
    const from = this.takePreface(chunk);
    if (this.state === "closed" || from === chunk.length) return;
    const bytes = from === 0 ? chunk : chunk.subarray(from);
    const wrong = this.decoder.push(bytes);
    if (wrong !== undefined) {
      this.fail(wrong);
      return;
    }
    if (this.closed) return;
    if (this.decoder.unread < bytes.length) {
      const rest = bytes.subarray(this.decoder.unread);
      this.#rest = ours ? rest : Buffer.from(rest);
    }
    this.onWorked();
    this.#pauseIf(this.#slow);
  }

  /** The peer reads its responses too slowly. */
  get #slow(): boolean {
    return this.output.pendingBytes > pauseAtBytes && this.pausesReading;
  }

  #pauseIf(much: boolean): void {
    if (this.#paused || !much) return;
    this.#paused = true;
    this.connection.pause();
  }

  #resumeReading(): void {
    if (!this.#paused || this.#slow || this.#rest.length > restMaxBytes) return;
    this.#paused = false;
    this.connection.resume();
  }

  onEnd(): void {
    this.#peerEnded = true;
    if (this.state === "closed") this.connection.destroy();
    else if (!this.#held) this.#onPeerGone();
  }

  #onPeerGone(): void {
    if (this.state !== "closed") this.onOver(this.idle ? undefined : this.peerGone, true);
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
    this.onRoomToSend();
    this.#resumeReading();
  }

  onClose(error: Error | undefined): void {
    this.output.stop();
    if (this.state !== "closed") this.onOver(error?.message, true);
    this.live.stop();
  }

  /** @internal The peer has not closed in time. */
  onLingered(): void {
    this.connection.destroy();
  }

  /** Writes an answer to the peer. A peer that keeps asking but reads nothing is disconnected. */
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
    if (!this.oddities.spend(this.nowMs)) this.tooMany(what);
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

  /** The receiver of the peer's frames. Called in the constructor. */
  protected abstract sink(): FrameSink;
  /** The error text when the peer closes with streams open. */
  protected abstract readonly peerGone: string;
  /** Stops reading while the peer reads its responses too slowly. */
  protected abstract readonly pausesReading: boolean;
  /** @internal The highest stream of the peer that was taken in. */
  abstract readonly lastPeerStreamId: number;
  /** @internal No stream is open, and no work of a closed one goes on. */
  abstract readonly idle: boolean;
  /** @internal */
  abstract onIdleTooLong(): void;
  /** @internal The peer has not answered the ping of a drain. */
  abstract onDrainOverdue(): void;
  /** Takes the client's first bytes off, at a server. Returns where frames begin. */
  protected abstract takePreface(chunk: Buffer): number;
  /** The bytes of one read were processed. */
  protected abstract onWorked(): void;
  /** There is room to send again. */
  protected abstract onRoomToSend(): void;
  /** All streams fail. `lost`: the connection was lost, not closed by us. */
  protected abstract failStreams(reason: string, lost: boolean): void;
  /** The end for the layer above. Comes once. */
  protected abstract onSessionClosed(reason: string | undefined): void;
}
