import type { WindowBudget } from "./receive-window.js";
import type { HeaderLimits } from "./wire/hpack-decoder.js";

/** The limits for the peer, and the timers of a connection. */
export interface Http2Options {
  /** Limits of header lists from the peer; a request beyond them is answered 431. */
  headers: HeaderLimits;
  /** Streams of the peer at a time: as many as its calls may be in flight. More are refused. Default 1024. */
  streamsMax: number;
  /** The initial window of a stream, bytes. Default 256 KiB. */
  windowBytes: number;
  /** The largest window of a busy stream, bytes. Default 4 MiB. */
  windowMaxBytes: number;
  /** What the peer may send on all streams before that is known to have come, bytes. Default 1 MiB; grows as well. */
  connectionWindowBytes: number;
  /** Unread bytes on all streams. Default 64 MiB. */
  unreadMaxBytes: number;
  /** Memory for the windows of several connections. Default: each has what the limits above say. */
  windowBudget?: WindowBudget | undefined;
  /** Unsent bytes before the connection is closed. Default 64 MiB. */
  unwrittenMaxBytes: number;
  /** Silence before a ping is sent, ms; `Infinity`: never. Default 10,000. */
  pingIntervalMs: number;
  /**
   * Silence while streams are open before the peer is asked for a sign of life, ms: once, until it sends something else, or until
   * `doubtAgainMs` have gone by. For servers that do not like pings. Default `Infinity`.
   */
  doubtMs: number;
  /** Default 5 min, which servers allow by default. */
  doubtAgainMs: number;
  /** Silence after a ping before the connection counts as dead, ms. Default 4,000. */
  pingTimeoutMs: number;
  /** How long a peer may take for its first SETTINGS, to acknowledge ours, and for a header block that has begun, ms. Default 10,000. */
  answerTimeoutMs: number;
  /** A connection without a stream is closed after this, ms. Default `Infinity`. */
  idleTimeoutMs: number;
}

export const defaultHttp2Options: Readonly<Http2Options> = {
  headers: { listMaxBytes: 64 * 1024, fieldsMax: 512 },
  streamsMax: 1024,
  windowBytes: 256 * 1024,
  windowMaxBytes: 4 * 1024 * 1024,
  connectionWindowBytes: 1024 * 1024,
  unreadMaxBytes: 64 * 1024 * 1024,
  unwrittenMaxBytes: 64 * 1024 * 1024,
  pingIntervalMs: 10_000,
  doubtMs: Number.POSITIVE_INFINITY,
  doubtAgainMs: 5 * 60_000,
  pingTimeoutMs: 4000,
  answerTimeoutMs: 10_000,
  idleTimeoutMs: Number.POSITIVE_INFINITY,
};
