import type { Msg, NatsConnection, Subscription } from "@nats-io/transport-node";
import type { Timer } from "../../base/clock.js";
import { textOf } from "../../base/thrown.js";
import type { Delivery, DriverConsumer, DriverDeps, EventRecord, Wait } from "../driver.js";
import type { NatsLink } from "./connection.js";
import { flatHeaders } from "./flat-headers.js";
import type { GroupPlace } from "./place.js";

export interface NatsConsumerParts {
  readonly name: string;
  readonly group: string;
  readonly stream: string;
  readonly link: NatsLink;
  readonly inbox: string;
  readonly deps: DriverDeps;
  readonly onDelivery: (delivery: Delivery) => void;
  readonly place: GroupPlace;
  /** Asks the server how far the group has come. */
  readonly ask: () => Promise<void>;
  /** Makes the stream and the group again, where they are gone. */
  readonly ensure: () => Promise<void>;
  readonly bury: (delivery: Delivery, record: EventRecord) => Promise<void>;
  /** Ends the group when it is this member's own. */
  readonly leave: () => Promise<void>;
  readonly onClosed: (consumer: NatsConsumer) => void;
}

/** A message with the subject that its settling goes to. */
interface NatsDelivery extends Delivery {
  readonly reply: string;
}

/** The server answers a request for messages by then, whether there were any or not, ms. */
const expiresMs = 30_000;
/** One that does not, for so much longer, has forgotten it, ms. */
const forgottenMs = 10_000;
/** The server is asked how far the group has come so long after a message was finished, for all that were finished by then, ms. */
const askAfterMs = 1000;
const nanosPerMs = 1_000_000;

/**
 * A member of a durable consumer. It pulls: a request names how many messages are wanted and where they go, and the server ends it with a
 * status that says how many it did not send.
 */
export class NatsConsumer implements DriverConsumer {
  readonly #parts: NatsConsumerParts;
  readonly #next: string;
  /** Asked for, and neither received nor refused. */
  #wanted = 0;
  /** Statuses of earlier requests, to a server that has forgotten them, do not count. */
  #epoch = 0;
  #heardMs = 0;
  #subscription: Subscription | undefined;
  #timer: Timer | undefined;
  #recovering = false;
  #askTimer: Timer | undefined;
  #stopped = false;

  constructor(parts: NatsConsumerParts) {
    this.#parts = parts;
    this.#next = `$JS.API.CONSUMER.MSG.NEXT.${parts.stream}.${parts.group}`;
  }

  async start(wait: Wait): Promise<void> {
    this.#listen(await this.#parts.link.ready(wait));
    this.#watch();
  }

