import type { Clock } from "../base/clock.js";
import type { Logger } from "../log/logger.js";
import type { Published } from "./interceptor.js";

/** A message as brokers keep it. */
export interface EventRecord {
  /** The encoded message. */
  readonly payload: Uint8Array;
  /** Key, value, key, value: printable ASCII. headers.ts says which keys are the library's. */
  readonly headers: readonly string[];
}

/** A message handed to a group. A driver's own object, given back to it as it came. */
export interface Delivery extends EventRecord {
  /** Where it is in its topic, in the form of the driver. Unique in the topic. */
  readonly position: string;
  /** How often it was handed to the group, this time included. */
  readonly attempt: number;
  /** When the broker took it, ms since the Unix epoch. */
  readonly publishedMs: number;
}

/** A message that a group has given up. */
export interface DeadRecord extends EventRecord {
  /** Where it is among the dead letters. */
  readonly position: string;
  /** When it was given up, ms since the Unix epoch. */
  readonly deadMs: number;
}

/**
 * Where a group begins to read: with what is published from now on, with the oldest message there is, behind a message, or with the
 * first one published at that time or later.
 */
export type StartPosition = "new" | "first" | Date | { readonly after: string };

export interface ConsumeOptions {
  /** A message that was neither settled nor extended for so long is handed out again, ms. */
  readonly ackWaitMs: number;
  /** Only for a group that does not exist yet. */
  readonly from: StartPosition;
  /**
   * The group is this member's own: it ends when the member leaves, or when nothing was heard of the member for so long, ms. Undefined: the
   * group stays.
   */
  readonly forgetAfterMs: number | undefined;
}

/** One member of a group. Nothing here throws; what cannot be done now is done when the broker is back, as far as it still matters. */
export interface DriverConsumer {
  /** So many more messages may be handed out. */
  request(count: number): void;
  /** The message is done. */
  ack(delivery: Delivery): void;
  /** Hands it out again, to any member, after `delayMs` (at most `ackWaitMs`). */
  retry(delivery: Delivery, delayMs: number): void;
  /** They are still being worked on. */
  extend(deliveries: readonly Delivery[]): void;
  /**
   * Moves it to the dead letters of the group, as `record`, and settles it. Done twice it is there once. Waits for a broker that is away, and
   * rejects when it is lost in the middle, or the driver closed; the message is then handed out again.
   */
  deadLetter(delivery: Delivery, record: EventRecord): Promise<void>;
  /** Nothing more is handed out: `unstarted`, and what is on its way, go back to the group. Never rejects. */
  stop(unstarted: readonly Delivery[]): Promise<void>;
  /** Leaves the group, after `stop`: `held` go back to it, and acks that wait are sent. Never rejects. */
  close(held: readonly Delivery[]): Promise<void>;
}

/** How long an operation may wait for a broker that is away. Its signal is made when it is asked for, which most never need. */
export interface Wait {
  readonly signal: AbortSignal;
}

/** What a driver must do. `test/broker/conformance.ts` says it in full. */
export interface BrokerDriver {
  /** Its URL without secrets, for messages and logs. */
  readonly name: string;
  /**
   * Resolves with where the message is when the broker keeps it. `id`: a second message with it, within two minutes, is not kept, by brokers
   * that can. `wait` ends the wait for a broker that is away. Rejects with RpcError, `executed` says whether it may be kept all the same.
   */
  publish(topic: string, record: EventRecord, id: string | undefined, wait: Wait): Promise<Published>;
  /** Joins the group, which is made when there is none. Rejects with RpcError. */
  consume(
    topic: string,
    group: string,
    options: ConsumeOptions,
    onDelivery: (delivery: Delivery) => void,
    wait: Wait,
  ): Promise<DriverConsumer>;
  /** Lets a group read from another position on. */
  seek(topic: string, group: string, to: StartPosition, wait: Wait): Promise<void>;
  /** Dead letters in their order, the oldest first. */
  listDead(
    topic: string,
    group: string,
    page: { readonly after: string | undefined; readonly limit: number },
    wait: Wait,
  ): Promise<DeadRecord[]>;
  /** False: it is not there. */
  removeDead(topic: string, group: string, position: string, wait: Wait): Promise<boolean>;
  /** Idempotent; never rejects. */
  close(): Promise<void>;
}

/** What drivers are made with. */
export interface DriverDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** 0 <= x < 1 */
  readonly random: () => number;
  /** From the environment or the conf; a `passwordfile=` of the URL comes first. */
  readonly password: string | undefined;
  /** The connection came up, or was lost. */
  readonly onConnection: (connected: boolean, reason: string | undefined) => void;
}
