import type { Clock } from "../../base/clock.js";
import { messages } from "../../error/messages.js";
import type { Http2Options } from "./options.js";
import { Watch } from "./watch.js";
import { ConnectionError, ErrorCode } from "./wire/frame.js";
import type { FrameDecoder } from "./wire/frame-decoder.js";

/** When everything was sent, the peer has this long to close, ms. */
const lingerMs = 1000;
/** If a peer does not answer the ping of a drain, the final GOAWAY is sent after this, ms. */
const drainPingMs = 1000;
/** The content of our pings, which identifies their answers. */
export const keepalivePayload: Buffer = Buffer.from("mprpc:ka", "latin1");
export const drainPayload: Buffer = Buffer.from("mprpc:go", "latin1");

export interface LivenessOwner {
  readonly closed: boolean;
  /** Closed because nothing came any more, not even an answer to a ping. */
  silent: boolean;
  /** Arrived bytes wait for their turn; the answer may be among them. */
  readonly held: boolean;
  readonly idle: boolean;
  ping(payload: Uint8Array): void;
  fail(error: ConnectionError): void;
  close(reason: string, code?: number): void;
  onIdleTooLong(): void;
  onDrainOverdue(): void;
  onLingered(): void;
}

/** All that a connection waits for, by one timer: the first SETTINGS, the rest of a header block, a ping's answer, work. */
export class Liveness {
  readonly #owner: LivenessOwner;
  readonly #clock: Clock;
  readonly #options: Readonly<Http2Options>;
  readonly #decoder: FrameDecoder;
  readonly #watch: Watch;
  settingsSeen = false;
  settingsAcked = false;
  #begunMs: number;
  #heardMs: number;
  #pingedMs = -1;
  #blockMs = 0;
  /** The peer was pinged because of silence, and has sent no part of a message since. */
  doubted = false;
  #doubtedMs = 0;
  #idleMs = 0;
  #drainMs = Number.POSITIVE_INFINITY;
  #lingerMs = Number.POSITIVE_INFINITY;

  constructor(owner: LivenessOwner, clock: Clock, options: Readonly<Http2Options>, decoder: FrameDecoder) {
    this.#owner = owner;
    this.#clock = clock;
    this.#options = options;
    this.#decoder = decoder;
    this.#begunMs = this.#heardMs = this.#idleMs = clock.now();
    this.#watch = new Watch(clock, (nowMs) => this.#check(nowMs));
  }

  begin(): void {
    const { answerTimeoutMs, pingIntervalMs, idleTimeoutMs } = this.#options;
    this.#watch.by(this.#begunMs + Math.min(answerTimeoutMs, pingIntervalMs, idleTimeoutMs));
  }

  /** Bytes arrived, or written bytes were sent. */
  heard(nowMs: number): void {
    this.#heardMs = nowMs;
    this.#pingedMs = -1;
  }

  /** A header block has begun and is incomplete. */
  blockBegun(nowMs: number): void {
    this.#blockMs = nowMs;
    this.#watch.by(nowMs + this.#options.answerTimeoutMs);
  }

  /** The last stream has ended. */
  idle(): void {
    const { idleTimeoutMs } = this.#options;
    if (idleTimeoutMs === Number.POSITIVE_INFINITY) return;
    this.#idleMs = this.#clock.now();
    this.#watch.by(this.#idleMs + idleTimeoutMs);
  }

  /** The first stream was opened. */
  busy(): void {
    const { doubtMs } = this.#options;
    if (doubtMs === Number.POSITIVE_INFINITY) return;
    const nowMs = this.#clock.now();
    // Earlier traffic does not count for the new stream.
    this.#heardMs = Math.max(this.#heardMs, nowMs);
    this.#watch.by(nowMs + doubtMs);
  }

  draining(): void {
    this.#drainMs = this.#clock.now() + drainPingMs;
    this.#watch.by(this.#drainMs);
  }

  drained(): void {
    this.#drainMs = Number.POSITIVE_INFINITY;
  }

  linger(): void {
    this.#lingerMs = this.#clock.now() + lingerMs;
    this.#watch.by(this.#lingerMs);
  }

