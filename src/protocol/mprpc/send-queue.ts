import { shelve } from "../../protobuf/buffer-pool.js";
import type { Connection } from "../../transport/transport.js";
import { type ChunkedSend, type LargeKey, LargeMessages } from "./large-messages.js";
import { StreamQueue } from "./streams/stream-queue.js";
import { FrameEncoder } from "./wire/frame-encoder.js";
import type { Settings } from "./wire/header.js";

/** Gathered bytes are sent early at this size, so that the peer is not idle until the end of the turn. */
const earlyFlushBytes = 4096;
/**
 * Larger messages are sent in chunks of this size, so that small ones are sent between them: a small one waits for one
 * chunk at most, about 0.1 ms at 1 GiB/s.
 */
export const chunkBytes = 128 * 1024;
/** One write of frames that gathered while the connection was busy is at most this, so that a slow reader still shows progress. */
const pieceBytes = 256 * 1024;

export interface SendQueueOwner {
  /** Chunks were sent, so there is less to send than before. */
  onProgress(): void;
}

/**
 * Gathers the frames of one turn of the event loop in one buffer and sends them in one write. While a write is
 * outstanding, frames gather, so there is at most one write. Large messages are sent a
 * chunk at a time, after the other frames, with a turn of the event loop between two chunks.
 */
export class SendQueue {
  readonly encoder = new FrameEncoder();
  readonly #connection: Connection;
  readonly #owner: SendQueueOwner;
  readonly #flush = (): void => {
    this.#scheduled = false;
    this.flush();
  };
  #scheduled = false;
  /** The buffer of the outstanding write, and the bytes after it. */
  #sending: Buffer | undefined;
  #rest: Buffer | undefined;
  #blocked = false;
  #large: LargeMessages | undefined;
  #streams: StreamQueue | undefined;
  /** Streams have had their turn, and a large message waits for its own. */
  #chunkIsNext = false;
  #nextChunk: NodeJS.Immediate | undefined;
  /** Messages are being announced, which may write other frames. */
  #announcing = false;
  /** Frames appended, and frames handed to the connection: a frame between the two was provably not sent. */
  written = 0;
  flushed = 0;

  constructor(connection: Connection, owner: SendQueueOwner) {
    this.#connection = connection;
    this.#owner = owner;
  }

  /** Bytes not handed to the system yet. */
  get pendingBytes(): number {
    return this.pendingFrameBytes + this.pendingChunkBytes + (this.#streams?.bytes ?? 0);
  }

  /** The same without chunked messages and without those of streams. */
  get pendingFrameBytes(): number {
    return this.encoder.writer.position + (this.#rest?.length ?? 0) + this.#connection.unwrittenBytes;
  }

  /** Bytes of chunked messages not sent yet. */
  get pendingChunkBytes(): number {
    return this.#large?.pendingBytes ?? 0;
  }

  /** The messages that wait until the receiver has room for them, in their order. */
  get waitingKeys(): LargeKey[] {
    return this.#large?.waitingKeys ?? [];
  }

  /** A frame was appended to the encoder. */
  frameWritten(): void {
    this.written++;
    if (this.encoder.writer.position >= earlyFlushBytes) this.flush();
    else this.#flushLater();
  }

  #flushLater(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(this.#flush);
  }

  /** The frames of streams, which are sent after the others. */
  get streams(): StreamQueue {
    this.#streams ??= new StreamQueue(
      () => this.flush(),
      () => this.#flushLater(),
    );
    return this.#streams;
  }

  /**
   * Sends the message of the call or reply just closed in chunks. True: the frame now announces it, and is sent as
   * usual, with `frameWritten`. False: the frame is removed, and `announce` writes one as soon as the receiver has room;
   * it returns the number of its call, or undefined when the call has ended.
   */
  sendInChunks(
    key: LargeKey,
    callId: number,
    peer: Readonly<Settings>,
    send: ChunkedSend | undefined,
    announce: (sizeBytes: number) => number | undefined,
  ): boolean {
    this.#large ??= new LargeMessages();
    const large = this.#large;
    large.limits = peer;
    const sizeBytes = this.encoder.bodyBytes;
    const oneway = callId === 0;
    if (large.hasRoom(sizeBytes, oneway)) {
      large.add(key, callId, this.encoder.detachBody(), send);
      return true;
    }
    large.wait(key, oneway, this.encoder.takeBody(), send, () => announce(sizeBytes));
    return false;
  }

  /** Stops sending this message; see `LargeMessages.giveUp`. */
  giveUp(key: LargeKey): "waiting" | "announced" | undefined {
    return this.#large?.giveUp(key);
  }

  flush(): void {
    this.#flushFrames();
    if (this.#streams !== undefined) this.#flushStreams(this.#streams);
    const busy = this.#blocked || this.#announcing || this.#nextChunk !== undefined;
    if (!busy && this.#large !== undefined) this.#sendChunk();
  }

  #flushStreams(streams: StreamQueue): void {
    const { writer } = streams.encoder;
    if (this.#blocked || this.#announcing || writer.position === 0) return;
    const chunkWaits = this.#large !== undefined && this.#nextChunk === undefined;
    if (chunkWaits && this.#chunkIsNext) return;
    this.#chunkIsNext = true;
    const bytes = writer.view();
    this.#send(bytes, writer.detach());
    streams.onFlushed();
  }

  #flushFrames(): void {
    const { writer } = this.encoder;
    if (this.#blocked || writer.position === 0) return;
    this.flushed = this.written;
    const bytes = writer.view();
    this.#send(bytes, writer.detach());
  }

  /** The connection's last write was sent. */
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
    this.#streams?.stop();
    this.#large?.clear();
    this.#large = undefined;
  }

  /** Writes `bytes`, a part of `buffer`, which is free again when they were sent. */
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

  /** Sends one chunk of the message whose turn it is, and schedules the next. */
  #sendChunk(): void {
    const large = this.#large;
    this.#chunkIsNext = false;
    this.#announcing = true;
    large?.announceWaiting();
    this.#announcing = false;
    // The announcing frame must be sent before the first chunk.
    this.#flushFrames();
    const message = large?.first;
    if (large !== undefined && message !== undefined && !this.#blocked) {
      const chunk = large.takeChunk(message, chunkBytes);
      this.written++;
      this.flushed = this.written;
      this.#blocked = !writeAll(this.#connection, chunk);
      if (message.body.leftBytes === 0) {
        if (message.send !== undefined) message.send.frame = this.written;
        if (this.#blocked) this.#sending = message.body.buffer;
        else shelve(message.body.buffer);
      }
    }
    this.#scheduleChunk();
  }

  #scheduleChunk(): void {
    if (this.#large?.size === 0) this.#large = undefined;
    if (this.#blocked) return;
    if (this.#large === undefined) {
      this.#owner.onProgress();
      return;
    }
    // In a later turn, so that arrived bytes are read and answered before the next chunk.
    this.#nextChunk = setImmediate(() => {
      this.#nextChunk = undefined;
      this.flush();
      this.#owner.onProgress();
    });
  }
}

/** True: everything was sent. */
function writeAll(connection: Connection, parts: readonly Uint8Array[]): boolean {
  if (connection.writeParts !== undefined && parts.length > 1) return connection.writeParts(parts);
  let left = true;
  for (const part of parts) left = connection.write(part) && left;
  return left;
}
