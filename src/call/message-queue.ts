import { messages } from "../error/messages.js";
import { Reader } from "../protobuf/reader.js";
import type { MessageType } from "../protobuf/types.js";
import { streamTurn } from "./stream-turn.js";

/** The connection that messages arrive on. */
export interface MessageSupply {
  /** The reader has taken messages that cost this many bytes. `empty`: none are left here. */
  onTaken(costBytes: number, empty: boolean): void;
  /** The reader waits for the next message. */
  onWanted(): void;
}

/** The owner of the messages. */
export interface MessageQueueOwner {
  /** The reader leaves before the end. */
  onReaderLeft(): void;
  /** A message cannot be decoded; returns the error for the reader. */
  onUndecodable(reason: unknown): unknown;
}

interface Entry {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
  /** Other messages share its memory, so decoded values must not be views of it. */
  readonly shared: boolean;
  readonly costBytes: number;
}

interface Waiting<T> {
  resolve(result: IteratorResult<T, undefined>): void;
  reject(error: unknown): void;
}

/** Small messages share chunks of memory. The first chunk has this size; it doubles up to the maximum. */
const segmentMinBytes = 512;
const segmentMaxBytes = 16 * 1024;
/** Larger messages have memory of their own. */
const smallBytes = 4 * 1024;

/** One for all streams: nothing else happens while a message is decoded. */
const messageReader = new Reader();
const done = { done: true, value: undefined } as const;

/**
 * The arrived messages of one stream, iterated by its reader. They stay undecoded until they are taken, so they
 * take no more memory than their connection counts.
 */
export class MessageQueue<T = unknown> implements AsyncIterableIterator<T, undefined> {
  /** The connection they arrive on; undefined before there is one and after it is gone. */
  supply: MessageSupply | undefined;
  owner: MessageQueueOwner | undefined;
  readonly #type: MessageType<T>;
  readonly #name: string;
  #entries: Entry[] = [];
  #head = 0;
  #segment: Buffer | undefined;
  #segmentAt = 0;
  /** Size of the next one. */
  #segmentBytes = segmentMinBytes;
  /** Who waits for the next message, and who waits behind: hardly ever anybody, so a list is made only for them. */
  #waiter: Waiting<T> | undefined;
  #laterWaiters: Array<Waiting<T>> | undefined;
  #ended = false;
  #failure: { readonly error: unknown } | undefined;
  #iterated = false;
  #delayed = false;

  /** `name`: what the reader calls it, for the error when it is iterated twice. */
  constructor(type: MessageType<T>, name: string) {
    this.#type = type;
    this.#name = name;
  }

  /** Whether a reader is waiting. */
  get wanted(): boolean {
    return this.#waiter !== undefined;
  }

