import { describeValue } from "../base/options.js";
import type { MessageType } from "./types.js";

/** A named stream of messages of one type: programs publish to it, and groups subscribe to it (`mprpc/broker`). */
export interface TopicDefinition<Out = unknown, In = unknown> {
  /** `orders.created`: names between dots. */
  readonly name: string;
  readonly message: MessageType<Out, In>;
}

/** Longer ones would not fit into the names of streams that brokers make of them. */
const topicNameMaxLength = 200;

/** What a topic's name is, for texts that refuse another. */
export const topicNameForm = `a name as orders.created, of at most ${topicNameMaxLength} characters of A-Z, a-z, 0-9, "_", "-" and "." between them`;

export function isTopicName(name: unknown): boolean {
  return typeof name === "string" && name.length <= topicNameMaxLength && /^[\w-]+(?:\.[\w-]+)*$/.test(name);
}

/**
 * A topic. `name` has parts of A-Z, a-z, 0-9, "_" and "-" between dots, 200 characters at most. Throws `TypeError` for a name that has
 * not, and for what is no message type.
 */
export function defineTopic<Out, In>(name: string, message: MessageType<Out, In>): TopicDefinition<Out, In> {
  if (!isTopicName(name)) {
    throw new TypeError(`defineTopic: expected ${topicNameForm}, got ${describeValue(name)}`);
  }
  if (typeof message?.encode !== "function" || typeof message.decode !== "function") {
    throw new TypeError(
      `defineTopic: ${name}: expected a message of generated code, got ${describeValue(message)}`,
    );
  }
  return { name, message };
}
