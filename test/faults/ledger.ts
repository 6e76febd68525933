import { crc32 } from "node:zlib";
import { type RpcError, Status } from "../../src/index.js";

/** A deadline is looked at every 4 ms, never early. */
const slackMs = 5;
/** No call that has more time than this ends by its deadline, on a clock of the test's own: its connection tells it before. */
const patientMs = 1000;

/** One call as its caller saw it. */
export interface CallRecord {
  readonly key: string;
  readonly oneway: boolean;
  readonly startedMs: number;
  /** On the caller's clock; `Infinity`: none. */
  readonly deadlineMs: number;
  readonly bodyCrc: number;
  settled: number;
  settledMs: number;
  error: RpcError | undefined;
}

export interface Promises {
  /**
   * The classic wire has no mark for the end of a reply, or a failure: what was cut off may read as a shorter success,
   * and no bytes at all as an empty one.
   */
  readonly wireTellsTruncation: boolean;
  /** Hold calls to their deadlines; only on a clock of the test's own. */
  readonly deadlines: boolean;
}

/** What callers were told, and what handlers counted. */
export class Ledger {
  readonly calls = new Map<string, CallRecord>();
  /** How often the handler of each call began. */
  readonly runs = new Map<string, number>();
  readonly faults: string[] = [];
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  get unsettled(): string[] {
    return [...this.calls.values()].filter(({ settled }) => settled === 0).map(({ key }) => key);
  }

  /** Calls that ended well. */
  get succeeded(): number {
    return [...this.calls.values()].filter(({ settled, error }) => settled > 0 && error === undefined).length;
  }

  failures(): RpcError[] {
    return [...this.calls.values()].flatMap(({ error }) => error ?? []);
  }

  /** Records `call` from now until it settles; resolves then, whatever came of it. */
  async watch(
    init: { key: string; data: Uint8Array; timeoutMs: number; oneway?: boolean },
    call: () => Promise<{ text: string; data: Buffer } | undefined>,
  ): Promise<CallRecord> {
    const { key, data, timeoutMs, oneway = false } = init;
    const record: CallRecord = {
      ...{ key, oneway, startedMs: this.#now(), deadlineMs: this.#now() + timeoutMs, bodyCrc: crc32(data) },
      ...{ settled: 0, settledMs: Number.NaN, error: undefined },
    };
    if (this.calls.has(key)) throw new Error(`two calls have the key ${key}`);
    this.calls.set(key, record);
    try {
      const reply = await call();
      this.#settle(record, undefined);
      if (reply !== undefined) this.#check(record, reply);
    } catch (error) {
      this.#settle(record, error as RpcError);
    }
    return record;
  }

  #settle(record: CallRecord, error: RpcError | undefined): void {
    record.settled++;
    record.settledMs = this.#now();
    record.error = error;
  }

  #check({ key, bodyCrc }: CallRecord, reply: { text: string; data: Buffer }): void {
    if (reply.text !== key) this.fault("truncated", `${key} was given the reply to ${reply.text}`);
    else if (crc32(reply.data) !== bodyCrc) this.fault("truncated", `the reply to ${key} has another body`);
  }

  /** The handler of `key` begins. */
  ran(key: string, data: Uint8Array): void {
    this.runs.set(key, (this.runs.get(key) ?? 0) + 1);
    const record = this.calls.get(key);
    if (record === undefined) this.fault("run", `${key} runs, which nobody called`);
    else if (record.bodyCrc !== crc32(data)) this.fault("run", `${key} runs with another body than was sent`);
  }

  /** As `ran`, of a handler in another process, which kept no body. */
  counted(key: string): void {
    this.runs.set(key, (this.runs.get(key) ?? 0) + 1);
  }

  /** Something that must not happen; `kind` is in front of its text. */
  fault(kind: "run" | "truncated" | "leak", text: string): void {
    this.faults.push(`${kind}: ${text}`);
  }

  /** What must hold and does not, a line each. */
  violations({ wireTellsTruncation, deadlines }: Promises): string[] {
    const found = this.faults.filter((text) => wireTellsTruncation || !text.startsWith("truncated"));
    for (const [key, runs] of this.runs) if (runs > 1) found.push(`${key} ran ${runs} times`);
    for (const record of this.calls.values()) {
      const { key, settled, startedMs, settledMs, deadlineMs, oneway, error } = record;
      const runs = this.runs.get(key) ?? 0;
      if (settled !== 1) found.push(`${key} ended ${settled} times`);
      if (deadlines && settledMs > deadlineMs + slackMs)
        found.push(`${key} ended ${settledMs - deadlineMs} ms after its deadline`);
      if (deadlines && error?.code === Status.DEADLINE_EXCEEDED && deadlineMs - startedMs > patientMs)
        found.push(`${key} waited for its deadline in vain: ${error.message}`);
      if (error === undefined) {
        if (runs !== 1 && !oneway && wireTellsTruncation)
          found.push(`${key} succeeded, and its handler ran ${runs} times`);
      } else if (error.executed === "never" && runs > 0)
        found.push(`${key} never ran, its caller was told, and it did: ${error.message}`);
      else if (error.executed === "yes" && runs === 0)
        found.push(`${key} ran, its caller was told, and it did not: ${error.message}`);
    }
    return found;
  }
}
