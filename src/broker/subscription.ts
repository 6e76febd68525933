import type { Clock, Timer } from "../base/clock.js";
import type { DeadlineWheel } from "../base/deadlines.js";
import { checkOptions, durationMs } from "../base/options.js";
import { textOf } from "../base/thrown.js";
import type { Peer } from "../call/peer.js";
import { callScope } from "../call/scope.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import type { Logger } from "../log/logger.js";
import type { TopicDefinition } from "../protobuf/topic.js";
import { decodeMessage } from "../protobuf/types.js";
import { PoisonMessage } from "./context.js";
import { type DeliverySource, EventDelivery, publishedMsOf } from "./delivery.js";
import type { Delivery, DriverConsumer, EventRecord } from "./driver.js";
import type { BrokerEmitter, DeliveryOutcome } from "./events.js";
import { header, headerOf, pushText, withoutHeaders } from "./headers.js";
import type { DeliveryNext, IncomingEvent } from "./interceptor.js";
import { type CloseOptions, type ResolvedSubscribe, retryDelayMs } from "./options.js";

export interface SubscriptionParts {
  readonly topic: TopicDefinition;
  readonly options: ResolvedSubscribe;
  /** Interceptors and the handler. */
  readonly handle: DeliveryNext;
  readonly events: BrokerEmitter;
  readonly clock: Clock;
  readonly wheel: DeadlineWheel;
  readonly log: Logger;
  readonly random: () => number;
  readonly drainTimeoutMs: number;
  readonly onBehalfOf: Peer | undefined;
  readonly onClosed: (subscription: Subscription) => void;
}

/** A message that was taken and is not settled. */
interface Held {
  delivery: Delivery;
  /** When the broker was last told that somebody works on it. */
  extendedMs: number;
  running: EventDelivery | undefined;
}

/** The longest error text that goes into a dead letter. */
const errorTextMax = 1000;

/** A member of a group: takes messages as there is room, runs the handler, and settles them. */
export class Subscription implements AsyncDisposable {
  readonly topic: TopicDefinition;
  readonly group: string;
  readonly #parts: SubscriptionParts;
  readonly #source: DeliverySource;
  /** By position. */
  readonly #held = new Map<string, Held>();
  /** Those of them that wait for a free handler; settled ones are skipped. */
  #waiting: Held[] = [];
  #waitingAt = 0;
  #running = 0;
  #requested = 0;
  #consumer: DriverConsumer | undefined;
  #extendTimer: Timer | undefined;
  #closing: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;

  /** @internal */
  constructor(parts: SubscriptionParts) {
    const { topic, options, clock, wheel } = parts;
    this.#parts = parts;
    this.topic = topic;
    this.group = options.group;
    this.#source = { topic, clock, wheel, ...options };
  }

  /** @internal */
  get onBehalfOf(): Peer | undefined {
    return this.#parts.onBehalfOf;
  }

  /** Messages taken and not settled; the broker's others are not here. */
  get inFlight(): number {
    return this.#held.size;
  }

  /** @internal */
  start(consumer: DriverConsumer): void {
    this.#consumer = consumer;
    this.#armExtend();
    this.#refill();
  }

  /** @internal */
  readonly onDelivery = (delivery: Delivery): void => {
    this.#requested = Math.max(0, this.#requested - 1);
    const now = this.#parts.clock.now();
    const known = this.#held.get(delivery.position);
    if (known !== undefined) {
      // The broker took us for dead and hands out once more what we still have: what counts is that it is ours again.
      known.delivery = delivery;
      known.extendedMs = now;
      return;
    }
    const held: Held = { delivery, extendedMs: now, running: undefined };
    this.#held.set(delivery.position, held);
    this.#waiting.push(held);
    this.#pump();
  };

  #refill(): void {
    if (this.#closing !== undefined) return;
    const { maxInFlight } = this.#parts.options;
    const taken = this.#held.size + this.#requested;
    // In large steps: a request costs the broker about as much as a message.
    if (taken * 2 > maxInFlight && taken > 0) return;
    const count = maxInFlight - taken;
    this.#requested += count;
    this.#consumer?.request(count);
  }

