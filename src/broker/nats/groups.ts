import type * as jetstreamLibrary from "@nats-io/jetstream";
import { messages } from "../../error/messages.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import type { ConsumeOptions, DriverDeps, StartPosition, Wait } from "../driver.js";
import { apiCode, apiCodeOf } from "./errors.js";
import type { NatsNames } from "./names.js";
import type { GroupPlace, KnownPlace } from "./place.js";

type Manager = jetstreamLibrary.JetStreamManager;
type ConsumerInfo = jetstreamLibrary.ConsumerInfo;
type ConsumerConfig = jetstreamLibrary.ConsumerConfig;

const nanosPerMs = 1_000_000;
/** Another program may make the group between our deleting and making it. */
const triesMax = 5;

export interface NatsGroupsParts {
  readonly name: string;
  readonly names: NatsNames;
  readonly jetstream: typeof jetstreamLibrary;
  readonly deps: DriverDeps;
  readonly manager: (wait: Wait | undefined) => Promise<Manager>;
  /** Rejects with RpcError, also when the connection is lost. */
  readonly run: <T>(operation: () => Promise<T>) => Promise<T>;
  readonly topicStream: (topic: string, wait: Wait | undefined) => Promise<void>;
  readonly streamGone: (stream: string) => void;
}

/** A group as its member joins it. */
export interface JoinedGroup {
  readonly topic: string;
  readonly group: string;
  readonly options: ConsumeOptions;
  readonly place: GroupPlace;
}

/** Groups as durable consumers of JetStream. */
export class NatsGroups {
  readonly #parts: NatsGroupsParts;

  constructor(parts: NatsGroupsParts) {
    this.#parts = parts;
  }

