import type { Metadata } from "../base/metadata.js";
import type { TopicDefinition } from "../protobuf/topic.js";
import type { EventContext } from "./context.js";

/** A message on its way to the broker. Interceptors may change `message` and `metadata`. */
export interface OutgoingEvent {
  readonly topic: TopicDefinition;
  message: unknown;
  readonly key: string | undefined;
  readonly metadata: Metadata;
  readonly signal: AbortSignal | undefined;
}

/** What the broker says of a message it keeps. */
export interface Published {
  /** Where it is in its topic; `seek` and `from` take it. */
  readonly position: string;
}

/** A message on its way to the handler. Interceptors may change `message`. */
export interface IncomingEvent {
  readonly topic: TopicDefinition;
  message: unknown;
  readonly context: EventContext;
}

/** Rejects with RpcError, whose `executed` tells whether another `next` may publish the message twice. */
export type PublishNext = (event: OutgoingEvent) => Promise<Published>;
export type PublishInterceptor = (next: PublishNext) => PublishNext;

/** Rejects with what the handler threw: the message is then tried again. */
export type DeliveryNext = (event: IncomingEvent) => Promise<void>;
export type DeliveryInterceptor = (next: DeliveryNext) => DeliveryNext;
