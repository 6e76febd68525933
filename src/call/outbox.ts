import type { Connection } from "../transport/transport.js";
import { emptyBytes } from "../wire/codec/reader.js";
import { shelve } from "../wire/codec/shelf.js";
import { openedMax } from "../wire/frame-decoder.js";
import { FrameEncoder, writeChunkHeader } from "../wire/frame-encoder.js";

/** Gathered bytes leave early at this size: waiting for the end of the turn would leave the peer idle meanwhile. */
const earlyFlushBytes = 4096;
/**
 * Messages beyond this go out in chunks of it, so that small ones pass between them: what a small one waits for is one
 * chunk, about 0.1 ms at 1 GiB/s.
 */
export const chunkBytes = 128 * 1024;
/** One write of frames that gathered while the connection was busy is at most this, so that a slow reader still shows progress. */
const pieceBytes = 256 * 1024;

/** Whoever sent a message in chunks, when it has to know how far it got. */
export interface ChunkedSend {
  /** Number of the last frame with a part of it, as `Outbox.written` counts; infinite while one is still to come. */
  frame: number;
}

export interface OutboxOwner {
  /** Chunks have left by themselves, so there is less to send than there was. */
  onProgress(): void;
}

/** A message that leaves in chunks: `buffer[at..end)` is still to go. */
interface Large {
  readonly callId: number;
  readonly send: ChunkedSend | undefined;
  buffer: Buffer;
  at: number;
  end: number;
  givenUp: boolean;
}

/**
 * Gathers the frames of one turn of the event loop in one buffer and sends them in one write. While a write is still
 * on its way, frames gather; so at most one write is outstanding. Large messages wait in a line of their own and leave
 * a chunk at a time, behind the frames there are, with a turn of the event loop between two chunks.
 */
export class Outbox {
  readonly encoder = new FrameEncoder();
  readonly #connection: Connection;
  readonly #owner: OutboxOwner;
  readonly #flush = (): void => {
    this.#scheduled = false;
    this.flush();
  };
  #scheduled = false;
  /** The buffer of the write that has not left yet, and what follows it there. */
  #sending: Buffer | undefined;
  #rest: Buffer | undefined;
  #blocked = false;
  #large: Large[] | undefined;
  #largeBytes = 0;
  #nextChunk: NodeJS.Immediate | undefined;
  /** Frames appended, and frames handed to the connection: a frame between the two has provably not left. */
  written = 0;
  flushed = 0;

  constructor(connection: Connection, owner: OutboxOwner) {
    this.#connection = connection;
    this.#owner = owner;
  }

  /** Bytes that have not left the process. */
  get pendingBytes(): number {
    return this.pendingFrameBytes + this.#largeBytes;
  }

  /** The same without messages that wait to leave in chunks. */
  get pendingFrameBytes(): number {
    return this.encoder.writer.position + (this.#rest?.length ?? 0) + this.#connection.unwrittenBytes;
  }

  /** Bytes of messages that wait to leave in chunks. */
  get pendingChunkBytes(): number {
    return this.#largeBytes;
  }

  /** A frame was appended to the encoder. */
  frameWritten(): void {
    this.written++;
    if (this.encoder.writer.position >= earlyFlushBytes) this.flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      process.nextTick(this.#flush);
    }
  }

  /**
   * The message of the frame just closed shall leave in chunks, unless too many do so already and it has to go as it is; the
   * frame itself is sent as always, with `frameWritten`.
   */
  sendInChunks(callId: number, send: ChunkedSend | undefined): void {
    this.#large ??= [];
    if (this.#large.length >= openedMax) return;
    const { buffer, start, end } = this.encoder.detachBody();
    if (send !== undefined) send.frame = Number.POSITIVE_INFINITY;
    this.#large.push({ callId, send, buffer, at: start, end, givenUp: false });
    this.#largeBytes += end - start;
  }

  /** Sends no more of the message of this call. False when all of it has gone out, or it did not go in chunks. */
  giveUp(callId: number): boolean {
    const large = this.#large?.findLast((one) => one.callId === callId && !one.givenUp);
    if (large === undefined) return false;
    this.#largeBytes -= large.end - large.at;
    large.givenUp = true;
    large.buffer = emptyBytes;
    return true;
  }

  flush(): void {
    this.#flushFrames();
    if (!this.#blocked && this.#large !== undefined && this.#nextChunk === undefined) this.#sendChunk();
  }

  #flushFrames(): void {
    const { writer } = this.encoder;
    if (this.#blocked || writer.position === 0) return;
    this.flushed = this.written;
    const bytes = writer.view();
    this.#send(bytes, writer.detach());
  }

  /** The connection's last write has left. */
  onDrain(): void {
    this.#blocked = false;
    const sent = this.#sending;
    this.#sending = undefined;
    if (this.#rest !== undefined) this.#send(this.#rest, sent as Buffer);
    else if (sent !== undefined) shelve(sent);
    this.flush();
  }

  /** Ends it: the connection is gone. */
  stop(): void {
    clearImmediate(this.#nextChunk);
    this.#large = undefined;
    this.#largeBytes = 0;
  }

  /** Writes `bytes`, a part of `buffer`, which is free again when they have left. */
  #send(bytes: Buffer, buffer: Buffer): void {
    let rest = bytes;
    do {
      const piece = rest.length > pieceBytes ? rest.subarray(0, pieceBytes) : rest;
      rest = rest.subarray(piece.length);
      this.#blocked = !this.#connection.write(piece);
    } while (!this.#blocked && rest.length > 0);
    this.#rest = rest.length > 0 ? rest : undefined;
    if (this.#blocked) this.#sending = buffer;
    else shelve(buffer);
  }

  /** Sends one chunk of the message whose turn it is, and sees to the next. */
  #sendChunk(): void {
    const large = this.#large?.[0];
    if (large === undefined) return;
    if (large.givenUp) this.#endGivenUp(large);
    else {
      const size = Math.min(large.end - large.at, chunkBytes);
      // The header goes over bytes that have left: those in front of the message, or of the chunk before.
      const from = writeChunkHeader(large.buffer, large.at, size);
      large.at += size;
      this.#largeBytes -= size;
      const bytes = large.buffer.subarray(from, large.at);
      this.written++;
      this.flushed = this.written;
      if (large.at === large.end) this.#endSent(large, bytes);
      else if (!this.#connection.write(bytes)) this.#blocked = true;
    }
    this.#scheduleChunk();
  }

  #endSent(large: Large, bytes: Buffer): void {
    this.#large?.shift();
    if (large.send !== undefined) large.send.frame = this.written;
    this.#send(bytes, large.buffer);
  }

  #endGivenUp(large: Large): void {
    this.#large?.shift();
    this.encoder.giveUpMessage();
    this.written++;
    this.#flushFrames();
    if (large.send !== undefined) large.send.frame = this.written;
  }

  #scheduleChunk(): void {
    if (this.#large?.length === 0) this.#large = undefined;
    if (this.#blocked) return;
    if (this.#large === undefined) {
      this.#owner.onProgress();
      return;
    }
    // Not at once: what has come meanwhile is read and answered before the next chunk.
    this.#nextChunk = setImmediate(() => {
      this.#nextChunk = undefined;
      this.flush();
      this.#owner.onProgress();
    });
  }
}
