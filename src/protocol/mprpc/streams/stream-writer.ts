import { textOf } from "../../../base/thrown.js";
import type { MessageSender } from "../../../call/message-pump.js";
import { messages } from "../../../error/messages.js";
import { RpcError } from "../../../error/rpc-error.js";
import { Status } from "../../../error/status.js";
import type { MessageType } from "../../../protobuf/types.js";
import { varintBytes } from "../../../protobuf/varint.js";
import type { MessageBody } from "../wire/message-body.js";
import { messageCostBytes, type SendWindow, wholeMaxBytes } from "./credit.js";
import type { QueuedStream, StreamQueue } from "./stream-queue.js";

const chunkMaxBytes = 64 * 1024;

/** Writes the messages of one stream into its connection's queue, as far as the receiver has room. */
export class StreamWriter implements MessageSender, QueuedStream {
  burst = 0;
  protected readonly queue: StreamQueue;
  protected readonly callId: number;
  readonly #type: MessageType;
  readonly #window: SendWindow;
  readonly #bodyMaxBytes: () => number;
  /** The announced message that is not sent completely; until then it may reference the user's memory. */
  #announced: MessageBody | undefined;
  /** The next message is begun when there is this much credit. */
  #neededBytes = messageCostBytes;
  /** Length of the size prefix of the last message, bytes. */
  #sizeBytes = 1;
  #closed = false;
  /** It is in the queue of streams that wait for their turn. */
  #queued = false;
  #wake: Array<() => void> | undefined;

  constructor(
    queue: StreamQueue,
    callId: number,
    type: MessageType,
    window: SendWindow,
    bodyMaxBytes: () => number,
  ) {
    this.queue = queue;
    this.callId = callId;
    this.#type = type;
    this.#window = window;
    this.#bodyMaxBytes = bodyMaxBytes;
  }

  get hasRoom(): boolean {
    return this.#mayBegin && this.queue.hasRoomFor(this);
  }

  get #mayBegin(): boolean {
    return !this.#closed && this.#announced === undefined && this.#window.credit >= this.#neededBytes;
  }

  get closed(): boolean {
    return this.#closed;
  }

  room(): Promise<void> {
    if (this.#closed || this.hasRoom) return Promise.resolve();
    if (this.#mayBegin) this.#wait();
    return this.#awake();
  }

  whole(): Promise<void> {
    return this.#closed || this.#announced === undefined ? Promise.resolve() : this.#wholeLater();
  }

  async #wholeLater(): Promise<void> {
    while (!this.#closed && this.#announced !== undefined) await this.#awake();
  }

  #awake(): Promise<void> {
    this.#wake ??= [];
    const wake = this.#wake;
    return new Promise((resolve) => wake.push(resolve));
  }

  #wait(): void {
    if (this.#queued) return;
    this.#queued = true;
    this.queue.wait(this);
  }

  send(message: unknown): number {
    const { encoder } = this.queue;
    let bodyBytes: number;
    try {
      encoder.beginMessage(this.callId, this.#sizeBytes);
      this.#type.encode(message, encoder.writer);
      bodyBytes = encoder.endBody();
    } catch (error) {
      encoder.abort();
      const text = messages.streamMessageUnencodable(textOf(error));
      throw new RpcError(Status.INTERNAL, text, { cause: error });
    }
    return this.#sent(bodyBytes);
  }

  /** Sends a message that was encoded before. */
  sendEncoded(bytes: Buffer): number {
    const { encoder } = this.queue;
    encoder.beginMessage(this.callId, this.#sizeBytes);
    encoder.writer.raw(bytes);
    return this.#sent(encoder.endBody());
  }

  /** The frame of a message was closed: it is sent as it is, or becomes an announcement. */
  #sent(bodyBytes: number): number {
    const { encoder } = this.queue;
    const max = this.#bodyMaxBytes();
    if (bodyBytes > max) {
      encoder.abort();
      throw new RpcError(Status.RESOURCE_EXHAUSTED, messages.streamMessageTooLarge(bodyBytes, max));
    }
    this.#sizeBytes = varintBytes(bodyBytes);
    const cost = bodyBytes + messageCostBytes;
    if (bodyBytes <= wholeMaxBytes && cost <= this.#window.credit) {
      this.#window.take(cost);
      this.#neededBytes = this.#window.neededAfter(cost);
      this.burst += cost;
      encoder.keepBody();
      this.queue.frameWritten();
      return cost;
    }
    const body = encoder.takeBody();
    encoder.beginMessage(this.callId, 1);
    encoder.announceBody(bodyBytes);
    this.#window.take(messageCostBytes);
    this.#neededBytes = messageCostBytes;
    this.#announced = body;
    this.queue.frameWritten();
    this.#sendChunks();
    return cost;
  }

  #sendChunks(): void {
    const announced = this.#announced;
    if (announced === undefined || this.#closed) return;
    while (announced.leftBytes > 0) {
      const size = Math.min(announced.leftBytes, this.#window.credit, chunkMaxBytes);
      if (size === 0) return;
      if (!this.queue.hasRoomFor(this)) {
        this.#wait();
        return;
      }
      this.queue.encoder.chunk(this.callId, announced, size);
      this.burst += size;
      this.#window.take(size);
      this.queue.frameWritten();
    }
    this.#announced = undefined;
    this.#wakeAll();
  }

  /** The receiver grants more credit. Returns why the frame is malformed, or undefined. */
  onCredit(bytes: number): string | undefined {
    const wrong = this.#window.add(bytes);
    if (wrong === undefined) this.#goOn();
    return wrong;
  }

  onTurn(): void {
    this.#queued = false;
    this.#goOn();
  }

  #goOn(): void {
    if (this.#announced !== undefined) this.#sendChunks();
    else this.#wakeAll();
  }

  #wakeAll(): void {
    if (this.#wake !== undefined) for (const wake of this.#wake.splice(0)) wake();
  }

  /** The call has ended: nothing more is sent. */
  close(): void {
    this.#closed = true;
    this.#announced = undefined;
    this.#wakeAll();
  }
}
