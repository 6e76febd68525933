import { crc32 } from "node:zlib";
import type { RpcError } from "../../src/index.js";
import type { SimulatedApp, Simulation } from "../../src/testing/index.js";

export type CallKind =
  | "unary"
  | "controller"
  | "oneway"
  | "nested"
  | "ready"
  | "recovery"
  | "watch"
  | "put"
  | "chat";

/** One call as its caller saw it. */
export interface CallRecord {
  readonly key: string;
  readonly kind: CallKind;
  readonly caller: SimulatedApp;
  readonly startedMs: number;
  /** On the time of the simulation; `Infinity`: none. */
  readonly deadlineMs: number;
  readonly bodyCrc: number;
  /** How often it settled, and the last outcome. */
  settled: number;
  settledMs: number;
  error: RpcError | undefined;
}

/** Facts about a caller's process that its calls depend on. */
interface CallerFacts {
  /** Its process crashed: what it waited for is nobody's any more. */
  dead: boolean;
  /** Time it stood still, ms. */
  pausedMs: number;
  starts: number;
  ends: number;
}

/** Everything the scenario knows of its calls, kept outside the hosts, which forget. */
export class Ledger {
  readonly calls = new Map<string, CallRecord>();
  /** How often the handler of each call began, and bodies that did not arrive as they were sent. */
  readonly runs = new Map<string, number>();
  readonly faults: string[] = [];
  readonly #sim: Simulation;
  readonly #callers = new Map<SimulatedApp, CallerFacts>();

  constructor(sim: Simulation) {
    this.#sim = sim;
  }

  /** Counts the calls of a process by its own events. */
  join(app: SimulatedApp): void {
    const facts = this.factsOf(app);
    app.events.on("clientStart", () => void facts.starts++);
    app.events.on("clientEnd", () => void facts.ends++);
  }

  factsOf(app: SimulatedApp): CallerFacts {
    let facts = this.#callers.get(app);
    if (facts === undefined) {
      facts = { dead: false, pausedMs: 0, starts: 0, ends: 0 };
      this.#callers.set(app, facts);
    }
    return facts;
  }

  get callers(): ReadonlyMap<SimulatedApp, CallerFacts> {
    return this.#callers;
  }

  begin(call: Pick<CallRecord, "key" | "kind" | "caller" | "deadlineMs"> & { body: Buffer }): CallRecord {
    const { body, ...rest } = call;
    const record: CallRecord = {
      ...rest,
      startedMs: this.#sim.nowMs,
      bodyCrc: crc32(body),
      settled: 0,
      settledMs: Number.NaN,
      error: undefined,
    };
    if (this.calls.has(record.key)) throw new Error(`two calls have the key ${record.key}`);
    this.calls.set(record.key, record);
    this.#sim.note(`${record.caller.host} calls ${record.key} (${record.kind}, ${body.length} bytes)`);
    return record;
  }

  /** The handler of `key` begins. */
  run(host: string, key: string, body: Buffer): void {
    this.runs.set(key, (this.runs.get(key) ?? 0) + 1);
    this.#sim.note(`${host} runs ${key}`);
    const record = this.calls.get(key);
    if (record === undefined) this.fault(`${host} runs ${key}, which nobody called`);
    else if (record.bodyCrc !== crc32(body))
      this.fault(`${host} runs ${key} with another body than was sent`);
  }

  succeed(record: CallRecord, reply: { text: string; data: Buffer } | undefined): void {
    this.#settle(record, undefined);
    if (reply === undefined) return;
    if (reply.text !== record.key) this.fault(`${record.key} was given the reply to ${reply.text}`);
    else if (crc32(reply.data) !== record.bodyCrc) this.fault(`the reply to ${record.key} has another body`);
  }

  fail(record: CallRecord, error: RpcError): void {
    this.#settle(record, error);
  }

  #settle(record: CallRecord, error: RpcError | undefined): void {
    record.settled++;
    record.settledMs = this.#sim.nowMs;
    record.error = error;
    const how = error === undefined ? "ok" : `${error.executed} ${error.message}`;
    this.#sim.note(`${record.caller.host} ends ${record.key}: ${how}`);
  }

  /** Something that must not happen. */
  fault(text: string): void {
    this.#sim.note(`FAULT ${text}`);
    this.faults.push(text);
  }
}