  /** Makes the group where there is none, and again, from what the member knows on, where the server has forgotten how far it was. */
  async ensure(joined: JoinedGroup, wait: Wait | undefined): Promise<void> {
    await this.#parts.topicStream(joined.topic, wait);
    const manager = await this.#parts.manager(wait);
    await this.#parts.run(async () => {
      for (let tries = 1; ; tries++) {
        try {
          return await this.#ensureOnce(manager, joined);
        } catch (thrown) {
          // Another member may have made it meanwhile, from somewhere else.
          if (tries === triesMax || !isTaken(thrown)) throw thrown;
        }
      }
    });
  }

  async #ensureOnce(manager: Manager, { topic, group, options, place }: JoinedGroup): Promise<void> {
    const stream = this.#parts.names.stream(topic);
    const info = await this.#infoOf(manager, stream, group);
    if (place.known !== undefined) place.begins((await manager.streams.info(stream)).state.first_seq);
    if (info !== undefined && !place.isAheadOf(info)) {
      const ackWait = options.ackWaitMs * nanosPerMs;
      if (info.config.ack_wait !== ackWait)
        await manager.consumers.update(stream, group, { ack_wait: ackWait });
      place.learn(info);
      return;
    }
    const { known } = place;
    if (known === undefined || !(await isSameStream(manager, stream, known))) {
      // What is in another stream was published since, and of one that lost its end nobody knows from where on.
      const from = known === undefined ? options.from : "first";
      place.relearn(info ?? (await manager.consumers.add(stream, this.#configOf(group, options, from))));
      return;
    }
    if (info !== undefined) await this.#deleteGroup(manager, stream, group);
    const config = this.#configOf(group, options, { after: String(known.next - 1) });
    place.restored(await manager.consumers.add(stream, { ...config, description: this.#newMark() }));
    const what = info === undefined ? "no longer knew the group" : "had forgotten what it had finished";
    this.#parts.deps.log.warn(
      `group ${group} of ${stream} goes on at message ${known.next}: ${this.#parts.name} ${what}`,
    );
  }

  /** Undefined: there is none. */
  async #infoOf(manager: Manager, stream: string, group: string): Promise<ConsumerInfo | undefined> {
    try {
      return await manager.consumers.info(stream, group);
    } catch (thrown) {
      const code = apiCodeOf(thrown);
      if (code === apiCode.streamNotFound) this.#parts.streamGone(stream);
      if (code !== apiCode.consumerNotFound) throw thrown;
      return undefined;
    }
  }

  async #deleteGroup(manager: Manager, stream: string, group: string): Promise<void> {
    try {
      await manager.consumers.delete(stream, group);
    } catch (thrown) {
      if (apiCodeOf(thrown) !== apiCode.consumerNotFound) throw thrown;
    }
  }

  /** Lets `place` learn how far the group has come. */
  async ask(topic: string, group: string, place: GroupPlace): Promise<void> {
    const manager = await this.#parts.manager(undefined);
    const stream = this.#parts.names.stream(topic);
    if (place.needsFirst) {
      const { state } = await this.#parts.run(() => manager.streams.info(stream));
      place.begins(state.first_seq);
    }
    place.asks();
    place.learn(await this.#parts.run(() => manager.consumers.info(stream, group)));
  }

  /** Of a subscription without a group. Otherwise the server does it later. */
  async end(topic: string, group: string): Promise<void> {
    const manager = await this.#parts.manager(undefined);
    await this.#parts.run(() => manager.consumers.delete(this.#parts.names.stream(topic), group));
  }

  /** `from` instead of that of the options, which is only where a group begins. */
  #configOf(group: string, options: ConsumeOptions, from: StartPosition): Partial<ConsumerConfig> {
    const { ackWaitMs, forgetAfterMs } = options;
    const config = {
      ...{ ...this.#fixed(group), ...this.#startOf(from) },
      ack_wait: ackWaitMs * nanosPerMs,
      // The same for all members that make it at once: JetStream takes the second for the first.
      description: firstMark,
    };
    return forgetAfterMs === undefined
      ? config
      : { ...config, inactive_threshold: forgetAfterMs * nanosPerMs };
  }

  #fixed(group: string): Partial<ConsumerConfig> {
    const { AckPolicy } = this.#parts.jetstream;
    // How often is for the subscription to say, and how many each member takes, too.
    return { durable_name: group, ack_policy: AckPolicy.Explicit, max_deliver: -1, max_ack_pending: -1 };
  }

  #newMark(): string {
    const { random } = this.#parts.deps;
    return `${firstMark} ${Math.floor(random() * 2 ** 48).toString(36)}`;
  }

  #startOf(from: StartPosition): Partial<ConsumerConfig> {
    const { DeliverPolicy } = this.#parts.jetstream;
    if (from === "first") return { deliver_policy: DeliverPolicy.All };
    if (from === "new") return { deliver_policy: DeliverPolicy.New };
    if (from instanceof Date) {
      return { deliver_policy: DeliverPolicy.StartTime, opt_start_time: from.toISOString() };
    }
    if (!/^\d{1,15}$/.test(from.after)) {
      const text = messages.positionInvalid(JSON.stringify(from.after), this.#parts.name);
      throw new RpcError(Status.INVALID_ARGUMENT, text, { executed: "never" });
    }
    return { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: Number(from.after) + 1 };
  }

  /** JetStream moves no consumer: it is deleted and made again, and members notice. */
  async seek(topic: string, group: string, to: StartPosition, wait: Wait): Promise<void> {
    const start = this.#startOf(to);
    await this.#parts.topicStream(topic, wait);
    const manager = await this.#parts.manager(wait);
    const stream = this.#parts.names.stream(topic);
    const mark = { description: this.#newMark() };
    await this.#parts.run(async () => {
      let kept: Partial<ConsumerConfig> = { ack_wait: 30_000 * nanosPerMs };
      for (let tries = 1; ; tries++) {
        const info = await this.#infoOf(manager, stream, group);
        if (info !== undefined) {
          kept = keptOf(info);
          await this.#deleteGroup(manager, stream, group);
        }
        try {
          await manager.consumers.add(stream, { ...this.#fixed(group), ...start, ...kept, ...mark });
          return;
        } catch (thrown) {
          if (tries === triesMax || apiCodeOf(thrown) === undefined) throw thrown;
        }
      }
    });
  }
}

/** What every consumer of this library has as its description, with something behind it when the group was moved. */
const firstMark = "mprpc";

/** What a group that is moved keeps. */
function keptOf({ config }: ConsumerInfo): Partial<ConsumerConfig> {
  const { ack_wait, inactive_threshold } = config;
  return {
    ...(ack_wait === undefined ? {} : { ack_wait }),
    ...(inactive_threshold === undefined ? {} : { inactive_threshold }),
  };
}

function isTaken(thrown: unknown): boolean {
  const code = apiCodeOf(thrown);
  return code === apiCode.consumerNameTaken || code === apiCode.consumerExists;
}

/** Whether the stream still has what was known of it: one that lost its end, or another of this name, gives old numbers to new messages. */
async function isSameStream(manager: Manager, stream: string, known: KnownPlace): Promise<boolean> {
  const { state } = await manager.streams.info(stream);
  if (state.last_seq < known.next - 1) return false;
  const { witness } = known;
  // It was removed because it is old, and nothing behind it is missing.
  if (witness === undefined || witness.sequence < state.first_seq) return true;
  const message = await manager.streams.getMessage(stream, { seq: witness.sequence });
  return message === null || message.time.getTime() === witness.publishedMs;
}
