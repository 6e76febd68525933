import type { PolicyRules, TopicAction } from "../auth/policy.js";
import { Metadata } from "../base/metadata.js";
import { callback, checkOptions, describeValue, having, listOf, text } from "../base/options.js";
import { compose } from "../call/interceptor.js";
import type { Peer } from "../call/peer.js";
import { callScope } from "../call/scope.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status, type StatusCode } from "../error/status.js";
import type { TopicDefinition } from "../protobuf/topic.js";
import { type App, runtimeOf } from "../runtime/app.js";
import type { Runtime } from "../runtime/runtime.js";
import type { EventContext } from "./context.js";
import { type Bounded, DeadLetters } from "./dead-letters.js";
import type { BrokerDriver, DriverDeps, EventRecord, StartPosition } from "./driver.js";
import { type BrokerEmitter, createBrokerEmitter } from "./events.js";
import type { IncomingEvent, OutgoingEvent, Published, PublishNext } from "./interceptor.js";
import { MemoryStore } from "./memory.js";
import { readBroker } from "./open.js";
import { runOperation } from "./operation.js";
import {
  type BrokerInterceptors,
  checkGroup,
  checkHandler,
  checkPosition,
  checkPublish,
  type PublishOptions,
  resolveSubscribe,
  type SubscribeOptions,
} from "./options.js";
import { type Envelope, recordOf } from "./record.js";
import { Subscription } from "./subscription.js";
import { TopicGuard } from "./topic-guard.js";

export interface BrokerOptions {
  /** Default: what the key `broker` says. */
  url?: string | undefined;
  /**
   * Who may publish and subscribe to which topic, `{ "topic:orders.*": "secret:orders" }`, instead of the conf's `[authz]`. Once there is a rule
   * for a topic, what no rule allows is refused. Default: the conf's, and without one everybody may use all topics.
   */
  policy?: PolicyRules | undefined;
  /** Around every publish and every handler: tracing, checks, authorisation that looks at the message. */
  interceptors?: BrokerInterceptors | undefined;
  /** Where `memory:` keeps its messages. Default: a store that the brokers of one application share. */
  memory?: MemoryStore | undefined;
}

/** A message handler. What it throws makes the message be tried again. */
export type EventHandler<Out> = (message: Out, context: EventContext) => unknown;

const optionRules = {
  url: text,
  policy: having(),
  interceptors: having(),
  memory: having("publish", "join"),
};
const interceptorRules = { publish: listOf(callback), deliver: listOf(callback) };

const noOptions: PublishOptions = {};

/** Applications whose brokers are `memory:` share what is published within each. */
const stores = new WeakMap<Runtime, MemoryStore>();

function storeOf(runtime: Runtime): MemoryStore {
  let store = stores.get(runtime);
  if (store === undefined) {
    store = new MemoryStore(runtime.clock);
    stores.set(runtime, store);
  }
  return store;
}

/** What interceptors see, and what the library adds. */
interface Publishing extends OutgoingEvent, Envelope {
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  readonly onBehalfOf: Peer | undefined;
}

/** Publishes messages to topics, and subscribes to them, through the broker that the key `broker` names. */
export class Broker implements AsyncDisposable {
  readonly events: BrokerEmitter;
  readonly #runtime: Runtime;
  readonly #open: () => Promise<BrokerDriver>;
  readonly #subscriptions = new Set<Subscription>();
  readonly #publish: PublishNext;
  readonly #deliver: NonNullable<BrokerInterceptors["deliver"]>;
  readonly #guard: TopicGuard;
  readonly #onAppClosed = (): void => void this.close();
  #driver: Promise<BrokerDriver> | undefined;
  /** That of `#driver`, when it is there. */
  #opened: BrokerDriver | undefined;
  /** Why the broker is away; undefined while it is not. */
  #away: string | undefined;
  #closing: Promise<void> | undefined;

