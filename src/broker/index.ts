// Publish and subscribe. An entry of its own: programs that only call and serve never load it.
export { defineTopic, type TopicDefinition } from "../protobuf/topic.js";
export { Broker, type BrokerOptions, type EventHandler } from "./broker.js";
export { type EventContext, PoisonMessage } from "./context.js";
export type { DeadLetter, DeadLetterPage, DeadLetters } from "./dead-letters.js";
export type { StartPosition } from "./driver.js";
export type { BrokerEmitter, BrokerEvents, DeliveryOutcome } from "./events.js";
export type {
  DeliveryInterceptor,
  DeliveryNext,
  IncomingEvent,
  OutgoingEvent,
  Published,
  PublishInterceptor,
  PublishNext,
} from "./interceptor.js";
export { MemoryStore } from "./memory.js";
export type { BrokerInterceptors, CloseOptions, PublishOptions, SubscribeOptions } from "./options.js";
export type { Subscription } from "./subscription.js";
