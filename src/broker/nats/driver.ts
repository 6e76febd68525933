import type * as jetstreamLibrary from "@nats-io/jetstream";
import type * as transportLibrary from "@nats-io/transport-node";
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
import { header, headerOf } from "../headers.js";
import type { Published } from "../interceptor.js";
import { NatsLink } from "./connection.js";
import { NatsConsumer } from "./consumer.js";
import { apiCode, apiCodeOf, isNobodyThere, natsError } from "./errors.js";
import { flatHeaders } from "./flat-headers.js";
import { NatsGroups } from "./groups.js";
import { NatsNames } from "./names.js";
import { SharedPlace, SolePlace } from "./place.js";

export interface NatsSettings {
  readonly name: string;
  readonly servers: string[];
  readonly user: string | undefined;
  readonly prefix: string;
  /** Older messages go, finished or not; 0: none. */
  readonly maxAgeMs: number;
  /** Beyond so many the oldest go, finished or not. */
  readonly maxLength: number | undefined;
  readonly replicas: number;
}

export interface NatsLibraries {
  readonly transport: typeof transportLibrary;
  readonly jetstream: typeof jetstreamLibrary;
}

type Manager = jetstreamLibrary.JetStreamManager;
type Headers = transportLibrary.MsgHdrs;

/** An answer that takes longer is lost, ms. */
const answerMaxMs = 10_000;
const idWindowMs = 120_000;
const nanosPerMs = 1_000_000;

/** What JetStream answers to a published message. */
interface PubAck {
  readonly seq?: number;
  readonly error?: { readonly code: number; readonly err_code: number; readonly description: string };
}

/** Topics as streams of JetStream, and groups as their durable consumers. */
export class NatsDriver implements BrokerDriver {
  readonly name: string;
  readonly #libraries: NatsLibraries;
  readonly #settings: NatsSettings;
  readonly #deps: DriverDeps;
  readonly #names: NatsNames;
  readonly #link: NatsLink;
  readonly #groups: NatsGroups;
  readonly #consumers = new Set<NatsConsumer>();
  /** Publishes that wait for their answers, which a lost connection will not bring. */
  readonly #unanswered = new Set<(error: RpcError) => void>();
  /** Streams that are there, by name. */
  readonly #streams = new Map<string, Promise<void>>();
  #manager: Promise<Manager> | undefined;

