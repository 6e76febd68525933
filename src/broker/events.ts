import type { TopicAction } from "../auth/policy.js";
import { Emitter } from "../base/emitter.js";
import type { Peer } from "../call/peer.js";
import type { RpcError } from "../error/rpc-error.js";
import type { StatusCode } from "../error/status.js";
import type { Logger } from "../log/logger.js";
import type { TopicDefinition } from "../protobuf/topic.js";
import type { EventContext } from "./context.js";
import type { OutgoingEvent } from "./interceptor.js";

/** What became of a delivery: it is done, is tried again, is a dead letter, was too old, or went back to its group unfinished. */
export type DeliveryOutcome = "acked" | "retried" | "dead" | "expired" | "released";

/** The life of messages, for metrics, tracing and logs. Events are built only when somebody listens. */
export interface BrokerEvents {
  publishStart: { event: OutgoingEvent };
  /** `event` is the object of `publishStart`. */
  publishEnd: {
    event: OutgoingEvent;
    code: StatusCode;
    elapsedMs: number;
    position: string | undefined;
    error: RpcError | undefined;
  };
  deliveryStart: { context: EventContext };
  /** `context` is the object of `deliveryStart`, and of the handler. */
  deliveryEnd: {
    context: EventContext;
    outcome: DeliveryOutcome;
    elapsedMs: number;
    /** What the handler threw. */
    error: unknown;
    /** Until the next attempt, ms. */
    retryDelayMs: number | undefined;
  };
  deadLetter: { topic: TopicDefinition; group: string; id: string; attempts: number; reason: string };
  /** The policy does not allow it to `peer`: to this process, or to the caller on whose behalf it was done. */
  denied: { topic: TopicDefinition; action: TopicAction; peer: Peer; error: RpcError };
  connected: { broker: string };
  disconnected: { broker: string; reason: string | undefined };
}

export type BrokerEmitter = Emitter<BrokerEvents>;

/** Each of them, or it does not compile: a name that is not here is refused. */
const known: Readonly<Record<keyof BrokerEvents, true>> = {
  publishStart: true,
  publishEnd: true,
  deliveryStart: true,
  deliveryEnd: true,
  deadLetter: true,
  denied: true,
  connected: true,
  disconnected: true,
};
const names = Object.keys(known) as (keyof BrokerEvents)[];

/** What a listener throws goes to `log`. */
export function createBrokerEmitter(log: Logger): BrokerEmitter {
  return new Emitter<BrokerEvents>(
    (error, event) => log.error(`a listener of ${event} threw`, { error }),
    names,
  );
}
