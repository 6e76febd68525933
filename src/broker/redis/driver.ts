import type { RedisOptions } from "ioredis";
import { messages } from "../../error/messages.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import type {
  BrokerDriver,
  ConsumeOptions,
  DeadRecord,
  Delivery,
  DriverConsumer,
  DriverDeps,
  EventRecord,
  StartPosition,
  Wait,
} from "../driver.js";
import type { Published } from "../interceptor.js";
import { type RedisClass, RedisConnection } from "./connection.js";
import { RedisConsumer } from "./consumer.js";
import { fieldsOf, readEntries, timeOf } from "./entries.js";
import { redisFault } from "./errors.js";
import { lifeKeyOf } from "./trim.js";

export interface RedisSettings {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly database: number;
  readonly user: string | undefined;
  readonly prefix: string;
  /** How long messages that all groups have finished are kept, ms. */
  readonly keepMs: number;
  /** Beyond so many the oldest go, finished or not. */
  readonly maxLength: number | undefined;
}

/** XAUTOCLAIM is of this version. */
const neededVersion = "6.2";

/** Topics as Redis Streams, and groups as their consumer groups. */
export class RedisDriver implements BrokerDriver {
  readonly name: string;
  readonly #Class: RedisClass;
  readonly #settings: RedisSettings & { readonly password: string | undefined };
  readonly #deps: DriverDeps;
  /** For everything but the waiting for messages, which blocks a connection. */
  readonly #commands: RedisConnection;
  readonly #consumers = new Set<RedisConsumer>();
  #checked: Promise<void> | undefined;
  #connected: boolean | undefined;

