import { textOf } from "../../base/thrown.js";
import type { RequestSender } from "../../call/call-stream.js";
import type { MessageQueue, MessageSupply } from "../../call/message-queue.js";
import { messages } from "../../error/messages.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import type { MessageType } from "../../protobuf/types.js";
import { giveBack, type MessageCopy, takeCopy } from "./copy.js";

/** The cost of a message besides its bytes. */
const messageCostBytes = 32;
/** Messages of one stream that may lie at its reader, bytes. */
const windowBytes = 256 * 1024;

/** Free room a stream of requests needs to begin, bytes. */
const startBytes = 16 * 1024;

/**
 * What the streams of one connection may hold together, or those of all connections of a provider within the process. A stream
 * whose reader has nothing may always send one message.
 */
export class StreamRoom {
  readonly #maxBytes: number;
  readonly #parent: StreamRoom | undefined;
  readonly #waiting = new Set<InprocStream>();
  #heldBytes = 0;

  /** `parent`: the budget of all connections, which must have room as well. */
  constructor(maxBytes: number, parent?: StreamRoom) {
    this.#maxBytes = maxBytes;
    this.#parent = parent;
  }

  get hasRoom(): boolean {
    return this.#hasRoomFor(1);
  }

  #hasRoomFor(bytes: number): boolean {
    if (this.#heldBytes + bytes > this.#maxBytes) return false;
    return this.#parent === undefined || this.#parent.#hasRoomFor(bytes);
  }

  /** Takes room for a new stream of requests; false when there is none. */
  begin(): boolean {
    if (!this.#hasRoomFor(startBytes)) return false;
    this.add(startBytes);
    return true;
  }

  /** A stream of requests has ended. */
  end(): void {
    this.release(startBytes);
  }

  add(bytes: number): void {
    this.#heldBytes += bytes;
    this.#parent?.add(bytes);
  }

  release(bytes: number): void {
    this.#heldBytes -= bytes;
    this.#parent?.release(bytes);
    if (this.#waiting.size === 0 || !this.hasRoom) return;
    for (const one of [...this.#waiting]) one.onRoom();
  }

  await(stream: InprocStream): void {
    this.#waiting.add(stream);
    this.#parent?.await(stream);
  }

  forget(stream: InprocStream): void {
    this.#waiting.delete(stream);
    this.#parent?.forget(stream);
  }
}

/** The messages of one stream, from the sender at one end into the reader's queue at the other. */
export class InprocStream implements RequestSender, MessageSupply {
  readonly #type: MessageType;
  readonly #queue: MessageQueue;
  readonly #room: StreamRoom;
  readonly #maxBytes: number;
  #heldBytes = 0;
  #closed = false;
  /** Nobody reads it any more. */
  #unread = false;
  #wake: Array<() => void> = [];

  constructor(type: MessageType, queue: MessageQueue, room: StreamRoom, maxBytes: number) {
    this.#type = type;
    this.#queue = queue;
    this.#room = room;
    this.#maxBytes = maxBytes;
    queue.supply = this;
  }

  // --- the sender's ---

  get hasRoom(): boolean {
    if (this.#closed || this.#unread) return false;
    return this.#heldBytes === 0 || (this.#heldBytes < windowBytes && this.#room.hasRoom);
  }

  room(): Promise<void> {
    if (this.#closed || this.hasRoom) return Promise.resolve();
    if (!this.#room.hasRoom) this.#room.await(this);
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  whole(): Promise<void> {
    return Promise.resolve();
  }

  send(message: unknown): number {
    const copy = takeCopy();
    try {
      copy.write(this.#type, message);
      return this.#push(copy);
    } catch (error) {
      if (error instanceof RpcError) throw error;
      const text = messages.streamMessageUnencodable(textOf(error));
      throw new RpcError(Status.INTERNAL, text, { cause: error });
    } finally {
      giveBack(copy);
    }
  }

  sendEncoded(bytes: Buffer): number {
    const cost = this.#take(bytes.length);
    this.#queue.push(Buffer.from(bytes), 0, bytes.length, cost, false);
    return cost;
  }

  #push(copy: MessageCopy): number {
    const bytes = copy.view();
    const cost = this.#take(bytes.length);
    if (this.#unread) return cost;
    const own = copy.takeOwn();
    if (own === undefined) this.#queue.push(bytes, 0, bytes.length, cost, true);
    else this.#queue.push(own, 0, own.length, cost, false);
    return cost;
  }

  /** Throws for a message that is too large. */
  #take(bytes: number): number {
    if (bytes > this.#maxBytes) {
      const text = messages.streamMessageTooLarge(bytes, this.#maxBytes);
      throw new RpcError(Status.RESOURCE_EXHAUSTED, text);
    }
    const cost = bytes + messageCostBytes;
    this.#heldBytes += cost;
    this.#room.add(cost);
    return cost;
  }

  end(): void {
    if (!this.#closed) this.#queue.end();
  }

  // --- the reader's ---

  onTaken(costBytes: number): void {
    if (this.#closed) return;
    this.#heldBytes -= costBytes;
    this.#room.release(costBytes);
    if (this.#heldBytes <= windowBytes / 2) this.onRoom();
  }

  onWanted(): void {}

  /** There may be room again. */
  onRoom(): void {
    if (this.#wake.length === 0) return;
    if (!this.#closed && !this.hasRoom) {
      if (!this.#room.hasRoom) this.#room.await(this);
      return;
    }
    this.#room.forget(this);
    for (const wake of this.#wake.splice(0)) wake();
  }

  /** The reader has left: messages are dropped until the sender is notified. */
  drop(): void {
    this.#unread = true;
  }

  /** The call has ended for the sender: nothing more is sent. Arrived messages may still be read. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue.supply = undefined;
    this.#room.forget(this);
    this.#room.release(this.#heldBytes);
    this.onRoom();
  }
}

/** The replies of one call: its initial metadata go before the first message. */
export class ReplyStream extends InprocStream {
  begun = false;
  readonly #onBegin: () => void;
  readonly #onActivity: () => void;

  constructor(
    type: MessageType,
    queue: MessageQueue,
    room: StreamRoom,
    maxBytes: number,
    told: { onBegin(): void; onActivity(): void },
  ) {
    super(type, queue, room, maxBytes);
    this.#onBegin = told.onBegin;
    this.#onActivity = told.onActivity;
  }

  begin(): void {
    if (this.begun) return;
    this.begun = true;
    this.#onBegin();
  }

  override send(message: unknown): number {
    this.begin();
    this.#onActivity();
    return super.send(message);
  }
}