  #next(): Held | undefined {
    const held = this.#waiting[this.#waitingAt];
    if (held === undefined) {
      this.#waiting = [];
      this.#waitingAt = 0;
      return undefined;
    }
    this.#waitingAt++;
    return held;
  }

  #pump(): void {
    if (this.#closing !== undefined) return;
    while (this.#running < this.#parts.options.concurrency) {
      const held = this.#next();
      if (held === undefined) return;
      this.#running++;
      void this.#run(held);
    }
  }

  async #run(held: Held): Promise<void> {
    try {
      await this.#attempt(held);
    } finally {
      this.#running--;
      this.#held.delete(held.delivery.position);
      this.#pump();
      this.#refill();
      if (this.#running === 0) this.#onIdle?.();
    }
  }

  /** Never rejects. */
  async #attempt(held: Held): Promise<void> {
    const { delivery } = held;
    const consumer = this.#consumer as DriverConsumer;
    const onlyFor = headerOf(delivery.headers, header.group);
    if (onlyFor !== undefined && onlyFor !== this.group) {
      consumer.ack(delivery);
      return;
    }
    const { events, options } = this.#parts;
    const context = new EventDelivery(this.#source, delivery);
    held.running = context;
    if (events.has("deliveryStart")) events.emit("deliveryStart", { context });
    let outcome: DeliveryOutcome;
    let error: unknown;
    let delayMs: number | undefined;
    if (this.#isExpired(delivery)) {
      consumer.ack(delivery);
      outcome = "expired";
      error = new RpcError(Status.DEADLINE_EXCEEDED, messages.eventExpired);
    } else if (delivery.attempt > options.maxAttempts) {
      error = new Error(messages.deliveredTooOften(delivery.attempt - 1));
      outcome = await this.#bury(held, delivery.attempt - 1, error);
    } else {
      try {
        await this.#handle(context, delivery);
        outcome = this.#settle(held, (latest) => consumer.ack(latest)) ? "acked" : "released";
      } catch (thrown) {
        error = thrown;
        ({ outcome, delayMs } = await this.#fail(held, thrown));
      }
    }
    context.end();
    if (events.has("deliveryEnd")) {
      const elapsedMs = this.#parts.clock.now() - context.startMs;
      events.emit("deliveryEnd", { context, outcome, elapsedMs, error, retryDelayMs: delayMs });
    }
  }

  async #handle(context: EventDelivery, delivery: Delivery): Promise<void> {
    const { topic } = this;
    let message: unknown;
    try {
      message = decodeMessage(topic.message, delivery.payload);
    } catch (thrown) {
      throw new PoisonMessage(messages.eventCannotBeDecoded(topic.message.typeName, textOf(thrown)));
    }
    const event: IncomingEvent = { topic, message, context };
    await callScope.run(context, () => this.#parts.handle(event));
  }

  #isExpired(delivery: Delivery): boolean {
    const expires = headerOf(delivery.headers, header.expires);
    return expires !== undefined && this.#parts.clock.wallNow() >= Number(expires);
  }

  /** False: it went back to the group when the subscription was closed, and is no longer ours to settle. */
  #settle(held: Held, settle: (delivery: Delivery) => void): boolean {
    if (this.#held.get(held.delivery.position) !== held) return false;
    settle(held.delivery);
    return true;
  }

  async #fail(
    held: Held,
    thrown: unknown,
  ): Promise<{ outcome: DeliveryOutcome; delayMs: number | undefined }> {
    const { options, random } = this.#parts;
    const { attempt } = held.delivery;
    if (attempt >= options.maxAttempts || thrown instanceof PoisonMessage) {
      return { outcome: await this.#bury(held, attempt, thrown), delayMs: undefined };
    }
    const delayMs = retryDelayMs(options.retry, attempt, random);
    const retried = this.#settle(held, (latest) => this.#consumer?.retry(latest, delayMs));
    return retried ? { outcome: "retried", delayMs } : { outcome: "released", delayMs: undefined };
  }

  async #bury(held: Held, attempts: number, thrown: unknown): Promise<DeliveryOutcome> {
    if (this.#held.get(held.delivery.position) !== held) return "released";
    const { delivery } = held;
    const { topic, group } = this;
    const { events, log } = this.#parts;
    const reason = textOf(thrown).slice(0, errorTextMax);
    const id = headerOf(delivery.headers, header.id) ?? delivery.position;
    const record = deadRecord(delivery, id, attempts, reason);
    try {
      await this.#consumer?.deadLetter(delivery, record);
    } catch (error) {
      // It stays with the broker, which hands it out again; it is buried then.
      log.warn(`a message of ${topic.name} could not be moved to the dead letters of ${group}`, {
        id,
        error,
      });
      return "released";
    }
    log.warn(`a message of ${topic.name} is a dead letter of ${group}: ${reason}`, { id, attempts });
    if (events.has("deadLetter")) events.emit("deadLetter", { topic, group, id, attempts, reason });
    return "dead";
  }

  // --- messages that wait or run for long ---

  /** Three times within `ackWaitMs`, so that two of them may be lost. */
  get #extendEveryMs(): number {
    return this.#parts.options.ackWaitMs / 3;
  }

  #armExtend(): void {
    // Only as precise as it needs to be: a message is extended when it is a third of its time old.
    this.#extendTimer = this.#parts.clock.setTimer(() => {
      this.#extendHeld();
      this.#armExtend();
    }, this.#extendEveryMs / 2);
  }

  #extendHeld(): void {
    const now = this.#parts.clock.now();
    const due: Delivery[] = [];
    for (const held of this.#held.values()) {
      if (now - held.extendedMs < this.#extendEveryMs / 2) continue;
      held.extendedMs = now;
      due.push(held.delivery);
    }
    if (due.length > 0) this.#consumer?.extend(due);
  }

  // --- the end ---

  /**
   * Takes no more messages, gives back those that no handler has, and waits for running handlers. When their time is over, their signals are
   * aborted and their messages go back to the group too. Idempotent; never rejects for a broker that is away.
   */
  close(options?: CloseOptions): Promise<void> {
    const { drainTimeoutMs } = checkOptions<{ drainTimeoutMs: number }>(
      "Subscription.close",
      options,
      { drainTimeoutMs: this.#parts.drainTimeoutMs },
      { drainTimeoutMs: durationMs() },
    );
    this.#closing ??= this.#close(drainTimeoutMs);
    return this.#closing;
  }

  async #close(drainTimeoutMs: number): Promise<void> {
    const consumer = this.#consumer;
    await consumer?.stop(this.#release((held) => held.running === undefined));
    if (this.#running > 0) await this.#drained(drainTimeoutMs);
    const reason = new RpcError(Status.CANCELLED, messages.subscriptionClosed);
    const unfinished = this.#release((held) => {
      held.running?.cancel(reason);
      return true;
    });
    this.#extendTimer?.cancel();
    await consumer?.close(unfinished);
    this.#parts.onClosed(this);
  }

  #release(which: (held: Held) => boolean): Delivery[] {
    const released = [...this.#held.values()].filter(which).map(({ delivery }) => delivery);
    for (const { position } of released) this.#held.delete(position);
    return released;
  }

  #drained(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer =
        timeoutMs === Infinity ? undefined : this.#parts.clock.setTimer(() => resolve(), timeoutMs, true);
      this.#onIdle = () => {
        timer?.cancel();
        resolve();
      };
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function deadRecord(delivery: Delivery, id: string, attempts: number, reason: string): EventRecord {
  const { id: idName, publishedAt, group } = header;
  const headers = withoutHeaders(delivery.headers, [idName, publishedAt, group]);
  pushText(headers, idName, id);
  headers.push(publishedAt, String(publishedMsOf(delivery)));
  headers.push(header.origin, delivery.position, header.attempts, String(attempts));
  pushText(headers, header.error, reason);
  return { payload: delivery.payload, headers };
}
