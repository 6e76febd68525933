import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import type { Timer } from "../../base/clock.js";
import { textOf } from "../../base/thrown.js";
import type { ConsumeOptions, Delivery, DriverConsumer, DriverDeps, EventRecord } from "../driver.js";
import { OwnPlace } from "../own-place.js";
import type { RedisConnection } from "./connection.js";
import { RedisDelivery } from "./delivery.js";
import { fieldsOf, type RedisEntry, readEntries } from "./entries.js";
import { isNoGroup, isUnsent, redisFault } from "./errors.js";
import { compareIds, idBefore } from "./ids.js";
import { attemptsOf, firstId, lastHandedId } from "./info.js";
import { buryScript, leaveScript } from "./scripts.js";
import { trimFinished } from "./trim.js";

export interface RedisConsumerParts {
  readonly name: string;
  readonly group: string;
  readonly key: string;
  readonly deadKey: string;
  readonly keepMs: number;
  /** Of a group of its own: the key that says that the group has its member. */
  readonly lifeKey: string;
  readonly options: ConsumeOptions;
  readonly commands: RedisConnection;
  /** This consumer's own. */
  readonly reader: RedisConnection;
  readonly deps: DriverDeps;
  readonly onDelivery: (delivery: Delivery) => void;
  readonly onClosed: (consumer: RedisConsumer) => void;
}

/** Is there, and ioredis's types lack it. */
interface BufferCommands {
  xautoclaimBuffer(...args: ReadonlyArray<string | number>): Promise<[Buffer, unknown, unknown]>;
}

/** In one command: Redis serves nobody else meanwhile. */
const batchMax = 500;
/** How long a read waits for a message, ms; a server that is silent for much longer is dead. */
const blockMs = 2000;
/** How often messages are looked for whose member is dead, at least, ms. */
const sweepMaxMs = 1000;
/** Behind the time a message is due, so that it is when we look, ms. */
const dueSlackMs = 3;
/** The member that has messages which were given back, or wait for their next attempt. */
const nobody = "nobody";
/** Idle for so long: due at once. */
const longAgoMs = 2_000_000_000;

/**
 * A member of a consumer group. What a message waits for is kept in Redis as its idle time: XAUTOCLAIM hands out what was idle for `ackWaitMs`,
 * so a message that is to wait 2 s of 30 s is given the idle time of 28 s. It survives everybody's crash.
 */
export class RedisConsumer implements DriverConsumer {
  readonly #parts: RedisConsumerParts;
  readonly #member = `${process.pid}-${randomBytes(6).toString("hex")}`;
  /** So many more may be handed out. */
  #credit = 0;
  /** Of these, what the reads under way have asked for. */
  #asked = 0;
  #stopped = false;
  /** Of reads that wait for credit. */
  #wakes: Array<() => void> = [];
  #reading: Promise<unknown> = Promise.resolve();
  /** What is done and Redis was not told yet. */
  #done: string[] = [];
  #flushing: Promise<void> | undefined;
  #sweepTimer: Timer | undefined;
  #sweepAtMs = Infinity;
  #sweeping = false;
  /** Of a group of its own. */
  readonly #own: OwnPlace | undefined;

  constructor(parts: RedisConsumerParts) {
    this.#parts = parts;
    this.#own = parts.options.forgetAfterMs === undefined ? undefined : new OwnPlace(compareIds);
  }

