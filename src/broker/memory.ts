import { type Clock, systemClock, type Timer } from "../base/clock.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import type {
  BrokerDriver,
  ConsumeOptions,
  DeadRecord,
  Delivery,
  DriverConsumer,
  EventRecord,
  StartPosition,
} from "./driver.js";
import type { Published } from "./interceptor.js";
import { isOwnGroup } from "./options.js";

/** Messages of a topic that may wait for their groups. */
const unfinishedMax = 1_000_000;
/** Finished ones that are kept for `seek`. */
const finishedMax = 10_000;
const idWindowMs = 120_000;

interface Stored extends EventRecord {
  readonly publishedMs: number;
}

interface Pending {
  attempt: number;
  /** When it is handed out again: its lease is over, or its delay. */
  dueMs: number;
  /** Who has it; undefined while it waits for its delay. */
  owner: MemoryConsumer | undefined;
}

class MemoryGroup {
  /** The sequence of the next message that no member had yet. */
  next: number;
  readonly pending = new Map<number, Pending>();
  /** To be handed out again now, by sequence: how often it was. */
  readonly ready = new Map<number, number>();
  readonly members: MemoryConsumer[] = [];
  readonly dead = new Map<number, DeadRecord>();
  deadNext = 1;
  timer: Timer | undefined;
  timerMs = Infinity;

  constructor(next: number) {
    this.next = next;
  }

  /** All before it is finished. */
  get floor(): number {
    let floor = this.next;
    for (const sequence of this.pending.keys()) if (sequence < floor) floor = sequence;
    for (const sequence of this.ready.keys()) if (sequence < floor) floor = sequence;
    return floor;
  }
}

class MemoryTopic {
  readonly log = new Map<number, Stored>();
  next = 1;
  readonly groups = new Map<string, MemoryGroup>();
  readonly ids = new Map<string, { readonly sequence: number; readonly ms: number }>();
}

/**
 * Topics in this process. Brokers on one store see each other's messages: what a simulation or a test of several applications gives them. It
 * forgets everything with the process.
 */
export class MemoryStore {
  readonly #clock: Clock;
  readonly #topics = new Map<string, MemoryTopic>();

  /** `clock`: of leases and delays; default the system's. */
  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** @internal */
  publish(topicName: string, record: EventRecord, id: string | undefined): string {
    const topic = this.#topic(topicName);
    const now = this.#clock.wallNow();
    if (id !== undefined) {
      this.#forgetIds(topic, now);
      const known = topic.ids.get(id);
      if (known !== undefined) return String(known.sequence);
    }
    if (topic.log.size >= unfinishedMax + finishedMax) {
      throw new RpcError(Status.RESOURCE_EXHAUSTED, messages.topicFull(topicName, unfinishedMax), {
        executed: "never",
      });
    }
    const sequence = topic.next++;
    // Copied, since callers may use their buffers again.
    topic.log.set(sequence, { ...record, payload: Buffer.from(record.payload), publishedMs: now });
    if (id !== undefined) topic.ids.set(id, { sequence, ms: now });
    for (const group of topic.groups.values()) this.#dispatch(topic, group);
    return String(sequence);
  }