  #listen(connection: NatsConnection): void {
    const { name, inbox, deps } = this.#parts;
    this.#subscription = connection.subscribe(`${inbox}.*`, {
      callback: (error, message) => {
        if (error !== null) deps.log.error(`subscribing at ${name} failed: ${textOf(error)}`);
        else this.#onMessage(message);
      },
    });
  }

  request(count: number): void {
    this.#wanted += count;
    this.#pull(count);
  }

  #pull(count: number): void {
    const connection = this.#parts.link.now;
    // What is wanted is asked for when the connection is back.
    if (connection === undefined || count <= 0 || this.#stopped || this.#recovering) return;
    this.#heardMs = this.#parts.deps.clock.now();
    const body = JSON.stringify({ batch: count, expires: expiresMs * nanosPerMs });
    this.#publish(connection, this.#next, body, `${this.#parts.inbox}.${this.#epoch}`);
  }

  #publish(connection: NatsConnection, subject: string, payload: string, reply?: string): void {
    try {
      connection.publish(subject, payload, reply === undefined ? {} : { reply });
    } catch (thrown) {
      this.#parts.deps.log.debug(`a message to ${this.#parts.name} was not sent: ${textOf(thrown)}`);
    }
  }

  // --- what comes ---

  #onMessage(message: Msg): void {
    this.#heardMs = this.#parts.deps.clock.now();
    const { reply, headers, subject } = message;
    if (subject.startsWith(this.#parts.inbox)) {
      if (subject === `${this.#parts.inbox}.${this.#epoch}`) this.#onStatus(message);
      return;
    }
    if (reply === undefined) return;
    const delivery = toDelivery(reply, message.data, flatHeaders(headers));
    if (delivery === undefined) return;
    if (this.#stopped) {
      this.#settle(delivery, "-NAK");
      return;
    }
    this.#wanted = Math.max(0, this.#wanted - 1);
    this.#parts.place.handed(delivery);
    this.#parts.onDelivery(delivery);
  }

  #onStatus({ headers }: Msg): void {
    const code = headers?.code;
    const unsent = Number(headers?.get("Nats-Pending-Messages") ?? "");
    const text = headers?.description ?? "";
    // The time of a request is over: what it did not bring is asked for anew.
    if (code === 408 && unsent > 0) this.#pull(Math.min(unsent, this.#wanted));
    else if (code !== 100) void this.#recover(`${code} ${text}`);
  }

  /** The server has changed under us, or forgotten what we asked for. */
  async #recover(why: string): Promise<void> {
    if (this.#recovering || this.#stopped) return;
    this.#recovering = true;
    const { deps, name, group, ensure } = this.#parts;
    deps.log.debug(`group ${group} at ${name} asks anew: ${why}`);
    for (;;) {
      await new Promise<void>((resolve) => {
        deps.clock.setTimer(resolve, 200 + 200 * deps.random());
      });
      if (this.#stopped || this.#parts.link.now === undefined) break;
      try {
        await ensure();
        break;
      } catch (thrown) {
        deps.log.warn(`group ${group} at ${name} cannot go on: ${textOf(thrown)}`);
      }
    }
    this.#recovering = false;
    this.#askAnew();
  }

  #askAnew(): void {
    const connection = this.#parts.link.now;
    if (connection !== undefined && this.#subscription === undefined && !this.#stopped)
      this.#listen(connection);
    this.#epoch++;
    this.#pull(this.#wanted);
  }

  /**
   * The client sends what it could not send as soon as it is connected again. Nobody listens then for the answer to a request for messages, and
   * the server hands out none before it is known how far the group was.
   */
  onDisconnect(): void {
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
  }

  /** The server knows nothing of requests on the connection before. */
  onReconnect(): void {
    void this.#recover("a new connection");
  }

  /** Never rejects. */
  async #ask(): Promise<void> {
    const { link, deps, name, group, ask } = this.#parts;
    if (this.#recovering || this.#stopped || link.now === undefined) return;
    try {
      await ask();
    } catch (thrown) {
      deps.log.debug(`how far group ${group} has come is not known from ${name}: ${textOf(thrown)}`);
    }
  }

  /** A server that lost its data, or its leader, says nothing at all. */
  #watch(): void {
    const { clock } = this.#parts.deps;
    this.#timer = clock.setTimer(() => {
      const silentMs = clock.now() - this.#heardMs;
      if (this.#wanted > 0 && silentMs > expiresMs + forgottenMs) void this.#recover("no answer");
      else if (this.#parts.place.isBehind) void this.#ask();
      this.#watch();
    }, forgottenMs);
  }

  // --- what becomes of messages ---

  #settle(delivery: Delivery, text: string): void {
    const connection = this.#parts.link.now;
    // Lost while the connection is: the message is handed out once more.
    if (connection !== undefined) this.#publish(connection, (delivery as NatsDelivery).reply, text);
  }

  ack(delivery: Delivery): void {
    this.#settle(delivery, "+ACK");
    this.#finished(delivery);
  }

  #finished(delivery: Delivery): void {
    const { place, deps } = this.#parts;
    place.finished(delivery);
    if (!place.isBehind || this.#stopped) return;
    this.#askTimer ??= deps.clock.setTimer(() => {
      this.#askTimer = undefined;
      void this.#ask();
    }, askAfterMs);
  }

  retry(delivery: Delivery, delayMs: number): void {
    this.#settle(delivery, `-NAK {"delay":${Math.max(1, Math.round(delayMs * nanosPerMs))}}`);
  }

  extend(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) this.#settle(delivery, "+WPI");
  }

  async deadLetter(delivery: Delivery, record: EventRecord): Promise<void> {
    await this.#parts.bury(delivery, record);
    this.#settle(delivery, "+TERM");
    this.#finished(delivery);
  }

  // --- the end ---

  async stop(unstarted: readonly Delivery[]): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#askTimer?.cancel();
    for (const delivery of unstarted) this.#settle(delivery, "-NAK");
    // What was sent before the server heard of it still comes, and goes back.
    if (this.#parts.link.now !== undefined) await this.#subscription?.drain().catch(() => {});
    else this.#subscription?.unsubscribe();
  }

  async close(held: readonly Delivery[]): Promise<void> {
    if (!this.#stopped) await this.stop([]);
    for (const delivery of held) this.#settle(delivery, "-NAK");
    await this.#parts.link.now?.flush().catch(() => {});
    await this.#parts.leave().catch(() => {});
    this.#parts.onClosed(this);
  }
}

/**
 * `$JS.ACK.STREAM.GROUP.ATTEMPT.SEQUENCE.OWN.NANOS.LEFT`, in newer servers with a domain and an account behind the second part; undefined for
 * anything else.
 */
function toDelivery(reply: string, payload: Uint8Array, headers: string[]): NatsDelivery | undefined {
  const parts = reply.split(".");
  if (parts[1] !== "ACK" || parts.length < 9) return undefined;
  const at = parts.length >= 11 ? 6 : 4;
  const nanos = parts[at + 3] ?? "";
  return {
    ...{ reply, payload, headers },
    attempt: Number(parts[at]),
    position: String(parts[at + 1]),
    publishedMs: Number(nanos.slice(0, -6)),
  };
}
