import type { Metadata } from "../base/metadata.js";
import type { TopicDefinition } from "../protobuf/topic.js";

/** What a handler knows of the message it was given. */
export interface EventContext {
  readonly topic: TopicDefinition;
  readonly group: string;
  /**
   * The same for every attempt, and for a dead letter that is sent once more: what a handler remembers to notice a message it has handled
   * before.
   */
  readonly id: string;
  /** Where it is in its topic; `seek` and `from` take it. */
  readonly position: string;
  /** What the publisher gave as `key`. */
  readonly key: string | undefined;
  /** 1 for the first. */
  readonly attempt: number;
  /** After this attempt the message goes to the dead letters. */
  readonly maxAttempts: number;
  readonly publishedAt: Date;
  /** Sent by the publisher. */
  readonly metadata: Metadata;
  /** Aborted when the handler's time is over, and when the subscription was closed and has waited long enough. */
  readonly signal: AbortSignal;
  /** Milliseconds left of `timeoutMs`; `Infinity` without one. Calls that the handler makes inherit it. */
  timeLeftMs(): number;
}

/** Thrown by a handler: another attempt is of no use, the message goes to the dead letters at once. */
export class PoisonMessage extends Error {
  override readonly name = "PoisonMessage";
}