  #forgetIds(topic: MemoryTopic, now: number): void {
    for (const [id, { ms }] of topic.ids) {
      if (now - ms < idWindowMs) return;
      topic.ids.delete(id);
    }
  }

  /** @internal */
  join(topicName: string, groupName: string, from: StartPosition, member: MemoryConsumer): void {
    const topic = this.#topic(topicName);
    let group = topic.groups.get(groupName);
    if (group === undefined) {
      group = new MemoryGroup(this.#sequenceAt(topic, from));
      topic.groups.set(groupName, group);
    }
    group.members.push(member);
  }

  /** @internal */
  leave(topicName: string, groupName: string, member: MemoryConsumer): void {
    const group = this.#group(topicName, groupName);
    const at = group?.members.indexOf(member) ?? -1;
    if (at >= 0) group?.members.splice(at, 1);
    if (isOwnGroup(groupName)) this.#forget(this.#topic(topicName), groupName);
  }

  #forget(topic: MemoryTopic, groupName: string): void {
    topic.groups.get(groupName)?.timer?.cancel();
    topic.groups.delete(groupName);
  }

  /** @internal A member that was given up for dead, and is not, is a member again. */
  wake(topicName: string, groupName: string, member: MemoryConsumer): void {
    const group = this.#group(topicName, groupName);
    if (group === undefined) {
      if (isOwnGroup(groupName)) this.join(topicName, groupName, "new", member);
      return;
    }
    if (!group.members.includes(member)) group.members.push(member);
    this.#dispatch(this.#topic(topicName), group);
  }

  /** @internal */
  ack(topicName: string, groupName: string, sequence: number): boolean {
    const group = this.#group(topicName, groupName);
    const settled = group?.pending.delete(sequence) === true || group?.ready.delete(sequence) === true;
    if (settled) this.#trim(this.#topic(topicName));
    return settled;
  }

  /** @internal `countDown`: it was not tried, and the attempt does not count. */
  retry(topicName: string, groupName: string, sequence: number, delayMs: number, countDown = false): void {
    const group = this.#group(topicName, groupName);
    const pending = group?.pending.get(sequence);
    if (group === undefined || pending === undefined) return;
    pending.owner = undefined;
    pending.dueMs = this.#clock.now() + delayMs;
    if (countDown) pending.attempt--;
    if (delayMs > 0) {
      this.#arm(topicName, group, pending.dueMs);
      return;
    }
    group.pending.delete(sequence);
    group.ready.set(sequence, pending.attempt);
    this.#dispatch(this.#topic(topicName), group);
  }

  /** @internal */
  extend(topicName: string, groupName: string, sequences: readonly number[], ackWaitMs: number): void {
    const group = this.#group(topicName, groupName);
    for (const sequence of sequences) {
      const pending = group?.pending.get(sequence);
      if (pending?.owner !== undefined) pending.dueMs = this.#clock.now() + ackWaitMs;
    }
  }

  /** @internal */
  bury(topicName: string, groupName: string, sequence: number, record: EventRecord): void {
    const group = this.#group(topicName, groupName);
    if (group === undefined || !this.ack(topicName, groupName, sequence)) return;
    const position = group.deadNext++;
    group.dead.set(position, { ...record, position: String(position), deadMs: this.#clock.wallNow() });
  }

  /** @internal */
  dead(topicName: string, groupName: string): Map<number, DeadRecord> {
    return this.#group(topicName, groupName)?.dead ?? new Map();
  }

  /** @internal */
  seek(topicName: string, groupName: string, to: StartPosition): void {
    const topic = this.#topic(topicName);
    const next = this.#sequenceAt(topic, to);
    const group = topic.groups.get(groupName);
    if (group === undefined) {
      topic.groups.set(groupName, new MemoryGroup(next));
      return;
    }
    group.next = next;
    group.pending.clear();
    group.ready.clear();
    this.#dispatch(topic, group);
  }

  #topic(name: string): MemoryTopic {
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = new MemoryTopic();
      this.#topics.set(name, topic);
    }
    return topic;
  }

  #group(topic: string, name: string): MemoryGroup | undefined {
    return this.#topics.get(topic)?.groups.get(name);
  }

  #sequenceAt(topic: MemoryTopic, position: StartPosition): number {
    if (position === "new") return topic.next;
    const [oldest = topic.next] = topic.log.keys();
    if (position === "first") return oldest;
    if (!(position instanceof Date)) {
      const after = Number(position.after);
      if (Number.isSafeInteger(after)) return Math.max(after + 1, oldest);
      const text = messages.positionInvalid(JSON.stringify(position.after), "memory:");
      throw new RpcError(Status.INVALID_ARGUMENT, text, { executed: "never" });
    }
    for (const [sequence, { publishedMs }] of topic.log) {
      if (publishedMs >= position.getTime()) return sequence;
    }
    return topic.next;
  }

  /** Hands out what is there to members that have room, each in its turn. */
  #dispatch(topic: MemoryTopic, group: MemoryGroup): void {
    for (let idle = 0; idle < group.members.length; ) {
      const member = group.members[0] as MemoryConsumer;
      // To the end of the row.
      group.members.push(group.members.shift() as MemoryConsumer);
      if (member.credit === 0) {
        idle++;
        continue;
      }
      idle = 0;
      const taken = this.#take(topic, group);
      if (taken === undefined) return;
      const { sequence, attempt, stored } = taken;
      const dueMs = this.#clock.now() + member.ackWaitMs;
      group.pending.set(sequence, { attempt, dueMs, owner: member });
      this.#armGroup(topic, group, dueMs);
      member.hand({ ...stored, position: String(sequence), attempt });
    }
  }

  #take(
    topic: MemoryTopic,
    group: MemoryGroup,
  ): { sequence: number; attempt: number; stored: Stored } | undefined {
    for (const [sequence, attempts] of group.ready) {
      group.ready.delete(sequence);
      const stored = topic.log.get(sequence);
      if (stored !== undefined) return { sequence, attempt: attempts + 1, stored };
    }
    while (group.next < topic.next) {
      const sequence = group.next++;
      const stored = topic.log.get(sequence);
      if (stored !== undefined) return { sequence, attempt: 1, stored };
    }
    return undefined;
  }

  #arm(topicName: string, group: MemoryGroup, dueMs: number): void {
    this.#armGroup(this.#topic(topicName), group, dueMs);
  }

  #armGroup(topic: MemoryTopic, group: MemoryGroup, dueMs: number): void {
    if (dueMs >= group.timerMs) return;
    group.timer?.cancel();
    group.timerMs = dueMs;
    group.timer = this.#clock.setTimer(
      () => {
        group.timerMs = Infinity;
        this.#handOutDue(topic, group);
      },
      Math.max(0, dueMs - this.#clock.now()),
    );
  }

  #handOutDue(topic: MemoryTopic, group: MemoryGroup): void {
    const now = this.#clock.now();
    let earliestMs = Infinity;
    for (const [sequence, pending] of group.pending) {
      if (pending.dueMs > now) {
        earliestMs = Math.min(earliestMs, pending.dueMs);
        continue;
      }
      group.pending.delete(sequence);
      group.ready.set(sequence, pending.attempt);
      // It has said nothing for all that time: it gets no more until it does.
      const dead = pending.owner === undefined ? -1 : group.members.indexOf(pending.owner);
      if (dead < 0) continue;
      const [{ groupName }] = group.members.splice(dead, 1) as [MemoryConsumer];
      if (!isOwnGroup(groupName)) continue;
      this.#forget(topic, groupName);
      return;
    }
    if (earliestMs < Infinity) this.#armGroup(topic, group, earliestMs);
    this.#dispatch(topic, group);
  }

  /** Finished by all groups, beyond what is kept. Without a group nothing is finished. */
  #trim(topic: MemoryTopic): void {
    // Looking for the oldest unfinished one costs as much as there are; so it is done seldom.
    if (topic.log.size <= finishedMax || topic.next % 1024 !== 0) return;
    const floor = Math.min(...[...topic.groups.values()].map((group) => group.floor));
    for (const sequence of topic.log.keys()) {
      if (sequence >= floor || topic.log.size <= finishedMax) return;
      topic.log.delete(sequence);
    }
  }
}