  get #client(): Redis {
    return this.#parts.commands.client;
  }

  start(): void {
    // Two on one connection: while we work on what one has brought, Redis answers the other.
    this.#reading = Promise.all([this.#read(), this.#read()]);
    this.#sweepIn(this.#sweepEveryMs);
  }

  request(count: number): void {
    this.#credit += count;
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#wakes;
    this.#wakes = [];
    for (const resolve of waiting) resolve();
  }

  // --- new messages ---

  /** Never rejects. */
  async #read(): Promise<void> {
    const { reader, name, deps } = this.#parts;
    while (!this.#stopped) {
      const free = this.#credit - this.#asked;
      if (free <= 0) {
        await new Promise<void>((resolve) => this.#wakes.push(resolve));
        continue;
      }
      // The first takes half, so that the other has something to ask for.
      const count = Math.min(this.#asked === 0 ? Math.ceil(free / 2) : free, batchMax);
      this.#asked += count;
      if (count < free) this.#wake();
      try {
        if (!reader.up) await reader.ready(undefined);
        if (this.#stopped) return;
        const entries = await this.#readBatch(reader.client, count);
        this.#asked -= count;
        for (const entry of entries) this.#hand(entry, 1);
      } catch (thrown) {
        this.#asked -= count;
        if (this.#stopped) return;
        if (isNoGroup(thrown)) await this.#recreate();
        else {
          deps.log.debug(`reading from ${name} failed: ${textOf(thrown)}`);
          await this.#pause();
        }
      }
    }
  }

  async #readBatch(client: Redis, count: number): Promise<RedisEntry[]> {
    const { group, key } = this.#parts;
    const found = (await client.xreadgroupBuffer(
      ...(["GROUP", group, this.#member, "COUNT", count] as const),
      ...(["BLOCK", blockMs, "STREAMS", key, ">"] as const),
    )) as ReadonlyArray<readonly [Buffer, unknown]> | null;
    return readEntries(found?.[0]?.[1]);
  }

  /**
   * The stream was deleted, and the group with it: whatever is there now was published since. A group of our own may have been forgotten alone: it
   * goes on where it was.
   */
  async #recreate(): Promise<void> {
    const { name, group, key, deps } = this.#parts;
    const own = this.#own;
    try {
      if (own !== undefined) await this.#learnFirst();
      const { first, last } = own ?? {};
      const start = first === undefined ? (last ?? "0") : idBefore(first);
      const what = own === undefined ? "and begins anew" : `and goes on behind ${start}`;
      deps.log.warn(`group ${group} of ${key} is gone from ${name}, ${what}`);
      await this.sayAlive();
      await this.#client.xgroup("CREATE", key, group, start, "MKSTREAM");
    } catch {
      await this.#pause();
    }
  }

  /** What is in front of the first entry was removed, and is not waited for. */
  async #learnFirst(): Promise<void> {
    this.#own?.begins(await firstId(this.#client, this.#parts.key));
  }

  /** Notes where a group of our own begins. */
  async noteStart(): Promise<void> {
    if (this.#own === undefined) return;
    const last = await lastHandedId(this.#client, this.#parts.key, this.#parts.group);
    if (last !== undefined) this.#own.startBehind(last);
  }

  #pause(): Promise<void> {
    const { clock, random } = this.#parts.deps;
    return new Promise((resolve) => {
      clock.setTimer(resolve, 50 + 100 * random());
    });
  }

  #hand({ id, payload, headers }: RedisEntry, attempt: number): void {
    const delivery = new RedisDelivery(id, attempt, payload, headers);
    // What comes when nobody takes it any more is nobody's from the start.
    if (this.#stopped) {
      void this.#giveBack([delivery]).catch(() => {});
      return;
    }
    this.#credit--;
    this.#own?.handed(delivery);
    this.#parts.onDelivery(delivery);
  }

  // --- messages once more ---

  get #sweepEveryMs(): number {
    const everyMs = Math.min(this.#parts.options.ackWaitMs / 4, sweepMaxMs);
    return everyMs * (0.75 + 0.5 * this.#parts.deps.random());
  }

  #sweepIn(delayMs: number): void {
    if (this.#stopped) return;
    const { clock } = this.#parts.deps;
    const atMs = clock.now() + delayMs;
    if (atMs >= this.#sweepAtMs) return;
    this.#sweepTimer?.cancel();
    this.#sweepAtMs = atMs;
    this.#sweepTimer = clock.setTimer(() => {
      this.#sweepAtMs = Infinity;
      void this.#sweep();
    }, delayMs);
  }

  /** A group of our own is forgotten when this was not called for `forgetAfterMs`. */
  async sayAlive(): Promise<void> {
    const { forgetAfterMs } = this.#parts.options;
    if (forgetAfterMs !== undefined) await this.#client.set(this.#parts.lifeKey, "1", "PX", forgetAfterMs);
  }

  /** Never rejects. */
  async #sweep(): Promise<void> {
    const { commands, deps, name, key, keepMs } = this.#parts;
    this.#sweepIn(this.#sweepEveryMs);
    if (this.#sweeping || !commands.up) return;
    this.#sweeping = true;
    try {
      await this.sayAlive();
      await this.#claim();
      if (this.#own?.isLarge === true) await this.#learnFirst();
      await trimFinished(this.#client, key, deps.clock.wallNow() - keepMs, keepMs > 0);
    } catch (thrown) {
      if (!isNoGroup(thrown)) deps.log.debug(`looking for messages at ${name} failed: ${textOf(thrown)}`);
    } finally {
      this.#sweeping = false;
    }
  }

  async #claim(): Promise<void> {
    const { group, key, options } = this.#parts;
    let cursor = "0-0";
    do {
      const count = Math.min(this.#credit, batchMax);
      if (count === 0) return;
      const { xautoclaimBuffer } = this.#client as Redis & BufferCommands;
      const found = await xautoclaimBuffer.call(
        this.#client,
        ...([key, group, this.#member, options.ackWaitMs, cursor, "COUNT", count] as const),
      );
      const entries = readEntries(found[1]);
      cursor = String(found[0]);
      const attempts = await attemptsOf(this.#client, key, group, entries);
      entries.forEach((entry, at) => {
        this.#hand(entry, attempts[at] ?? 1);
      });
    } while (cursor !== "0-0" && !this.#stopped);
  }

  // --- what becomes of messages ---

  ack(delivery: Delivery): void {
    this.#own?.finished(delivery);
    this.#done.push(delivery.position);
    this.#flushing ??= this.#flushSoon();
  }

  /** Never rejects. All that was done in one turn of the event loop is one command. */
  async #flushSoon(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#done.length > 0) {
      const batch = this.#done.splice(0, batchMax);
      if (await this.#flush(batch)) continue;
      this.#done.unshift(...batch);
      // Those that are lost come once more. Told twice is no harm.
      if (this.#stopped) break;
      await this.#pause();
      if (!this.#parts.commands.up) await this.#parts.commands.ready(undefined).catch(() => {});
    }
    this.#flushing = undefined;
  }

  async #flush(batch: readonly string[]): Promise<boolean> {
    try {
      await this.#client.xack(this.#parts.key, this.#parts.group, ...batch);
      return true;
    } catch (thrown) {
      // An answer is an end, whatever it says; the connection's end is not.
      return redisFault(this.#parts.name, thrown).error.executed === "never" && this.#parts.commands.up;
    }
  }

  retry({ position, attempt }: Delivery, delayMs: number): void {
    const idleMs = Math.max(0, Math.round(this.#parts.options.ackWaitMs - delayMs));
    void this.#claimFor(nobody, [position], idleMs, attempt).catch(() => {});
    this.#sweepIn(delayMs + dueSlackMs);
  }

  extend(deliveries: readonly Delivery[]): void {
    if (!this.#parts.commands.up) return;
    const positions = deliveries.map(({ position }) => position);
    for (let at = 0; at < positions.length; at += batchMax) {
      void this.#claimFor(this.#member, positions.slice(at, at + batchMax), 0).catch(() => {});
    }
  }

  #claimFor(member: string, ids: readonly string[], idleMs: number, attempts?: number): Promise<unknown> {
    const { group, key } = this.#parts;
    const count = attempts === undefined ? [] : ["RETRYCOUNT", attempts];
    return this.#client.xclaim(key, group, member, 0, ...ids, "IDLE", idleMs, ...count, "JUSTID");
  }

  async deadLetter({ position }: Delivery, record: EventRecord): Promise<void> {
    const { name, commands } = this.#parts;
    try {
      do {
        if (!commands.up) await commands.ready(undefined);
      } while (!(await this.#bury(position, record)));
    } catch (thrown) {
      throw redisFault(name, thrown).error;
    }
  }

  /** False: the connection ends just now, and nothing was sent. */
  async #bury(position: string, record: EventRecord): Promise<boolean> {
    const { key, deadKey, group } = this.#parts;
    try {
      await this.#client.eval(buryScript, 2, key, deadKey, group, position, ...fieldsOf(record));
      return true;
    } catch (thrown) {
      if (!isUnsent(thrown)) throw thrown;
      await this.#pause();
      return false;
    }
  }

  // --- the end ---

  async stop(unstarted: readonly Delivery[]): Promise<void> {
    this.#stopped = true;
    this.#credit = 0;
    this.#sweepTimer?.cancel();
    this.#wake();
    // A read that waits is broken off; what Redis has handed out by then is found by the others.
    this.#parts.reader.close();
    await this.#reading;
    if (this.#parts.commands.up) await this.#giveBack(unstarted).catch(() => {});
  }

  /** They were not tried: the attempt does not count. */
  async #giveBack(held: ReadonlyArray<Pick<Delivery, "position" | "attempt">>): Promise<void> {
    await Promise.all(
      held.map(({ position, attempt }) => this.#claimFor(nobody, [position], longAgoMs, attempt - 1)),
    );
  }

  /** All that Redis has under our name: also what it handed out on the connection when that was closed. */
  async #giveBackAll(): Promise<void> {
    const { key, group } = this.#parts;
    for (;;) {
      const pending = (await this.#client.xpending(
        ...([key, group, "-", "+", batchMax, this.#member] as const),
      )) as unknown[][];
      await this.#giveBack(
        pending.map(([id, , , attempt]) => ({ position: String(id), attempt: Number(attempt) })),
      );
      if (pending.length < batchMax) return;
    }
  }

  async #leave(): Promise<void> {
    const { key, group, lifeKey, options } = this.#parts;
    if (options.forgetAfterMs !== undefined) {
      await this.#client.xgroup("DESTROY", key, group);
      await this.#client.del(lifeKey);
      return;
    }
    if (this.#done.length > 0) await this.#flush(this.#done);
    await this.#giveBackAll();
    await this.#client.eval(leaveScript, 1, key, group, this.#member);
  }

  async close(): Promise<void> {
    if (!this.#stopped) await this.stop([]);
    const { commands } = this.#parts;
    await this.#flushing;
    try {
      if (commands.up) {
        await this.#leave();
      }
    } catch {
      // They are handed out again when their time is over.
    }
    this.#parts.onClosed(this);
  }
}