  /**
   * Connects to nothing yet. Throws RpcError INVALID_ARGUMENT for a URL that cannot work, `TypeError` for wrong options, `PolicyError` for
   * rules that cannot be read.
   */
  constructor(app: App, options: BrokerOptions = {}) {
    const runtime = runtimeOf("Broker", app);
    const given = checkOptions<BrokerOptions>("Broker", options, {}, optionRules);
    const { publish, deliver } = checkOptions<BrokerInterceptors>(
      'Broker: option "interceptors"',
      given.interceptors,
      {},
      interceptorRules,
    );
    this.#runtime = runtime;
    const { broker } = runtime.settings;
    const open = readBroker(given.url ?? broker.url);
    this.events = createBrokerEmitter(runtime.log);
    this.#guard = new TopicGuard(runtime, given.policy, this.events, () => this.#judgeSubscriptions());
    const deps: DriverDeps = {
      ...{ clock: runtime.clock, log: runtime.log, random: runtime.random, password: broker.password },
      onConnection: (connected, reason) => this.#onConnection(connected, reason),
    };
    // What the caller's handler happens to be is not what the connection belongs to.
    this.#open = () => callScope.outside(() => open(deps, given.memory ?? storeOf(runtime)));
    this.#deliver = deliver ?? [];
    const send: PublishNext = (event) => this.#send(event as Publishing);
    this.#publish =
      publish === undefined || publish.length === 0
        ? send
        : compose<OutgoingEvent, Published>("client", publish, send, () => undefined).run;
    callScope.use();
    runtime.closed.addEventListener("abort", this.#onAppClosed, { once: true });
  }

  #onConnection(connected: boolean, reason: string | undefined): void {
    this.#away = connected ? undefined : (reason ?? "");
    void this.#driver?.then(
      ({ name }) => {
        if (connected) this.events.emit("connected", { broker: name });
        else this.events.emit("disconnected", { broker: name, reason });
      },
      () => {},
    );
  }

  /**
   * Resolves when the broker keeps the message. Rejects with RpcError; `executed` is `never` when it is not kept, and `maybe` when the answer is
   * missing. Throws nothing.
   */
  publish<In>(
    topic: TopicDefinition<unknown, In>,
    message: In,
    options?: PublishOptions,
  ): Promise<Published> {
    let event: Publishing;
    try {
      checkTopic(topic);
      event = this.#toEvent(topic, message, options);
    } catch (thrown) {
      return Promise.reject(thrown);
    }
    const { events } = this;
    if (events.has("publishStart") || events.has("publishEnd")) return this.#observed(event);
    return this.#judged(event);
  }

  #toEvent(topic: TopicDefinition, message: unknown, options: PublishOptions | undefined): Publishing {
    const given = options === undefined ? noOptions : checkPublish("Broker.publish", options);
    const { clock, settings } = this.#runtime;
    const timeoutMs = given.timeoutMs ?? settings.callTimeoutMs;
    const parent = callScope.current;
    return {
      topic,
      message,
      key: given.key,
      metadata: new Metadata(given.metadata),
      signal: given.signal,
      id: given.id,
      ttlMs: given.ttlMs ?? Infinity,
      timeoutMs,
      deadlineMs: Math.min(clock.now() + timeoutMs, parent?.deadlineMs ?? Infinity),
      onBehalfOf: given.onBehalfOf,
    };
  }

  async #observed(event: Publishing): Promise<Published> {
    const { events } = this;
    const { clock } = this.#runtime;
    const startMs = clock.now();
    events.emit("publishStart", { event });
    const end = (code: StatusCode, position: string | undefined, error: RpcError | undefined): void =>
      events.emit("publishEnd", { event, code, elapsedMs: clock.now() - startMs, position, error });
    try {
      const published = await this.#judged(event);
      end(Status.OK, published.position, undefined);
      return published;
    } catch (thrown) {
      const error = RpcError.from(thrown);
      end(error.code, undefined, error);
      throw thrown;
    }
  }

  /** Interceptors never see what may not be published. */
  #judged(event: Publishing): Promise<Published> {
    const denied = this.#guard.judge(event.topic, "publish", event.onBehalfOf);
    return denied === undefined ? this.#publish(event) : Promise.reject(denied);
  }

  /** Throws RpcError PERMISSION_DENIED. */
  #mustAllow(topic: TopicDefinition, action: TopicAction, caller?: Peer): void {
    const denied = this.#guard.judge(topic, action, caller);
    if (denied !== undefined) throw denied;
  }

  /** Other rules are in force: subscriptions that they do not allow end, and their messages go back to the group. */
  #judgeSubscriptions(): void {
    for (const one of this.#subscriptions) {
      if (this.#guard.judge(one.topic, "subscribe", one.onBehalfOf) !== undefined) void one.close();
    }
  }

  #send(event: Publishing): Promise<Published> {
    const { topic, id, timeoutMs, deadlineMs, signal } = event;
    const { clock, settings, wheel } = this.#runtime;
    let record: EventRecord;
    try {
      record = recordOf(event, settings.limits, clock);
    } catch (thrown) {
      return Promise.reject(thrown);
    }
    const late = (): RpcError =>
      new RpcError(Status.DEADLINE_EXCEEDED, messages.publishTimedOut(topic.name, timeoutMs, this.#hint()));
    const driver = this.#closing === undefined ? this.#opened : undefined;
    return runOperation({ wheel, deadlineMs, signal, late }, (wait) =>
      driver === undefined
        ? this.#driverNow().then((opened) => opened.publish(topic.name, record, id, wait))
        : driver.publish(topic.name, record, id, wait),
    );
  }

  #hint(): string {
    return this.#away === undefined || this.#away === "" ? "" : messages.brokerAway(this.#away);
  }

  /**
   * Joins a group and runs `handler` for its messages, each at least once: it is done when the handler resolves, and tried again, later, when
   * it throws. Resolves when the broker has let us join; rejects with RpcError when it does not within `calltimeout`.
   */
  async subscribe<Out>(
    topic: TopicDefinition<Out>,
    options: SubscribeOptions,
    handler: EventHandler<Out>,
  ): Promise<Subscription> {
    checkTopic(topic);
    const resolved = resolveSubscribe("Broker.subscribe", options);
    checkHandler("Broker.subscribe", handler);
    const { onBehalfOf } = resolved;
    this.#mustAllow(topic, "subscribe", onBehalfOf);
    const last = (event: IncomingEvent): unknown => handler(event.message as Out, event.context);
    const { clock, wheel, log, random, settings } = this.#runtime;
    const interceptors = this.#deliver;
    const subscription = new Subscription({
      ...{ topic, options: resolved, events: this.events, clock, wheel, log, random },
      handle:
        interceptors.length === 0
          ? last
          : compose<IncomingEvent, void>(
              "server",
              interceptors,
              async (event) => void (await last(event)),
              () => undefined,
            ).run,
      ...{ drainTimeoutMs: settings.provider.drainTimeoutMs, onBehalfOf },
      onClosed: (one) => this.#subscriptions.delete(one),
    });
    const what = `subscribing to ${topic.name}`;
    const consumer = await this.#bounded(what, async (wait) => {
      const driver = await this.#driverNow();
      return driver.consume(topic.name, resolved.group, resolved, subscription.onDelivery, wait);
    });
    // Other rules may be in force since.
    const late =
      this.#closing === undefined ? this.#guard.judge(topic, "subscribe", onBehalfOf) : closedError();
    if (late !== undefined) {
      await consumer.stop([]);
      await consumer.close([]);
      throw late;
    }
    this.#subscriptions.add(subscription);
    callScope.outside(() => subscription.start(consumer));
    return subscription;
  }

  /** What a group has given up. Asks the broker only when it is read. */
  deadLetters<Out>(topic: TopicDefinition<Out>, group: string): DeadLetters<Out> {
    checkTopic(topic);
    checkGroup("Broker.deadLetters", group);
    const driver = (): Promise<BrokerDriver> => {
      const denied = this.#guard.judge(topic, "subscribe", undefined);
      return denied === undefined ? this.#driverNow() : Promise.reject(denied);
    };
    return new DeadLetters(topic, group, driver, this.#bounded);
  }

  /**
   * Lets a group read from another position on: again what it has handled, or without what it has not. Messages in flight are finished by
   * those that have them. Rejects with RpcError.
   */
  async seek(topic: TopicDefinition, group: string, to: StartPosition): Promise<void> {
    checkTopic(topic);
    checkGroup("Broker.seek", group);
    checkPosition("Broker.seek", to);
    this.#mustAllow(topic, "subscribe");
    await this.#bounded(`moving group ${group} of ${topic.name}`, async (wait) => {
      const driver = await this.#driverNow();
      await driver.seek(topic.name, group, to, wait);
    });
  }

  #driverNow(): Promise<BrokerDriver> {
    if (this.#closing !== undefined) return Promise.reject(closedError());
    if (this.#driver === undefined) {
      const opening = this.#open();
      this.#driver = opening;
      opening.then(
        (driver) => {
          this.#opened = driver;
        },
        () => {
          // What is missing may be put right: the next use tries again.
          if (this.#driver === opening) this.#driver = undefined;
        },
      );
    }
    return this.#driver;
  }

  readonly #bounded: Bounded = (what, run) => {
    const { clock, settings, wheel } = this.#runtime;
    const { callTimeoutMs } = settings;
    const late = (): RpcError =>
      new RpcError(Status.DEADLINE_EXCEEDED, messages.brokerTimedOut(what, callTimeoutMs, this.#hint()));
    const deadlineMs = clock.now() + callTimeoutMs;
    return runOperation({ wheel, deadlineMs, signal: undefined, late }, run);
  };

  /** Closes all subscriptions as `Subscription.close` does, then the connection. Idempotent; never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#runtime.closed.removeEventListener("abort", this.#onAppClosed);
    this.#guard.close();
    await Promise.all([...this.#subscriptions].map((one) => one.close()));
    const driver = await this.#driver?.catch(() => undefined);
    await driver?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function closedError(): RpcError {
  return new RpcError(Status.UNAVAILABLE, messages.brokerClosed, { executed: "never" });
}

function checkTopic(topic: unknown): void {
  const { name, message } = (topic ?? {}) as Partial<TopicDefinition>;
  if (typeof name === "string" && typeof message?.encode === "function") return;
  throw new TypeError(messages.notATopic(describeValue(topic)));
}
