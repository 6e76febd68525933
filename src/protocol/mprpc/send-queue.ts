import { shelve } from "../../protobuf/buffer-pool.js";
import type { Connection } from "../../transport/transport.js";
import { type ChunkedSend, type LargeKey, LargeMessages } from "./large-messages.js";
import { StreamQueue } from "./streams/stream-queue.js";
import { FrameEncoder } from "./wire/frame-encoder.js";
import type { Settings } from "./wire/header.js";

/** Gathered bytes leave early at this size: waiting for the end of the turn would leave the peer idle meanwhile. */
const earlyFlushBytes = 4096;
/**
 * Messages beyond this go out in chunks of it, so that small ones pass between them: what a small one waits for is one
 * chunk, about 0.1 ms at 1 GiB/s.
 */
export const chunkBytes = 128 * 1024;
/** One write of frames that gathered while the connection was busy is at most this, so that a slow reader still shows progress. */
const pieceBytes = 256 * 1024;

export interface SendQueueOwner {
  /** Chunks have left by themselves, so there is less to send than there was. */
  onProgress(): void;
}

/**
 * Gathers the frames of one turn of the event loop in one buffer and sends them in one write. While a write is still
 * on its way, frames gather; so at most one write is outstanding. Large messages leave a
 * chunk at a time, behind the frames there are, with a turn of the event loop between two chunks.
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
  /** The buffer of the write that has not left yet, and what follows it there. */
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
  /** Frames appended, and frames handed to the connection: a frame between the two has provably not left. */
  written = 0;
  flushed = 0;

  constructor(connection: Connection, owner: SendQueueOwner) {
    this.#connection = connection;
    this.#owner = owner;
  }

  /** Bytes that have not left the process. */
  get pendingBytes(): number {
    return this.pendingFrameBytes + this.pendingChunkBytes + (this.#streams?.bytes ?? 0);
  }

  /** The same without messages that wait to leave in chunks, and those of streams. */
  get pendingFrameBytes(): number {
    return this.encoder.writer.position + (this.#rest?.length ?? 0) + this.#connection.unwrittenBytes;
  }

  /** Bytes of messages that wait to leave in chunks. */
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

  /** The frames of streams, which leave behind the others. */
  get streams(): StreamQueue {
    this.#streams ??= new StreamQueue(
      () => this.flush(),
      () => this.#flushLater(),
    );
    return this.#streams;
  }

  /**
   * The message of the call or reply just closed shall leave in chunks. True: the frame announces it now, and is sent as
   * always, with `frameWritten`. False: the frame is taken back, and `announce` writes one as soon as the receiver has room;
   * it returns the number of its call, or nothing when the call has ended.
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

  /** Sends no more of this message; see `LargeMessages.giveUp`. */
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
    this.#streams?.stop();
    this.#large?.clear();
    this.#large = undefined;
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
    const large = this.#large;
    this.#chunkIsNext = false;
    this.#announcing = true;
    large?.announceWaiting();
    this.#announcing = false;
    // What announces a message leaves before its first chunk.
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
    // Not at once: what has come meanwhile is read and answered before the next chunk.
    this.#nextChunk = setImmediate(() => {
      this.#nextChunk = undefined;
      this.flush();
      this.#owner.onProgress();
    });
  }
}

/** True: all has left. */
function writeAll(connection: Connection, parts: readonly Uint8Array[]): boolean {
  if (connection.writeParts !== undefined && parts.length > 1) return connection.writeParts(parts);
  let left = true;
  for (const part of parts) left = connection.write(part) && left;
  return left;
}
