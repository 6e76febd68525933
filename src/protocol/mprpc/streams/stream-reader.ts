import type { MessageQueue, MessageSupply } from "../../../call/message-queue.js";
import { messages } from "../../../error/messages.js";
import type { ChunkedMessage } from "../wire/frame-decoder.js";
import { messageCostBytes, type ReceiveWindow, wholeMaxBytes } from "./credit.js";
import type { GrantedMessages, WaitingMessage } from "./granted-messages.js";

/** The connection of a stream that is received. */
export interface ReaderHost {
  readonly granted: GrantedMessages;
  /** Tells the sender that there is room for more. */
  giveCredit(callId: number, bytes: number): void;
  /** The sender abandoned its announced message. */
  onGivenUp(callId: number): void;
}

/** Puts the messages of one stream that come on a connection into its queue, and gives credit as they are taken. */
export class StreamReader implements MessageSupply, WaitingMessage {
  readonly callId: number;
  readonly queue: MessageQueue;
  readonly #window: ReceiveWindow;
  readonly #host: ReaderHost;
  /** Bytes still to come of the message that was announced. */
  missingBytes = 0;
  #announcedBytes = 0;
  #closed = false;

  constructor(callId: number, queue: MessageQueue, window: ReceiveWindow, host: ReaderHost) {
    this.callId = callId;
    this.queue = queue;
    this.#window = window;
    this.#host = host;
    queue.supply = this;
  }

  /** `shared`: the memory is used again. Returns why it is malformed, or nothing. */
  onMessage(buffer: Buffer, start: number, end: number, shared: boolean): string | undefined {
    const cost = end - start + messageCostBytes;
    if (this.#announcedBytes > 0) return messages.messageBeforeWhole(this.callId);
    if (!this.#window.arrive(cost)) return messages.overCredit(this.callId, cost, this.#window.credit);
    this.queue.push(buffer, start, end, cost, shared);
    this.#give(false);
    return undefined;
  }

  /** A message that comes in chunks. Returns why it is malformed, or what takes it. */
  onAnnounced(sizeBytes: number): ChunkedMessage | string {
    if (!this.#window.arrive(messageCostBytes))
      return messages.overCredit(this.callId, messageCostBytes, this.#window.credit);
    this.#announcedBytes = this.missingBytes = sizeBytes;
    if (sizeBytes <= wholeMaxBytes) this.#window.onShort();
    if (this.queue.wanted) this.onWanted();
    return {
      onChunk: (bytes) => {
        if (this.#closed) return undefined;
        if (!this.#window.arrive(bytes)) return messages.overCredit(this.callId, bytes, this.#window.credit);
        this.missingBytes -= bytes;
        return undefined;
      },
      onEnd: (body) => this.#onWhole(body),
    };
  }

  #onWhole(body: Buffer | undefined): void {
    if (this.#closed) return;
    const cost = this.#announcedBytes + messageCostBytes;
    this.#announcedBytes = this.missingBytes = 0;
    this.#host.granted.delete(this);
    if (body === undefined) this.#host.onGivenUp(this.callId);
    else this.queue.push(body, 0, body.length, cost, false);
  }

  /** A message was announced and is not whole. */
  get isArriving(): boolean {
    return this.#announcedBytes > 0;
  }

  onTaken(costBytes: number, empty: boolean): void {
    this.#window.take(costBytes);
    this.#give(empty);
    this.#host.granted.retry();
  }

  #give(empty: boolean): void {
    if (this.#closed) return;
    const credit = this.#window.give(empty, this.#announcedBytes > 0);
    if (credit > 0) this.#host.giveCredit(this.callId, credit);
  }

  /** The application waits: a partly arrived message must get credit for its rest. */
  onWanted(): void {
    if (this.#announcedBytes > 0 && !this.#closed) this.#host.granted.add(this);
  }

  giveForMissing(forced: boolean): boolean {
    const credit = this.#window.giveFor(this.missingBytes, forced);
    if (credit === undefined) return false;
    if (credit > 0) this.#host.giveCredit(this.callId, credit);
    return true;
  }

  /** The call has ended. Arrived messages may still be read. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.queue.supply = undefined;
    this.#host.granted.delete(this);
    this.#window.close();
  }
}