  constructor(
    libraries: NatsLibraries,
    settings: NatsSettings & { readonly password: string | undefined },
    deps: DriverDeps,
  ) {
    this.name = settings.name;
    this.#libraries = libraries;
    this.#settings = settings;
    this.#deps = deps;
    this.#names = new NatsNames(settings.prefix);
    const { user, password, servers } = settings;
    const options: transportLibrary.NodeConnectionOptions = { servers, name: `mprpc ${settings.prefix}` };
    if (user !== undefined) options.user = user;
    // Without a user it is a token, as NATS calls it.
    if (password !== undefined && user !== undefined) options.pass = password;
    else if (password !== undefined) options.token = password;
    this.#link = new NatsLink(libraries.transport.connect, options, {
      ...{ name: this.name, deps },
      onChange: (up) => this.#onChange(up),
    });
    this.#groups = new NatsGroups({
      ...{ name: this.name, names: this.#names, jetstream: libraries.jetstream, deps },
      manager: (wait) => this.#managerNow(wait),
      run: (operation) => this.#run(operation),
      topicStream: (topic, wait) => this.#topicStream(topic, wait),
      streamGone: (stream) => this.#streams.delete(stream),
    });
  }

  #onChange(up: boolean): void {
    if (up) {
      // Another server, or the same with another disk.
      this.#streams.clear();
      for (const consumer of this.#consumers) consumer.onReconnect();
      return;
    }
    for (const consumer of this.#consumers) consumer.onDisconnect();
    const text = messages.brokerConnectionLost(this.name, "it closed before the answer");
    const lost = new RpcError(Status.UNAVAILABLE, text, { executed: "maybe" });
    for (const reject of [...this.#unanswered]) reject(lost);
  }

  async #managerNow(wait: Wait | undefined): Promise<Manager> {
    const connection = await this.#link.ready(wait);
    if (this.#manager === undefined) {
      const making = this.#libraries.jetstream.jetstreamManager(connection, {
        timeout: answerMaxMs,
        checkAPI: true,
      });
      this.#manager = making;
      making.catch(() => {
        this.#manager = undefined;
      });
    }
    return this.#run(() => this.#manager as Promise<Manager>);
  }

  /** Rejects with RpcError, also as soon as the connection is lost. */
  async #run<T>(operation: () => Promise<T>): Promise<T> {
    let reject: ((error: RpcError) => void) | undefined;
    const lost = new Promise<never>((_, rejectNow) => {
      reject = rejectNow;
      this.#unanswered.add(rejectNow);
    });
    try {
      return await Promise.race([operation(), lost]);
    } catch (thrown) {
      throw natsError(this.name, thrown);
    } finally {
      if (reject !== undefined) this.#unanswered.delete(reject);
    }
  }

  // --- streams ---

  #ensureStream(name: string, subject: string, isDead: boolean, wait: Wait | undefined): Promise<void> {
    let known = this.#streams.get(name);
    if (known === undefined) {
      const making = this.#makeStream(name, subject, isDead, wait);
      known = making;
      this.#streams.set(name, making);
      making.catch(() => {
        if (this.#streams.get(name) === making) this.#streams.delete(name);
      });
    }
    return known;
  }

  async #makeStream(name: string, subject: string, isDead: boolean, wait: Wait | undefined): Promise<void> {
    const manager = await this.#managerNow(wait);
    const { maxAgeMs, maxLength, replicas } = this.#settings;
    await this.#run(async () => {
      try {
        // Whoever made it chose how: we do not change it.
        await manager.streams.info(name);
        return;
      } catch (thrown) {
        if (apiCodeOf(thrown) !== apiCode.streamNotFound) throw thrown;
      }
      await manager.streams.add({
        ...{ name, subjects: [subject], num_replicas: replicas },
        duplicate_window: idWindowMs * nanosPerMs,
        ...(isDead ? {} : { max_age: maxAgeMs * nanosPerMs, max_msgs: maxLength ?? -1 }),
      });
    });
  }

  #topicStream(topic: string, wait: Wait | undefined): Promise<void> {
    return this.#ensureStream(this.#names.stream(topic), this.#names.subject(topic), false, wait);
  }

  #deadStream(topic: string, wait: Wait | undefined): Promise<void> {
    return this.#ensureStream(this.#names.deadStream(topic), this.#names.deadSubjects(topic), true, wait);
  }

  // --- publishing ---

  async publish(topic: string, record: EventRecord, id: string | undefined, wait: Wait): Promise<Published> {
    const headers = this.#headersOf(record);
    if (id !== undefined) headers?.set("Nats-Msg-Id", id);
    const subject = this.#names.subject(topic);
    try {
      const { seq } = await this.#sendTo(
        ...([this.#names.stream(topic), () => this.#topicStream(topic, wait)] as const),
        ...([() => this.#send(subject, record.payload, headers), wait] as const),
      );
      return { position: String(seq) };
    } catch (thrown) {
      throw natsError(this.name, thrown);
    }
  }

  /** Waits for a broker that is away, and makes the stream where there is none. Rejects as `send` and `ensure` do. */
  async #sendTo(
    stream: string,
    ensure: () => Promise<void>,
    send: () => Promise<PubAck>,
    wait: Wait | undefined,
  ): Promise<PubAck> {
    if (this.#link.now === undefined) await this.#link.ready(wait);
    await ensure();
    try {
      return await send();
    } catch (thrown) {
      if (!isNobodyThere(thrown)) throw thrown;
    }
    // The stream was deleted, or there is no JetStream any more: the one is made again, the other told.
    this.#streams.delete(stream);
    await ensure();
    return send();
  }

  #headersOf({ headers }: EventRecord): Headers | undefined {
    if (headers.length === 0) return undefined;
    const given = this.#libraries.transport.headers();
    for (let at = 0; at < headers.length; at += 2) {
      given.append(headers[at] as string, headers[at + 1] as string);
    }
    return given;
  }

  /** Rejects with what the client says, and with RpcError when the connection is lost. */
  #send(subject: string, payload: Uint8Array, headers: Headers | undefined): Promise<PubAck> {
    const connection = this.#link.now;
    if (connection === undefined) {
      const text = messages.brokerConnectionLost(this.name, "closed");
      return Promise.reject(new RpcError(Status.UNAVAILABLE, text, { executed: "never" }));
    }
    const maxBytes = connection.info?.max_payload ?? Infinity;
    if (payload.length > maxBytes) {
      const text = messages.brokerFull(this.name, `${payload.length} bytes, and max_payload is ${maxBytes}`);
      return Promise.reject(new RpcError(Status.RESOURCE_EXHAUSTED, text, { executed: "never" }));
    }
    return new Promise<PubAck>((resolve, reject) => {
      const settle = (): boolean => this.#unanswered.delete(fail);
      const fail = (error: unknown): void => {
        settle();
        reject(error);
      };
      this.#unanswered.add(fail);
      const options = headers === undefined ? { timeout: answerMaxMs } : { timeout: answerMaxMs, headers };
      connection.request(subject, payload, options).then((message) => {
        settle();
        const ack = message.json<PubAck>();
        if (ack.error === undefined) resolve(ack);
        else reject(this.#apiError(ack.error));
      }, fail);
    });
  }

  #apiError(error: NonNullable<PubAck["error"]>): Error {
    return new this.#libraries.jetstream.JetStreamApiError(error as never);
  }

  // --- groups ---

  async consume(
    topic: string,
    group: string,
    options: ConsumeOptions,
    onDelivery: (delivery: Delivery) => void,
    wait: Wait,
  ): Promise<DriverConsumer> {
    const isOwn = options.forgetAfterMs !== undefined;
    const place = isOwn ? new SolePlace() : new SharedPlace();
    await this.#groups.ensure({ topic, group, options, place }, wait);
    if (!isOwn) await this.#deadStream(topic, wait);
    const consumer = new NatsConsumer({
      ...{ name: this.name, group, onDelivery },
      stream: this.#names.stream(topic),
      link: this.#link,
      inbox: this.#libraries.transport.createInbox(),
      deps: this.#deps,
      place,
      ensure: () => this.#groups.ensure({ topic, group, options, place }, undefined),
      ask: () => this.#groups.ask(topic, group, place),
      bury: (delivery, record) => this.#bury(topic, group, delivery, record),
      leave: async () => {
        if (isOwn && this.#link.now !== undefined) await this.#groups.end(topic, group);
      },
      onClosed: (one) => this.#consumers.delete(one),
    });
    await consumer.start(wait);
    this.#consumers.add(consumer);
    return consumer;
  }

  async seek(topic: string, group: string, to: StartPosition, wait: Wait): Promise<void> {
    await this.#groups.seek(topic, group, to, wait);
  }

  // --- dead letters ---

  /** Each has a subject of its own, which takes one message: however often this is tried, there is one. */
  async #bury(topic: string, group: string, delivery: Delivery, record: EventRecord): Promise<void> {
    const headers = this.#headersOf(record);
    headers?.set("Nats-Expected-Last-Subject-Sequence", "0");
    const subject = this.#names.deadSubject(topic, group, delivery.position);
    try {
      await this.#sendTo(
        ...([this.#names.deadStream(topic), () => this.#deadStream(topic, undefined)] as const),
        ...([() => this.#send(subject, record.payload, headers), undefined] as const),
      );
    } catch (thrown) {
      if (apiCodeOf(thrown) !== apiCode.wrongLastSequence) throw natsError(this.name, thrown);
    }
  }

  async listDead(
    topic: string,
    group: string,
    { after, limit }: { readonly after: string | undefined; readonly limit: number },
    wait: Wait,
  ): Promise<DeadRecord[]> {
    const manager = await this.#managerNow(wait);
    const stream = this.#names.deadStream(topic);
    const subject = this.#names.deadSubject(topic, group, "*");
    return this.#run(async () => {
      const found: DeadRecord[] = [];
      let seq = after === undefined ? 1 : Number(after) + 1;
      while (found.length < limit) {
        const query = { seq, next_by_subj: subject };
        const message = await manager.streams.getMessage(stream, query).catch((thrown) => {
          if (apiCodeOf(thrown) === apiCode.streamNotFound) return null;
          throw thrown;
        });
        if (message === null) return found;
        seq = message.seq + 1;
        found.push({
          position: String(message.seq),
          deadMs: message.time.getTime(),
          payload: message.data,
          headers: flatHeaders(message.header),
        });
      }
      return found;
    });
  }

  async removeDead(topic: string, group: string, position: string, wait: Wait): Promise<boolean> {
    const [found] = /^\d{1,15}$/.test(position)
      ? await this.listDead(topic, group, { after: String(Number(position) - 1), limit: 1 }, wait)
      : [];
    if (found?.position !== position || headerOf(found.headers, header.origin) === undefined) return false;
    const manager = await this.#managerNow(wait);
    return this.#run(() =>
      manager.streams.deleteMessage(this.#names.deadStream(topic), Number(position), false),
    );
  }

  async close(): Promise<void> {
    for (const consumer of [...this.#consumers]) await consumer.close([]);
    await this.#link.close();
  }
}
