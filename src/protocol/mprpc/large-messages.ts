import type { DetachedBody } from "./wire/frame-encoder.js";
import { type Settings, settingsUnknown } from "./wire/header.js";

/** The sender of a message in chunks, when it has to know how far the message got. */
export interface ChunkedSend {
  /** Number of the last frame with a part of it, as `SendQueue.written` counts; infinite while one is still to come. */
  frame: number;
}

/** How a message is found again: its call at the caller, the number of its call at the provider. */
export type LargeKey = object | number;

/** A message that leaves in chunks. */
export interface LargeMessage {
  readonly key: LargeKey;
  /** 0 until it is announced, and of a oneway call. */
  callId: number;
  readonly send: ChunkedSend | undefined;
  readonly sizeBytes: number;
  /** `buffer[at..end)` is still to go. */
  readonly buffer: Buffer;
  at: number;
  readonly end: number;
}

interface WaitingMessage extends LargeMessage {
  /** No number tells the messages of two oneway calls apart, so they go one after the other. */
  readonly oneway: boolean;
  /** Writes the frame that announces it; the number of its call, or nothing when the call has ended. */
  readonly announce: () => number | undefined;
}

/**
 * The messages of one connection that leave in chunks: those that are announced take turns, a chunk each, so that none
 * waits for the end of another; the others wait until the receiver has room for them.
 */
export class LargeMessages {
  /** What the receiver takes at a time. */
  limits: Readonly<Pick<Settings, "arrivingMax" | "arrivingMaxBytes">> = settingsUnknown;
  /** Bytes that have not left. */
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
    // One message alone always goes: what is too large for the receiver is refused by its limit of messages.
    if (this.#announced.length === 0) return true;
    return this.#announced.length < arrivingMax && this.#announcedBytes + sizeBytes <= arrivingMaxBytes;
  }

  /** Takes a message whose announcing frame has been written. */
  add(key: LargeKey, callId: number, body: DetachedBody, send: ChunkedSend | undefined): void {
    this.#add(toMessage(key, callId, body, send));
  }

  #add(message: LargeMessage): void {
    const { callId, send, sizeBytes } = message;
    if (send !== undefined) send.frame = Number.POSITIVE_INFINITY;
    if (callId === 0) this.#onewayAnnounced = true;
    this.#announced.push(message);
    this.#announcedBytes += sizeBytes;
    this.pendingBytes += sizeBytes;
  }

  /** Takes a message that is to be announced when the receiver has room. */
  wait(
    key: LargeKey,
    oneway: boolean,
    body: DetachedBody,
    send: ChunkedSend | undefined,
    announce: WaitingMessage["announce"],
  ): void {
    const message = toMessage(key, 0, body, send);
    this.#waiting.push({ ...message, oneway, announce });
    this.pendingBytes += message.sizeBytes;
  }

  /** Announces what there is room for now. */
  announceWaiting(): void {
    for (;;) {
      const index = this.#waiting.findIndex(({ oneway }) => !(oneway && this.#onewayAnnounced));
      const next = this.#waiting[index];
      if (next === undefined || !this.#fits(next.sizeBytes)) return;
      this.#waiting.splice(index, 1);
      this.pendingBytes -= next.sizeBytes;
      const callId = next.announce();
      if (callId === undefined) continue;
      next.callId = callId;
      this.#add(next);
    }
  }

  /** `count` bytes of the first message have been given to the connection: the next one's turn, unless it is the only one. */
  took(count: number): void {
    const message = this.#announced.shift();
    if (message === undefined) return;
    message.at += count;
    this.pendingBytes -= count;
    if (message.at < message.end) this.#announced.push(message);
    else this.#ended(message);
  }

  #ended({ sizeBytes, callId }: LargeMessage): void {
    this.#announcedBytes -= sizeBytes;
    if (callId === 0) this.#onewayAnnounced = false;
  }

  /**
   * Sends no more of this message. `waiting`: it was never announced; `announced`: a part of it may have been sent; nothing
   * when all of it has gone out, or it does not go in chunks.
   */
  giveUp(key: LargeKey): "waiting" | "announced" | undefined {
    const waiting = this.#waiting.findIndex((one) => one.key === key);
    if (waiting >= 0) {
      this.pendingBytes -= this.#waiting[waiting]?.sizeBytes ?? 0;
      this.#waiting.splice(waiting, 1);
      return "waiting";
    }
    const announced = this.#announced.findIndex((one) => one.key === key);
    const message = this.#announced[announced];
    if (message === undefined) return undefined;
    this.#announced.splice(announced, 1);
    this.pendingBytes -= message.end - message.at;
    this.#ended(message);
    return "announced";
  }

  clear(): void {
    this.#announced = [];
    this.#waiting = [];
    this.pendingBytes = this.#announcedBytes = 0;
  }
}

function toMessage(
  key: LargeKey,
  callId: number,
  { buffer, start, end }: DetachedBody,
  send: ChunkedSend | undefined,
): LargeMessage {
  return { key, callId, send, sizeBytes: end - start, buffer, at: start, end };
}