  stop(): void {
    this.#watch.stop();
  }

  #check(nowMs: number): number {
    if (this.#owner.closed) {
      if (nowMs < this.#lingerMs) return this.#lingerMs;
      this.#owner.onLingered();
      return Number.POSITIVE_INFINITY;
    }
    if (nowMs >= this.#drainMs) {
      this.#drainMs = Number.POSITIVE_INFINITY;
      this.#owner.onDrainOverdue();
    }
    const next = Math.min(
      this.#checkAnswers(nowMs),
      this.#checkIdle(nowMs),
      this.#checkPing(nowMs),
      this.#drainMs,
    );
    return this.#owner.closed ? this.#lingerMs : next;
  }

  /** What the peer must send by the protocol. */
  #checkAnswers(nowMs: number): number {
    const { answerTimeoutMs } = this.#options;
    let nextMs = Number.POSITIVE_INFINITY;
    if (!this.settingsSeen || !this.settingsAcked) {
      nextMs = this.#begunMs + answerTimeoutMs;
      if (nowMs >= nextMs && !this.#owner.held) {
        const what = this.settingsSeen ? "no answer to SETTINGS" : "no SETTINGS";
        this.#owner.fail(new ConnectionError(ErrorCode.SETTINGS_TIMEOUT, `${what} in ${answerTimeoutMs} ms`));
      }
    }
    if (this.#decoder.inHeaderBlock) {
      const dueMs = this.#blockMs + answerTimeoutMs;
      if (nowMs >= dueMs && !this.#owner.held) {
        const text = `a header block that is not whole after ${answerTimeoutMs} ms`;
        this.#owner.fail(new ConnectionError(ErrorCode.PROTOCOL_ERROR, text));
      }
      nextMs = Math.min(nextMs, dueMs);
    }
    return Math.max(nextMs, nowMs + 100);
  }

  #checkDoubt(nowMs: number): number {
    const { doubtMs, doubtAgainMs, pingTimeoutMs } = this.#options;
    if (doubtMs === Number.POSITIVE_INFINITY || this.#owner.idle) return Number.POSITIVE_INFINITY;
    const againMs = this.doubted ? this.#doubtedMs + doubtAgainMs : 0;
    const dueMs = Math.max(this.#heardMs + doubtMs, againMs);
    if (nowMs < dueMs) return dueMs;
    this.doubted = true;
    this.#doubtedMs = this.#pingedMs = nowMs;
    this.#owner.ping(keepalivePayload);
    return nowMs + pingTimeoutMs;
  }

  #checkIdle(nowMs: number): number {
    const { idleTimeoutMs } = this.#options;
    if (idleTimeoutMs === Number.POSITIVE_INFINITY || !this.#owner.idle) return Number.POSITIVE_INFINITY;
    const dueMs = this.#idleMs + idleTimeoutMs;
    if (nowMs < dueMs) return dueMs;
    this.#owner.onIdleTooLong();
    return Number.POSITIVE_INFINITY;
  }

  #checkPing(nowMs: number): number {
    const { pingIntervalMs, pingTimeoutMs } = this.#options;
    if (this.#owner.closed) return Number.POSITIVE_INFINITY;
    if (this.#pingedMs < 0) {
      if (pingIntervalMs === Number.POSITIVE_INFINITY) return this.#checkDoubt(nowMs);
      const dueMs = this.#heardMs + pingIntervalMs;
      if (nowMs < dueMs) return dueMs;
      this.#pingedMs = nowMs;
      this.#owner.ping(keepalivePayload);
      return nowMs + pingTimeoutMs;
    }
    const dueMs = this.#pingedMs + pingTimeoutMs;
    if (nowMs < dueMs) return dueMs;
    // This process itself was busy or frozen, and the answer may be unread: read it first.
    if (this.#owner.held || nowMs - dueMs > pingTimeoutMs / 2) {
      this.#pingedMs = nowMs;
      return nowMs + pingTimeoutMs;
    }
    this.#owner.silent = true;
    this.#owner.close(messages.pingUnanswered(Math.round(nowMs - this.#heardMs)));
    return Number.POSITIVE_INFINITY;
  }
}
