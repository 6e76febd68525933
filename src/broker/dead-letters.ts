import type { Metadata } from "../base/metadata.js";
import { checkOptions, integer, text } from "../base/options.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import type { TopicDefinition } from "../protobuf/topic.js";
import { decodeMessage } from "../protobuf/types.js";
import type { BrokerDriver, DeadRecord, Wait } from "./driver.js";
import { header, headerOf, metadataOf, withoutHeaders } from "./headers.js";
import type { Published } from "./interceptor.js";

export interface DeadLetterPage {
  /** At most so many; default 100, up to 1000. */
  limit?: number | undefined;
  /** Those behind this position; default from the oldest on. */
  after?: string | undefined;
}

/** A message that a group has given up. */
export interface DeadLetter<Out> {
  /** Where it is among the dead letters; `replay` and `remove` take it. */
  readonly position: string;
  /** `EventContext.id` of its attempts. */
  readonly id: string;
  /** Where it was in its topic. */
  readonly origin: string;
  readonly key: string | undefined;
  readonly metadata: Metadata;
  readonly attempts: number;
  /** The text of what the last attempt failed with. */
  readonly error: string;
  readonly publishedAt: Date;
  readonly deadAt: Date;
  /** The message as it is kept. */
  readonly payload: Uint8Array;
  /** The message. Throws for a payload that is none of the topic's type. */
  decode(): Out;
}

/** Runs one operation of a driver within the time that it may take. */
export type Bounded = <T>(what: string, run: (wait: Wait) => Promise<T>) => Promise<T>;

/** Listing needs no paging by users up to here. */
const scanLimit = 1000;

/** The dead letters of one group of one topic. */
export class DeadLetters<Out = unknown> {
  readonly topic: TopicDefinition<Out>;
  readonly group: string;
  readonly #driver: () => Promise<BrokerDriver>;
  readonly #bounded: Bounded;

  /** @internal */
  constructor(
    topic: TopicDefinition<Out>,
    group: string,
    driver: () => Promise<BrokerDriver>,
    bounded: Bounded,
  ) {
    this.topic = topic;
    this.group = group;
    this.#driver = driver;
    this.#bounded = bounded;
  }

  /** The oldest first. Rejects with RpcError. */
  async list(page: DeadLetterPage = {}): Promise<Array<DeadLetter<Out>>> {
    const { limit, after } = checkOptions<{ limit: number; after: string | undefined }>(
      "DeadLetters.list",
      page,
      { limit: 100, after: undefined },
      { limit: integer(1, scanLimit), after: text },
    );
    const records = await this.#list(after, limit);
    return records.map((record) => this.#toLetter(record));
  }

  /** Each of them, the oldest first, also of more than one page. */
  async *[Symbol.asyncIterator](): AsyncGenerator<DeadLetter<Out>> {
    for (let after: string | undefined; ; ) {
      const page = await this.#list(after, 100);
      for (const record of page) yield this.#toLetter(record);
      after = page.at(-1)?.position;
      if (after === undefined) return;
    }
  }

  /**
   * Publishes it once more, for this group alone, and takes it off the list. When the broker fails in between it may be in both places.
   * Rejects with RpcError, NOT_FOUND for one that is not there.
   */
  async replay(letter: DeadLetter<Out>): Promise<Published> {
    const name = this.topic.name;
    const taken = [header.group, header.error, header.attempts, header.origin];
    const headers = withoutHeaders((letter as Letter<Out>).headers, taken);
    headers.push(header.group, this.group);
    const driver = await this.#driver();
    const record = { payload: letter.payload, headers };
    const published = await this.#bounded(`replay of a dead letter of ${name}`, (wait) =>
      driver.publish(name, record, undefined, wait),
    );
    await this.remove(letter);
    return published;
  }

  /** Takes it off the list for good. Rejects with RpcError, NOT_FOUND for one that is not there. */
  async remove({ position }: Pick<DeadLetter<Out>, "position">): Promise<void> {
    const driver = await this.#driver();
    const { topic, group } = this;
    const found = await this.#bounded(`removing a dead letter of ${topic.name}`, (wait) =>
      driver.removeDead(topic.name, group, position, wait),
    );
    if (found) return;
    throw new RpcError(Status.NOT_FOUND, messages.noSuchDeadLetter(position, topic.name, group));
  }

  async #list(after: string | undefined, limit: number): Promise<DeadRecord[]> {
    const driver = await this.#driver();
    const { topic, group } = this;
    return this.#bounded(`listing dead letters of ${topic.name}`, (wait) =>
      driver.listDead(topic.name, group, { after, limit }, wait),
    );
  }

  #toLetter(record: DeadRecord): Letter<Out> {
    const { headers, payload, position, deadMs } = record;
    const of = (name: string): string => headerOf(headers, name) ?? "";
    return {
      ...{ position, payload, headers },
      id: of(header.id),
      origin: of(header.origin),
      key: headerOf(headers, header.key),
      metadata: metadataOf(headers),
      attempts: Number(of(header.attempts)),
      error: of(header.error),
      publishedAt: new Date(Number(of(header.publishedAt))),
      deadAt: new Date(deadMs),
      decode: () => decodeMessage(this.topic.message, payload),
    };
  }
}

/** With what `replay` needs of it. */
interface Letter<Out> extends DeadLetter<Out> {
  readonly headers: readonly string[];
}
