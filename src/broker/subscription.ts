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
import type { IncomingEvent } from "./interceptor.js";
import { type CloseOptions, type ResolvedSubscribe, retryDelayMs } from "./options.js";

export interface SubscriptionParts {
  readonly topic: TopicDefinition;
  readonly options: ResolvedSubscribe;
  /** Interceptors and the handler. What it throws, or rejects with, makes the message be tried again. */
  readonly handle: (event: IncomingEvent) => unknown;
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

/** What became of a delivery. */
interface Ended {
  readonly outcome: DeliveryOutcome;
  /** What its handler threw. */
  readonly error: unknown;
  /** Until it is handed out again, ms. */
  readonly delayMs: number | undefined;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | undefined | null)?.then === "function";
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
  #pumping = false;
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

  /** Not entered again by handlers that are done at once: the loop goes on for them. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (this.#closing === undefined && this.#running < this.#parts.options.concurrency) {
        const held = this.#next();
        if (held === undefined) return;
        this.#running++;
        this.#begin(held);
      }
    } finally {
      this.#pumping = false;
    }
  }

  #begin(held: Held): void {
    const { delivery } = held;
    const onlyFor = headerOf(delivery.headers, header.group);
    if (onlyFor !== undefined && onlyFor !== this.group) {
      this.#consumer?.ack(delivery);
      this.#free(held);
      return;
    }
    const { events, options } = this.#parts;
    const context = new EventDelivery(this.#source, delivery);
    held.running = context;
    if (events.has("deliveryStart")) events.emit("deliveryStart", { context });
    if (this.#isExpired(delivery)) {
      this.#consumer?.ack(delivery);
      const error = new RpcError(Status.DEADLINE_EXCEEDED, messages.eventExpired);
      this.#end(held, context, { outcome: "expired", error, delayMs: undefined });
      return;
    }
    if (delivery.attempt > options.maxAttempts) {
      const attempts = delivery.attempt - 1;
      void this.#buryAndEnd(held, context, attempts, new Error(messages.deliveredTooOften(attempts)));
      return;
    }
    let returned: unknown;
    try {
      returned = this.#handle(context, delivery);
    } catch (thrown) {
      this.#fail(held, context, thrown);
      return;
    }
    if (!isThenable(returned)) this.#done(held, context);
    else {
      // A promise as it is: one more for each message costs as much as all the rest.
      Promise.resolve(returned).then(
        () => this.#done(held, context),
        (thrown) => this.#fail(held, context, thrown),
      );
    }
  }

  #done(held: Held, context: EventDelivery): void {
    const acked = this.#settle(held, (latest) => this.#consumer?.ack(latest));
    this.#end(held, context, { outcome: acked ? "acked" : "released", error: undefined, delayMs: undefined });
  }

  #end(held: Held, context: EventDelivery, { outcome, error, delayMs }: Ended): void {
    const { events, clock } = this.#parts;
    context.end();
    if (events.has("deliveryEnd")) {
      const elapsedMs = clock.now() - context.startMs;
      events.emit("deliveryEnd", { context, outcome, elapsedMs, error, retryDelayMs: delayMs });
    }
    this.#free(held);
  }

  /** Its handler is free for another. */
  #free(held: Held): void {
    this.#running--;
    this.#held.delete(held.delivery.position);
    this.#pump();
    this.#refill();
    if (this.#running === 0) this.#onIdle?.();
  }

  /** Gives what the handler returns, or throws as it does. */
  #handle(context: EventDelivery, delivery: Delivery): unknown {
    const { topic } = this;
    let message: unknown;
    try {
      message = decodeMessage(topic.message, delivery.payload);
    } catch (thrown) {
      throw new PoisonMessage(messages.eventCannotBeDecoded(topic.message.typeName, textOf(thrown)));
    }
    const event: IncomingEvent = { topic, message, context };
    return callScope.run(context, () => this.#parts.handle(event));
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

  #fail(held: Held, context: EventDelivery, thrown: unknown): void {
    const { options, random } = this.#parts;
    const { attempt } = held.delivery;
    if (attempt >= options.maxAttempts || thrown instanceof PoisonMessage) {
      void this.#buryAndEnd(held, context, attempt, thrown);
      return;
    }
    const delayMs = retryDelayMs(options.retry, attempt, random);
    const retried = this.#settle(held, (latest) => this.#consumer?.retry(latest, delayMs));
    const how = retried
      ? { outcome: "retried" as const, delayMs }
      : { outcome: "released" as const, delayMs: undefined };
    this.#end(held, context, { ...how, error: thrown });
  }

  /** Never rejects. */
  async #buryAndEnd(held: Held, context: EventDelivery, attempts: number, error: unknown): Promise<void> {
    const outcome = await this.#bury(held, attempts, error);
    this.#end(held, context, { outcome, error, delayMs: undefined });
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
