import { describe, expect, test } from "vitest";
import { RpcChannel, RpcError, RpcProvider, Status, silentLogger } from "../../src/index.js";
import { createRuntime, ManualClock, MemoryStore, memoryRegistry, settle } from "../../src/testing/index.js";
import { CutNetwork, type Direction, directions } from "../faults/cut-network.js";
import { splitFrames } from "../fuzz/recorded.js";
import { seeded } from "../support/async.js";
import { FlowService, FlowServiceStub, type Item } from "../support/gen/flow.js";
import { wheelOf } from "../support/wheel.js";

/** What one run saw on both sides. */
interface Seen {
  /** Handlers entered, and their generators' `finally`. */
  entered: number;
  left: number;
  /** Numbers each handler got, in their order. */
  requests: number[][];
  replies: number[];
  outcomes: Array<RpcError | "ok">;
  /** Sources opened, and closed. */
  opened: number;
  closed: number;
}

const large = Buffer.alloc(20_000);

/** A provider, and a caller that makes one call of each kind, side by side. */
class Exchange {
  readonly network = new CutNetwork();
  readonly clock = new ManualClock();
  readonly #app = (() => {
    const parts = { clock: this.clock, transport: this.network, random: seeded(1), log: silentLogger };
    const store = new MemoryStore();
    return () => createRuntime({ ...parts, registry: memoryRegistry({ ...parts, store }) });
  })();
  readonly provider = new RpcProvider(this.#app());
  readonly #callerApp = this.#app();
  seen: Seen = this.#nothing();

  #nothing(): Seen {
    return { entered: 0, left: 0, requests: [], replies: [], outcomes: [], opened: 0, closed: 0 };
  }

  async start(withLarge: boolean): Promise<void> {
    const received = (): { list: number[]; done: () => void } => {
      const { seen } = this;
      seen.entered++;
      const list: number[] = [];
      seen.requests.push(list);
      return { list, done: () => void seen.left++ };
    };
    this.provider.notifyService(FlowService, {
      async *watch() {
        const { done } = received();
        try {
          for (let number = 0; number < 3; number++) {
            yield { number, data: withLarge && number === 1 ? large : Buffer.alloc(0) };
          }
        } finally {
          done();
        }
      },
      async put(requests) {
        const { list, done } = received();
        try {
          for await (const { number } of requests) list.push(number);
          return { number: 100 + list.length };
        } finally {
          done();
        }
      },
      async *chat(requests, context) {
        const { list, done } = received();
        try {
          context.replyMetadata.set("by", "x");
          for await (const { number } of requests) {
            list.push(number);
            yield { number };
          }
          throw new RpcError(Status.NOT_FOUND, "no more");
        } finally {
          done();
        }
      },
      ask: (request) => request,
    });
    await this.provider.start();
  }

  *#source(seen: Seen, withLarge: boolean): Generator<Partial<Item>> {
    seen.opened++;
    try {
      for (let number = 0; number < 3; number++) {
        yield { number, data: withLarge && number === 1 ? large : Buffer.alloc(0) };
      }
    } finally {
      seen.closed++;
    }
  }

  /** One run, on a channel of its own. */
  async run(withLarge: boolean): Promise<Seen> {
    this.seen = this.#nothing();
    const { seen } = this;
    const channel = new RpcChannel(this.#callerApp);
    const stub = new FlowServiceStub(channel);
    const note = (call: Promise<unknown>): Promise<unknown> =>
      call.then(
        () => seen.outcomes.push("ok"),
        (error: RpcError) => seen.outcomes.push(error),
      );
    const read = async (stream: AsyncIterable<Item>): Promise<void> => {
      const list: number[] = [];
      for await (const { number } of stream) {
        expect(number).toBe(list.length);
        list.push(number);
        seen.replies.push(number);
      }
    };
    const calls = Promise.all([
      note(read(stub.watch({}, { timeoutMs: 60_000 }))),
      note(stub.put(this.#source(seen, withLarge), { timeoutMs: 60_000 })),
      note(read(stub.chat(this.#source(seen, false), { timeoutMs: 60_000 }))),
    ]);
    await this.#until(calls);
    await this.#until(channel.close());
    for (let turn = 0; turn < 20 && this.provider.connections + this.provider.inFlight > 0; turn++) {
      await this.clock.run(1000);
    }
    await settle();
    return seen;
  }

  async #until(what: Promise<unknown>): Promise<void> {
    let done = false;
    void what.finally(() => {
      done = true;
    });
    for (let turn = 0; !done && turn < 400; turn++) await (turn < 50 ? settle() : this.clock.run(500));
    expect(done).toBe(true);
  }

  check(seen: Seen, at: string): void {
    const where = `${at}: ${JSON.stringify(seen)}`;
    expect(seen.outcomes, where).toHaveLength(3);
    expect(this.provider.inFlight, where).toBe(0);
    expect(seen.left, where).toBe(seen.entered);
    expect(seen.closed, where).toBe(seen.opened);
    expect(wheelOf(this.#callerApp).size, where).toBe(0);
    for (const list of seen.requests) expect(list, where).toEqual(list.map((_, index) => index));
    const failed = seen.outcomes.filter((one): one is RpcError => one !== "ok");
    // Each call enters a handler once at most, and one that failed `never` none.
    const never = failed.filter(({ executed }) => executed === "never").length;
    expect(seen.entered, where).toBeLessThanOrEqual(3 - never);
    for (const { code } of failed)
      expect([Status.UNAVAILABLE, Status.NOT_FOUND, Status.CANCELLED], where).toContain(code);
  }

  /** Every byte at which something begins or ends, and those around it; of the insides of large messages a part. */
  cutsAt(direction: Direction): number[] {
    const written = this.network.written(direction).map(({ bytes }) => bytes ?? Buffer.alloc(0));
    const cuts: number[] = [];
    let from = 0;
    for (const frame of splitFrames(Buffer.concat(written))) {
      const bodyAt = 4 + frame.readUInt32LE(0);
      for (let at = 0; at < frame.length; at++) {
        const nearAnEnd = at < bodyAt + 16 || at >= frame.length - 16;
        if (nearAnEnd || at % 997 === 0) cuts.push(from + at);
      }
      from += frame.length;
    }
    return cuts;
  }
}

describe.each([
  { what: "small messages", withLarge: false },
  { what: "with announced messages", withLarge: true },
])("the connection breaks at each byte of calls of the three kinds: $what", ({ withLarge }) => {
  test.each(directions)("of what goes in one direction: %s", async (direction) => {
    const exchange = new Exchange();
    await exchange.start(withLarge);
    exchange.network.arm(undefined);
    const whole = await exchange.run(withLarge);
    expect(whole.outcomes.filter((one) => one === "ok")).toHaveLength(2);
    expect(whole.replies).toHaveLength(6);
    exchange.check(whole, "uncut");
    const places = exchange.cutsAt(direction);
    expect(places.length).toBeGreaterThan(100);
    let cuts = 0;
    for (const how of ["reset", "end"] as const) {
      for (const atByte of places) {
        exchange.network.arm({ direction, atByte, how });
        const seen = await exchange.run(withLarge);
        exchange.check(seen, `${how} at ${atByte}`);
        if (seen.outcomes.some((one) => one !== "ok" && one.code === Status.UNAVAILABLE)) cuts++;
      }
    }
    expect(cuts).toBeGreaterThan(50);
  });
});
