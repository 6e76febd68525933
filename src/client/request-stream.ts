import { textOf } from "../base/thrown.js";
import type { RequestSender } from "../call/call-stream.js";
import { MessagePump, type MessageSender } from "../call/message-pump.js";
import type { MessageSource } from "../call/streams.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import { encodeMessage, type MessageType } from "../protobuf/types.js";

/**
 * Bytes of requests that are kept until the first frame of the call from the provider: as many as a caller may send before it.
 */
const keptMaxBytes = 16 * 1024;
/** What a message costs besides its bytes. */
const keptCostBytes = 32;

/**
 * The requests of one call, whatever connection its present attempt is on. What was sent before the provider's first frame is
 * kept, so that an attempt that provably reached no handler can be made again.
 */
export class RequestStream implements MessageSender {
  readonly #type: MessageType;
  readonly #pump: MessagePump;
  readonly #onActivity: () => void;
  #sender: RequestSender | undefined;
  /** Undefined once some were dropped. */
  #kept: Buffer[] | undefined = [];
  #keptBytes = 0;
  #ended = false;
  #closed = false;
  #wake: Array<() => void> | undefined;

  constructor(type: MessageType, source: MessageSource<unknown>, onActivity: () => void) {
    this.#type = type;
    this.#pump = new MessagePump(source);
    this.#onActivity = onActivity;
  }

  /** Everything taken from the source can still be sent again. */
  get repeatable(): boolean {
    return this.#kept !== undefined || !this.#pump.consumed;
  }

  /** Takes requests from the source until it ends or the call does. `onFailed`: the source threw, or gave a message that cannot be sent. */
  run(onFailed: (thrown: unknown, bySource: boolean) => void): void {
    void this.#pump.run(this).then((outcome) => {
      if (outcome.kind === "failed") onFailed(outcome.thrown, outcome.bySource);
      if (outcome.kind !== "ended") return;
      this.#ended = true;
      this.#sender?.end();
    });
  }

  /** An attempt has been sent on a connection. */
  attach(sender: RequestSender): void {
    for (const bytes of this.#kept ?? []) sender.sendEncoded(bytes);
    this.#sender = sender;
    if (this.#ended) sender.end();
    this.#wakeAll();
  }

  /** The attempt has failed. */
  detach(): void {
    this.#sender = undefined;
  }

  /** The first frame from the provider has arrived: the call will not be sent elsewhere. */
  settle(): void {
    this.#kept = undefined;
  }

  /** The call has ended. */
  close(): void {
    this.#closed = true;
    this.#sender = undefined;
    this.#wakeAll();
    void this.#pump.stop();
  }

  get hasRoom(): boolean {
    return this.#sender?.hasRoom ?? false;
  }

  room(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return this.#sender?.room() ?? this.#awake();
  }

  async whole(): Promise<void> {
    while (!this.#closed) {
      const sender = this.#sender;
      await (sender === undefined ? this.#awake() : sender.whole());
      // Another attempt may have begun meanwhile.
      if (sender !== undefined && sender === this.#sender) return;
    }
  }

  #awake(): Promise<void> {
    this.#wake ??= [];
    const wake = this.#wake;
    return new Promise((resolve) => wake.push(resolve));
  }

  #wakeAll(): void {
    if (this.#wake !== undefined) for (const wake of this.#wake.splice(0)) wake();
  }

  send(message: unknown): number {
    const sender = this.#sender as RequestSender;
    this.#onActivity();
    if (this.#kept === undefined) return sender.send(message);
    const bytes = this.#encode(message);
    this.#keptBytes += bytes.length + keptCostBytes;
    if (this.#keptBytes <= keptMaxBytes) this.#kept.push(bytes);
    else this.#kept = undefined;
    return sender.sendEncoded(bytes);
  }

  #encode(message: unknown): Buffer {
    try {
      return encodeMessage(this.#type, message);
    } catch (error) {
      throw new RpcError(Status.INTERNAL, messages.streamMessageUnencodable(textOf(error)), { cause: error });
    }
  }
}