/** A member of a group, on the clock of its own process: one that has crashed is handed nothing. */
export class MemoryConsumer implements DriverConsumer {
  credit = 0;
  readonly ackWaitMs: number;
  readonly #store: MemoryStore;
  readonly #clock: Clock;
  readonly groupName: string;
  readonly #topic: string;
  readonly #onDelivery: (delivery: Delivery) => void;
  #inbox: Delivery[] = [];
  #timer: Timer | undefined;

  constructor(parts: {
    readonly store: MemoryStore;
    readonly clock: Clock;
    readonly topic: string;
    readonly group: string;
    readonly ackWaitMs: number;
    readonly onDelivery: (delivery: Delivery) => void;
  }) {
    this.#store = parts.store;
    this.#clock = parts.clock;
    this.#topic = parts.topic;
    this.groupName = parts.group;
    this.ackWaitMs = parts.ackWaitMs;
    this.#onDelivery = parts.onDelivery;
  }

  hand(delivery: Delivery): void {
    this.credit--;
    this.#inbox.push(delivery);
    this.#timer ??= this.#clock.setTimer(() => this.#deliver(), 0, true);
  }

  #deliver(): void {
    this.#timer = undefined;
    const inbox = this.#inbox;
    this.#inbox = [];
    for (const delivery of inbox) this.#onDelivery(delivery);
  }

  request(count: number): void {
    this.credit += count;
    this.#store.wake(this.#topic, this.groupName, this);
  }

  ack({ position }: Delivery): void {
    this.#store.ack(this.#topic, this.groupName, Number(position));
  }

  retry({ position }: Delivery, delayMs: number): void {
    this.#store.retry(this.#topic, this.groupName, Number(position), delayMs);
  }

  extend(deliveries: readonly Delivery[]): void {
    const sequences = deliveries.map(({ position }) => Number(position));
    this.#store.extend(this.#topic, this.groupName, sequences, this.ackWaitMs);
  }

  async deadLetter({ position }: Delivery, record: EventRecord): Promise<void> {
    this.#store.bury(this.#topic, this.groupName, Number(position), record);
  }

  async stop(unstarted: readonly Delivery[]): Promise<void> {
    this.credit = 0;
    this.#timer?.cancel();
    this.#store.leave(this.#topic, this.groupName, this);
    const inbox = this.#inbox;
    this.#inbox = [];
    this.#giveBack([...unstarted, ...inbox]);
  }

  async close(held: readonly Delivery[]): Promise<void> {
    this.#giveBack(held);
  }

  #giveBack(deliveries: readonly Delivery[]): void {
    for (const { position } of deliveries) {
      this.#store.retry(this.#topic, this.groupName, Number(position), 0, true);
    }
  }
}