  constructor(
    Class: RedisClass,
    settings: RedisSettings & { readonly password: string | undefined },
    deps: DriverDeps,
  ) {
    this.name = settings.name;
    this.#Class = Class;
    this.#settings = settings;
    this.#deps = deps;
    this.#commands = this.#connect({ enableAutoPipelining: true }, (connected, reason) => {
      if (this.#connected === connected && connected) return;
      this.#connected = connected;
      if (!connected) this.#checked = undefined;
      deps.onConnection(connected, reason);
    });
  }

  #connect(
    own: RedisOptions,
    onState: (connected: boolean, reason: string | undefined) => void,
  ): RedisConnection {
    const { host, port, database, user, password, name } = this.#settings;
    const options: RedisOptions = { host, port, db: database, ...own };
    if (user !== undefined) options.username = user;
    if (password !== undefined) options.password = password;
    return new RedisConnection(this.#Class, options, { name, random: this.#deps.random, onState });
  }

  /** `{}`: in a cluster all of a topic is in one place. */
  #key(topic: string): string {
    return `${this.#settings.prefix}:{${topic}}`;
  }

  #deadKey(topic: string, group: string): string {
    return `${this.#key(topic)}:dead:${group}`;
  }

  async #ready(wait: Wait): Promise<void> {
    await this.#commands.ready(wait);
    this.#checked ??= this.#checkVersion();
    await this.#checked;
  }

  async #checkVersion(): Promise<void> {
    const info = await this.#run(() => this.#commands.client.info("server"));
    const version = /redis_version:(\S+)/.exec(info)?.[1] ?? "";
    const [major = 0, minor = 0] = version.split(".").map(Number);
    const [needMajor = 0, needMinor = 0] = neededVersion.split(".").map(Number);
    if (major > needMajor || (major === needMajor && minor >= needMinor) || version === "") return;
    const text = messages.brokerTooOld(this.name, version, neededVersion);
    throw new RpcError(Status.FAILED_PRECONDITION, text, { executed: "never" });
  }

  /** Rejects with RpcError. */
  async #run<T>(command: () => Promise<T>): Promise<T> {
    try {
      return await command();
    } catch (thrown) {
      throw redisFault(this.name, thrown).error;
    }
  }

  async publish(topic: string, record: EventRecord, _id: string | undefined, wait: Wait): Promise<Published> {
    // One that is up was checked by whatever came first.
    if (!this.#commands.up || this.#checked === undefined) await this.#ready(wait);
    const { maxLength } = this.#settings;
    const fields = fieldsOf(record);
    const key = this.#key(topic);
    const { client } = this.#commands;
    try {
      const id =
        maxLength === undefined
          ? await client.xadd(key, "*", ...fields)
          : await client.xadd(key, "MAXLEN", "~", maxLength, "*", ...fields);
      return { position: id as string };
    } catch (thrown) {
      throw redisFault(this.name, thrown).error;
    }
  }

  async consume(
    topic: string,
    group: string,
    options: ConsumeOptions,
    onDelivery: (delivery: Delivery) => void,
    wait: Wait,
  ): Promise<DriverConsumer> {
    await this.#ready(wait);
    // Its state tells nobody: the other connection goes to the same server.
    const reader = this.#connect({}, () => {});
    const consumer = new RedisConsumer({
      ...{ name: this.name, group, options, onDelivery, reader },
      commands: this.#commands,
      key: this.#key(topic),
      deadKey: this.#deadKey(topic, group),
      lifeKey: lifeKeyOf(this.#key(topic), group),
      keepMs: this.#settings.keepMs,
      deps: this.#deps,
      onClosed: (one) => this.#consumers.delete(one),
    });
    try {
      // Before the group: one without it would be forgotten at once.
      await this.#run(() => consumer.sayAlive());
      await this.#createGroup(topic, group, options.from);
      await this.#run(() => consumer.noteStart());
      await reader.ready(wait);
    } catch (error) {
      reader.close();
      throw error;
    }
    this.#consumers.add(consumer);
    consumer.start();
    return consumer;
  }

  async #createGroup(topic: string, group: string, from: StartPosition): Promise<void> {
    const start = this.#startId(from);
    try {
      await this.#commands.client.xgroup("CREATE", this.#key(topic), group, start, "MKSTREAM");
    } catch (thrown) {
      if (!String(thrown).includes("BUSYGROUP")) throw redisFault(this.name, thrown).error;
    }
  }

  /** The last message that the group is not to get. */
  #startId(position: StartPosition): string {
    if (position === "new") return "$";
    if (position === "first") return "0";
    if (position instanceof Date) {
      const ms = Math.max(0, position.getTime());
      // What has the same millisecond belongs to it.
      return ms === 0 ? "0" : `${ms - 1}-18446744073709551615`;
    }
    if (/^\d{1,20}-\d{1,20}$/.test(position.after)) return position.after;
    const text = messages.positionInvalid(JSON.stringify(position.after), this.name);
    throw new RpcError(Status.INVALID_ARGUMENT, text, { executed: "never" });
  }

  async seek(topic: string, group: string, to: StartPosition, wait: Wait): Promise<void> {
    const start = this.#startId(to);
    await this.#ready(wait);
    await this.#createGroup(topic, group, to);
    await this.#run(() => this.#commands.client.xgroup("SETID", this.#key(topic), group, start));
  }

  async listDead(
    topic: string,
    group: string,
    { after, limit }: { readonly after: string | undefined; readonly limit: number },
    wait: Wait,
  ): Promise<DeadRecord[]> {
    await this.#ready(wait);
    const start = after === undefined ? "-" : `(${after}`;
    const found = await this.#run(() =>
      this.#commands.client.xrangeBuffer(this.#deadKey(topic, group), start, "+", "COUNT", limit),
    );
    return readEntries(found).map(({ id, ...record }) => ({ ...record, position: id, deadMs: timeOf(id) }));
  }

  async removeDead(topic: string, group: string, position: string, wait: Wait): Promise<boolean> {
    if (!/^\d{1,20}-\d{1,20}$/.test(position)) return false;
    await this.#ready(wait);
    const removed = await this.#run(() => this.#commands.client.xdel(this.#deadKey(topic, group), position));
    return removed === 1;
  }

  async close(): Promise<void> {
    for (const consumer of [...this.#consumers]) await consumer.close();
    this.#commands.close();
  }
}
