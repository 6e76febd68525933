import { OutgoingStream, type RpcChannel, RpcError, Status } from "../../src/index.js";
import { SeededRandom, type SimulatedApp } from "../../src/testing/index.js";
import { type FlowServiceHandler, FlowServiceStub, type Item } from "../support/gen/flow.js";
import type { CallRecord } from "./ledger.js";
import type { World } from "./world.js";

/** `text` of the first item of a stream is its key; `number` of each item is its place in the stream. */
const kinds = ["watch", "put", "chat"] as const;
type StreamKind = (typeof kinds)[number];

/** What a handler of a stream saw; on the host that ran it. */
interface HandlerFacts {
  readonly app: SimulatedApp;
  /** Its `finally` ran. */
  left: boolean;
  /** Items it has given, and those that the caller has taken. */
  given: number;
  taken: number;
}

/** The streams of a run: what each of their handlers saw. */
export class StreamLedger {
  readonly handlers = new Map<string, HandlerFacts>();

  /** What must hold at the end of the run. */
  violations({ ledger }: World): string[] {
    // A process that crashed took its handlers with it.
    return [...this.handlers]
      .filter(([, { app, left }]) => !left && !ledger.factsOf(app).dead)
      .map(([key]) => `the handler of ${key} has not come to its end`);
  }
}

/** An item is about this large with what it costs; of those that nobody takes no more are given than the windows hold. */
const itemBytes = 1000;
const aheadMax = (256 + 256 + 128 + 128) * 1024;

/** A slow reader sleeps for so long now and then. */
const readerSleepsMs = 2;

const padding = Buffer.alloc(itemBytes - 60, 7);

/** The handlers of one provider. */
export function streamHandlers(world: World, app: SimulatedApp): FlowServiceHandler {
  const { ledger, streams } = world;
  const enter = (key: string): HandlerFacts => {
    ledger.run(app.host, key, padding);
    const facts = { app, left: false, given: 0, taken: 0 };
    streams.handlers.set(key, facts);
    return facts;
  };
  const ordered = (key: string, at: number, { number }: Item): void => {
    if (number !== at) ledger.fault(`the handler of ${key} got request ${number} in place ${at}`);
  };
  return {
    async *watch({ text, number }) {
      const facts = enter(text);
      try {
        for (let at = 0; at < Math.abs(number); at++) {
          facts.given++;
          if ((facts.given - facts.taken) * itemBytes > aheadMax)
            ledger.fault(`${text} was given ${facts.given} items, of which ${facts.taken} were taken`);
          yield { number: at, data: padding };
          if (at % 10 === 9) await app.sleep(1);
        }
        if (number < 0) throw new RpcError(Status.FAILED_PRECONDITION, "not today");
      } finally {
        facts.left = true;
      }
    },
    async put(requests, context) {
      const key = context.metadata.getText("key") ?? "";
      const facts = enter(key);
      try {
        let at = 0;
        for await (const request of requests) {
          ordered(key, at++, request);
          if (at % 10 === 9) await app.sleep(1);
          if (context.metadata.getText("early") !== undefined && at === 3) break;
        }
        return { number: at, text: key };
      } finally {
        facts.left = true;
      }
    },
    async *chat(requests, context) {
      const key = context.metadata.getText("key") ?? "";
      const facts = enter(key);
      try {
        let at = 0;
        for await (const request of requests) {
          ordered(key, at++, request);
          facts.given++;
          yield { ...request, text: key };
        }
      } finally {
        facts.left = true;
      }
    },
    ask: (request) => request,
  };
}

/** The streams of one caller's process. */
export class StreamCaller {
  /** It has begun all its streams. */
  done = false;
  readonly #world: World;
  readonly #app: SimulatedApp;
  readonly #stub: FlowServiceStub;
  readonly #random: SeededRandom;

  constructor(world: World, app: SimulatedApp, channel: RpcChannel, name: string) {
    this.#world = world;
    this.#app = app;
    this.#stub = new FlowServiceStub(channel);
    // Its own: what the other calls of a seed do must not change with the streams.
    this.#random = SeededRandom.of(world.sim.seed, `${name}/streams`);
  }

