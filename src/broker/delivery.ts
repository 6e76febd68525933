import type { Clock } from "../base/clock.js";
import { type DeadlineWheel, Expiring } from "../base/deadlines.js";
import type { Metadata } from "../base/metadata.js";
import type { Cancellable, ParentCall } from "../call/scope.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import type { TopicDefinition } from "../protobuf/topic.js";
import type { EventContext } from "./context.js";
import type { Delivery } from "./driver.js";
import { header, headerOf, metadataOf } from "./headers.js";

export interface DeliverySource {
  readonly topic: TopicDefinition;
  readonly group: string;
  readonly maxAttempts: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly wheel: DeadlineWheel;
}

/**
 * One attempt at a message: what its handler sees, and what the calls it makes inherit. What most handlers never ask for (metadata, the
 * signal) is made when it is.
 */
export class EventDelivery extends Expiring implements EventContext, ParentCall {
  readonly #source: DeliverySource;
  readonly #delivery: Delivery;
  readonly startMs: number;
  #metadata: Metadata | undefined;
  #abort: AbortController | undefined;
  #children: Set<Cancellable> | undefined;
  cancelReason: RpcError | undefined = undefined;

  constructor(source: DeliverySource, delivery: Delivery) {
    super();
    this.#source = source;
    this.#delivery = delivery;
    this.startMs = source.clock.now();
    if (source.timeoutMs === Infinity) return;
    this.deadlineMs = this.startMs + source.timeoutMs;
    source.wheel.add(this);
  }

  get topic(): TopicDefinition {
    return this.#source.topic;
  }

  get group(): string {
    return this.#source.group;
  }

  get id(): string {
    return headerOf(this.#delivery.headers, header.id) ?? this.#delivery.position;
  }

  get position(): string {
    return this.#delivery.position;
  }

  get key(): string | undefined {
    return headerOf(this.#delivery.headers, header.key);
  }

  get attempt(): number {
    return this.#delivery.attempt;
  }

  get maxAttempts(): number {
    return this.#source.maxAttempts;
  }

  get publishedAt(): Date {
    return new Date(publishedMsOf(this.#delivery));
  }

  get metadata(): Metadata {
    this.#metadata ??= metadataOf(this.#delivery.headers);
    return this.#metadata;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.cancelReason !== undefined) this.#abort.abort(this.cancelReason);
    }
    return this.#abort.signal;
  }

  timeLeftMs(): number {
    return this.deadlineMs === Infinity ? Infinity : Math.max(0, this.deadlineMs - this.#source.clock.now());
  }

  addChild(child: Cancellable): void {
    this.#children ??= new Set();
    this.#children.add(child);
  }

  removeChild(child: Cancellable): void {
    this.#children?.delete(child);
  }

  onDeadline(): void {
    const text = messages.handlerOutOfTime(this.#source.timeoutMs);
    this.cancel(new RpcError(Status.DEADLINE_EXCEEDED, text));
  }

  /** Aborts the signal, and the calls that the handler has made. */
  cancel(reason: RpcError): void {
    if (this.cancelReason !== undefined) return;
    this.cancelReason = reason;
    this.#abort?.abort(reason);
    for (const child of [...(this.#children ?? [])]) child.cancel(reason);
  }

  /** The handler has returned. */
  end(): void {
    this.#source.wheel.remove(this);
  }
}

/** When it was published first, ms since the Unix epoch. */
export function publishedMsOf(delivery: Delivery): number {
  const first = headerOf(delivery.headers, header.publishedAt);
  return first === undefined ? delivery.publishedMs : Number(first);
}
