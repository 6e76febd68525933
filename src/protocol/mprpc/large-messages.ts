import { type Settings, settingsUnknown } from "./wire/header.js";
import type { MessageBody } from "./wire/message-body.js";

/** The sender of a message in chunks, if it needs to know how much was sent. */
export interface ChunkedSend {
  /** Number of the last frame with a part of it, as `SendQueue.written` counts; infinite while one is still to come. */
  frame: number;
}

/** The key of a message: its call at the caller, the number of its call at the provider. */
export type LargeKey = object | number;

/** A message sent in chunks. */
export interface LargeMessage {
  readonly key: LargeKey;
  /** 0 until it is announced, and for a oneway call. */
  callId: number;
  readonly send: ChunkedSend | undefined;
  readonly body: MessageBody;
}

interface WaitingMessage extends LargeMessage {
  /** Oneway calls have no number to tell their messages apart, so these are sent one after the other. */
  readonly oneway: boolean;
  /** Writes the frame that announces it; the number of its call, or nothing when the call has ended. */
  readonly announce: () => number | undefined;
}

/**
 * The messages of one connection that are sent in chunks. Announced ones take turns, a chunk each, so that none
 * waits for the end of another; the others wait until the receiver has room.
 */
export class LargeMessages {
  /** The receiver's limits. */
  limits: Readonly<Pick<Settings, "arrivingMax" | "arrivingMaxBytes">> = settingsUnknown;
  /** Bytes not sent yet. */
  pendingBytes = 0;
  #announced: LargeMessage[] = [];
  #announcedBytes = 0;
  #onewayAnnounced = false;
  #waiting: WaitingMessage[] = [];

  get size(): number {
    return this.#announced.length + this.#waiting.length;
  }

  /** The message whose turn it is. */
  get first(): LargeMessage | undefined {
    return this.#announced[0];
  }

  /** The messages that are not announced, in their order. */
  get waitingKeys(): LargeKey[] {
    return this.#waiting.map(({ key }) => key);
  }

  /** A message of this size may be announced now. */
  hasRoom(sizeBytes: number, oneway: boolean): boolean {
    return this.#waiting.length === 0 && this.#fits(sizeBytes) && !(oneway && this.#onewayAnnounced);
  }

  #fits(sizeBytes: number): boolean {
    const { arrivingMax, arrivingMaxBytes } = this.limits;
    // A single message is always sent: one too large for the receiver is refused by its message limit.
    if (this.#announced.length === 0) return true;
    return this.#announced.length < arrivingMax && this.#announcedBytes + sizeBytes <= arrivingMaxBytes;
  }

  /** Adds a message whose announcing frame has been written. */
  add(key: LargeKey, callId: number, body: MessageBody, send: ChunkedSend | undefined): void {
    this.#add({ key, callId, body, send });
  }

  #add(message: LargeMessage): void {
    const { callId, send, body } = message;
    if (send !== undefined) send.frame = Number.POSITIVE_INFINITY;
    if (callId === 0) this.#onewayAnnounced = true;
    this.#announced.push(message);
    this.#announcedBytes += body.sizeBytes;
    this.pendingBytes += body.sizeBytes;
  }

  /** Adds a message to be announced when the receiver has room. */
  wait(
    key: LargeKey,
    oneway: boolean,
    body: MessageBody,
    send: ChunkedSend | undefined,
    announce: WaitingMessage["announce"],
  ): void {
    this.#waiting.push({ key, callId: 0, body, send, oneway, announce });
    this.pendingBytes += body.sizeBytes;
  }

  /** Announces the messages there is room for now. */
  announceWaiting(): void {
    for (;;) {
      const index = this.#waiting.findIndex(({ oneway }) => !(oneway && this.#onewayAnnounced));
      const next = this.#waiting[index];
      if (next === undefined || !this.#fits(next.body.sizeBytes)) return;
      this.#waiting.splice(index, 1);
      this.pendingBytes -= next.body.sizeBytes;
      const callId = next.announce();
      if (callId === undefined) continue;
      next.callId = callId;
      this.#add(next);
    }
  }

  /** The next chunk of the first message, of at most `mostBytes`. Then it is the turn of the next message. */
  takeChunk(message: LargeMessage, mostBytes: number): Uint8Array[] {
    const { body, callId } = message;
    const before = body.leftBytes;
    const chunk = body.next(callId, mostBytes);
    this.pendingBytes -= before - body.leftBytes;
    this.#announced.shift();
    if (body.leftBytes > 0) this.#announced.push(message);
    else this.#ended(message);
    return chunk;
  }

  #ended({ body, callId }: LargeMessage): void {
    this.#announcedBytes -= body.sizeBytes;
    if (callId === 0) this.#onewayAnnounced = false;
  }

  /**
   * Stops sending this message. `waiting`: it was never announced; `announced`: a part may have been sent; undefined
   * when all of it was sent, or it is not sent in chunks.
   */
  giveUp(key: LargeKey): "waiting" | "announced" | undefined {
    const waiting = this.#waiting.findIndex((one) => one.key === key);
    if (waiting >= 0) {
      this.pendingBytes -= this.#waiting[waiting]?.body.sizeBytes ?? 0;
      this.#waiting.splice(waiting, 1);
      return "waiting";
    }
    const announced = this.#announced.findIndex((one) => one.key === key);
    const message = this.#announced[announced];
    if (message === undefined) return undefined;
    this.#announced.splice(announced, 1);
    this.pendingBytes -= message.body.leftBytes;
    this.#ended(message);
    return "announced";
  }

  clear(): void {
    this.#announced = [];
    this.#waiting = [];
    this.pendingBytes = this.#announcedBytes = 0;
  }
}
