import { textOf } from "../base/thrown.js";
import type { RequestSender } from "../call/call-stream.js";
import { MessagePump, type MessageSender } from "../call/message-pump.js";
import type { MessageSource } from "../call/streams.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import { encodeMessage, type MessageType } from "../protobuf/types.js";

/**
 * What is kept of the requests until the provider has said a word of the call, bytes: as much as it lets a caller send before that.
 */
const keptMaxBytes = 16 * 1024;
/** What a message takes besides its bytes. */
const keptCostBytes = 32;

/**
 * The requests of one call, whatever connection its present attempt is on. What was sent before the provider's first word is
 * kept, so that an attempt that provably reached no handler can be made again.
 */
export class RequestStream implements MessageSender {
  readonly #type: MessageType;
  readonly #pump: MessagePump;
  readonly #onActivity: () => void;
  #sender: RequestSender | undefined;
  /** Undefined: not all of them are kept any more. */
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

  /** All that was taken from the source can be sent again. */
  get repeatable(): boolean {
    return this.#kept !== undefined || !this.#pump.consumed;
  }

  /** Takes requests from the source until it ends or the call does. `onFailed`: it threw, or gave what cannot be sent. */
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

  /** The provider has said the first word: the call is sent nowhere else. */
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