  get #empty(): boolean {
    return this.#head === this.#entries.length;
  }

  // --- from the connection ---

  /** A message, `buffer[start..end)`. `shared`: the memory will be reused, so it is copied; otherwise it may stay there. */
  push(buffer: Buffer, start: number, end: number, costBytes: number, shared: boolean): void {
    if (this.#ended) return;
    if (this.#waiter !== undefined && !this.#delayed && this.#empty) {
      this.#give({ buffer, start, end, shared, costBytes });
      return;
    }
    const size = end - start;
    if (size > smallBytes) {
      if (!shared) {
        this.#entries.push({ buffer, start, end, shared, costBytes });
        return;
      }
      const own = Buffer.allocUnsafeSlow(size);
      buffer.copy(own, 0, start, end);
      this.#entries.push({ buffer: own, start: 0, end: size, shared: false, costBytes });
      return;
    }
    const at = this.#roomFor(size);
    const segment = this.#segment as Buffer;
    buffer.copy(segment, at, start, end);
    this.#entries.push({ buffer: segment, start: at, end: at + size, shared: true, costBytes });
  }

  #roomFor(size: number): number {
    const segment = this.#segment;
    if (segment === undefined || this.#segmentAt + size > segment.length) {
      if (segment !== undefined) this.#segmentBytes = Math.min(segment.length * 2, segmentMaxBytes);
      this.#segment = Buffer.allocUnsafeSlow(Math.max(this.#segmentBytes, size));
      this.#segmentAt = 0;
    }
    const at = this.#segmentAt;
    this.#segmentAt += size;
    return at;
  }

  /** No more messages arrive; those here may still be read. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#serve();
  }

  /** No more messages arrive, and the reader gets the error after those here; `atOnce`: instead of them. */
  fail(error: unknown, atOnce: boolean): void {
    if (this.#ended && !(atOnce && !this.#empty)) return;
    if (atOnce) this.#drop();
    this.#ended = true;
    this.#failure = { error };
    this.#serve();
  }

  /** Drops the messages here: `fail` follows. */
  clear(): void {
    this.#drop();
  }

  #drop(): void {
    this.#entries = [];
    this.#head = 0;
    this.#segment = undefined;
  }

  // --- the reader's ---

  [Symbol.asyncIterator](): this {
    if (this.#iterated) throw new Error(messages.streamIteratedTwice(this.#name));
    this.#iterated = true;
    return this;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#waiter === undefined && !this.#empty && !this.#delayed) {
      const entry = this.#shift();
      if (streamTurn.spent(entry.costBytes)) this.#delay();
      try {
        const value = this.#decode(entry);
        this.supply?.onTaken(entry.costBytes, this.#empty);
        return Promise.resolve({ done: false, value });
      } catch (error) {
        return Promise.reject(this.#broken(error));
      }
    }
    if (this.#ended && this.#empty && this.#waiter === undefined) {
      const failure = this.#failure;
      this.#failure = undefined;
      return failure === undefined ? Promise.resolve(done) : Promise.reject(failure.error);
    }
    return new Promise((resolve, reject) => {
      this.#wait({ resolve, reject });
      if (this.#empty) this.supply?.onWanted();
    });
  }

  #wait(waiting: Waiting<T>): void {
    if (this.#waiter === undefined) {
      this.#waiter = waiting;
      return;
    }
    this.#laterWaiters ??= [];
    this.#laterWaiters.push(waiting);
  }

  #nextWaiter(): Waiting<T> | undefined {
    const waiter = this.#waiter;
    this.#waiter = this.#laterWaiters?.shift();
    return waiter;
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#drop();
    this.#failure = undefined;
    const left = !this.#ended;
    this.#ended = true;
    for (let one = this.#nextWaiter(); one !== undefined; one = this.#nextWaiter()) one.resolve(done);
    if (left) this.owner?.onReaderLeft();
    return Promise.resolve(done);
  }

  throw(error?: unknown): Promise<IteratorResult<T, undefined>> {
    void this.return();
    return Promise.reject(error);
  }

  /** The next messages wait for another turn of the event loop. */
  #delay(): void {
    this.#delayed = true;
    streamTurn.later(() => {
      this.#delayed = false;
      this.#serve();
    });
  }

  #shift(): Entry {
    const entry = this.#entries[this.#head] as Entry;
    // The list keeps its length while it is read: taking off its front would move the rest each time.
    if (++this.#head === this.#entries.length) {
      this.#entries.length = 0;
      this.#head = 0;
      // All its messages have been taken except this one, which is decoded before more can arrive.
      this.#segmentAt = 0;
      // An idle stream must hold little memory.
      if (this.#segment !== undefined && this.#segment.length > segmentMinBytes) this.#segment = undefined;
    }
    return entry;
  }

  #serve(): void {
    while (this.#waiter !== undefined && !this.#delayed && !this.#empty) this.#give(this.#shift());
    if (!this.#ended || !this.#empty || this.#delayed) return;
    for (let one = this.#nextWaiter(); one !== undefined; one = this.#nextWaiter()) {
      const failure = this.#failure;
      this.#failure = undefined;
      if (failure === undefined) one.resolve(done);
      else one.reject(failure.error);
    }
  }

  #give(entry: Entry): void {
    const waiting = this.#nextWaiter() as Waiting<T>;
    if (streamTurn.spent(entry.costBytes)) this.#delay();
    let value: T;
    try {
      value = this.#decode(entry);
    } catch (error) {
      waiting.reject(this.#broken(error));
      return;
    }
    waiting.resolve({ done: false, value });
    this.supply?.onTaken(entry.costBytes, this.#empty);
    if (this.#waiter !== undefined && this.#empty) this.supply?.onWanted();
  }

  #decode({ buffer, start, end, shared }: Entry): T {
    const value = this.#type.decode(messageReader.reset(buffer, start, end, shared), end);
    messageReader.release();
    return value;
  }

  /** A message that cannot be decoded ends the stream. */
  #broken(error: unknown): unknown {
    this.#drop();
    this.#ended = true;
    this.#failure = undefined;
    return this.owner?.onUndecodable(error) ?? error;
  }
}