  async run(name: string): Promise<void> {
    const { callGapMs } = this.#world.plan;
    const count = this.#random.integer(1, 2);
    for (let number = 1; number <= count; number++) {
      await this.#app.sleep(this.#random.between(0, callGapMs * 4));
      void this.#call(`${name}.stream${number}`);
    }
    this.done = true;
  }

  async #call(key: string): Promise<void> {
    const { ledger, plan, sim } = this.#world;
    const random = this.#random;
    const rolling = plan.mode === "rolling";
    const kind = random.pick<StreamKind>(kinds);
    const count = random.pick([0, 1, 5, random.integer(1, 60), rolling ? 12 : random.integer(40, 300)]);
    const timeoutMs = rolling ? 30_000 : random.pick([30, 400, 3000, 20_000]);
    const record = ledger.begin({
      ...{ key, kind, caller: this.#app, body: padding },
      // A reader that sleeps is told when it comes back.
      deadlineMs: sim.nowMs + timeoutMs + readerSleepsMs,
    });
    const abort = new AbortController();
    if (!rolling && random.chance(0.15)) this.#app.clock.setTimer(() => abort.abort(), random.between(0, 60));
    const options = { timeoutMs, signal: abort.signal };
    try {
      if (kind === "watch") await this.#watch(record, count, options);
      else if (kind === "put") await this.#put(record, count, options);
      else await this.#chat(record, count, options);
    } catch (error) {
      ledger.fail(record, error as RpcError);
    }
  }

  async #watch(record: CallRecord, asked: number, options: { timeoutMs: number; signal: AbortSignal }) {
    const fails = this.#random.chance(0.2);
    const slow = this.#random.chance(0.3);
    // Long before the handler has come to its end.
    const leavesAt = this.#random.chance(0.3) ? this.#random.integer(1, 20) : Infinity;
    const count = leavesAt === Infinity ? asked : 400;
    const { key } = record;
    const request = { text: key, number: fails ? -count : count };
    let at = 0;
    for await (const { number } of this.#stub.watch(request, options)) {
      if (number !== at++) this.#world.ledger.fault(`${key} got reply ${number} in place ${at - 1}`);
      const facts = this.#world.streams.handlers.get(key);
      if (facts !== undefined) facts.taken = at;
      if (at === leavesAt) {
        this.#world.ledger.succeed(record, undefined);
        return;
      }
      if (slow && at % 20 === 0) await this.#app.sleep(readerSleepsMs);
    }
    if (at !== count || (fails && count > 0))
      this.#world.ledger.fault(`${key} ended well after ${at} of ${count}`);
    this.#world.ledger.succeed(record, undefined);
  }

  async *#source(count: number): AsyncGenerator<Partial<Item>> {
    for (let number = 0; number < count; number++) {
      if (number % 10 === 9) await this.#app.sleep(1);
      yield { number, data: padding };
    }
  }

  async #put(record: CallRecord, count: number, options: { timeoutMs: number; signal: AbortSignal }) {
    const { ledger } = this.#world;
    const { key } = record;
    const early = this.#random.chance(0.2);
    const metadata = early ? { key, early: "1" } : { key };
    const { number, text } = await this.#stub.put(this.#source(count), { ...options, metadata });
    if (text !== key) ledger.fault(`${key} was given the reply to ${text}`);
    if (number !== (early ? Math.min(3, count) : count))
      ledger.fault(`${key} sent ${count}, and ${number} came`);
    ledger.succeed(record, undefined);
  }

  async #chat(record: CallRecord, count: number, options: { timeoutMs: number; signal: AbortSignal }) {
    const { ledger } = this.#world;
    const { key } = record;
    const out = new OutgoingStream<Partial<Item>>();
    const replies = this.#stub.chat(out, { ...options, metadata: { key } });
    const writing = (async () => {
      for await (const item of this.#source(count)) await out.write(item);
      out.end();
    })();
    // The call says why.
    writing.catch(() => {});
    let at = 0;
    for await (const { number, text } of replies) {
      if (number !== at++ || text !== key)
        ledger.fault(`${key} got reply ${number} of ${text} in place ${at - 1}`);
    }
    if (at !== count) ledger.fault(`${key} sent ${count}, and ${at} came back`);
    ledger.succeed(record, undefined);
  }
}