/** The driver of `memory:`. */
export class MemoryDriver implements BrokerDriver {
  readonly name = "memory:";
  readonly #store: MemoryStore;
  readonly #clock: Clock;

  constructor(store: MemoryStore, { clock }: { readonly clock: Clock }) {
    this.#store = store;
    this.#clock = clock;
  }

  async publish(topic: string, record: EventRecord, id: string | undefined): Promise<Published> {
    return { position: this.#store.publish(topic, record, id) };
  }

  async consume(
    topic: string,
    group: string,
    { ackWaitMs, from }: ConsumeOptions,
    onDelivery: (delivery: Delivery) => void,
  ): Promise<DriverConsumer> {
    const [store, clock] = [this.#store, this.#clock];
    const consumer = new MemoryConsumer({ store, clock, topic, group, ackWaitMs, onDelivery });
    store.join(topic, group, from, consumer);
    return consumer;
  }

  async seek(topic: string, group: string, to: StartPosition): Promise<void> {
    this.#store.seek(topic, group, to);
  }

  async listDead(
    topic: string,
    group: string,
    { after, limit }: { readonly after: string | undefined; readonly limit: number },
  ): Promise<DeadRecord[]> {
    const behind = after === undefined ? 0 : Number(after);
    const all = [...this.#store.dead(topic, group)];
    return all
      .filter(([position]) => position > behind)
      .slice(0, limit)
      .map(([, record]) => record);
  }

  async removeDead(topic: string, group: string, position: string): Promise<boolean> {
    return this.#store.dead(topic, group).delete(Number(position));
  }

  async close(): Promise<void> {}
}
