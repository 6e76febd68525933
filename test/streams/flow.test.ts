import { describe, expect, test } from "vitest";
import { OutgoingStream, RpcError, Status } from "../../src/index.js";
import { deferred, failure } from "../support/async.js";
import type { Item } from "../support/gen/flow.js";
import { collect, settled, startFlow } from "./support.js";

const KiB = 1024;
const kilobyte = Buffer.alloc(KiB);

describe("a reader that does not read keeps its producer waiting", () => {
  test("of a server stream: a window, and no more, leaves the generator", async () => {
    let made = 0;
    const { stub } = await startFlow({
      flow: {
        async *watch() {
          for (; ; made++) yield { data: kilobyte };
        },
      },
    });
    const stream = stub.watch({});
    const iterator = stream[Symbol.asyncIterator]();
    await iterator.next();
    await settled(() => made);
    // 256 KiB at first; what is read once frees no more than that.
    expect(made).toBeGreaterThan(200);
    expect(made).toBeLessThan(400);
    const before = made;
    for (let at = 0; at < 1000; at++) await iterator.next();
    await settled(() => made);
    expect(made - before).toBeGreaterThan(700);
    expect(made - before).toBeLessThan(6000);
    await iterator.return?.();
  });

  test("of requests: 16 KiB at first, then a window, whatever the source could give", async () => {
    let made = 0;
    const go = deferred();
    const { stub } = await startFlow({
      flow: {
        put: async (requests) => {
          await go.promise;
          let number = 0;
          for await (const _ of requests) number++;
          return { number };
        },
      },
    });
    const sum = stub.put(
      (async function* () {
        for (; made < 5000; made++) yield { data: kilobyte };
      })(),
    );
    await settled(() => made);
    expect(made).toBeGreaterThan(200);
    expect(made).toBeLessThan(300);
    go.resolve();
    expect((await sum).number).toBe(5000);
  });

  test("empty messages cost as well", async () => {
    let made = 0;
    const { stub } = await startFlow({
      flow: {
        async *watch() {
          for (; ; made++) yield {};
        },
      },
    });
    const iterator = stub.watch({})[Symbol.asyncIterator]();
    await iterator.next();
    await settled(() => made);
    expect(made).toBeLessThan(9000);
    await iterator.return?.();
  });

  test("a message larger than the window waits for its reader, of whom it takes no more than it has", async () => {
    const { stub } = await startFlow({
      flow: {
        async *watch() {
          yield { data: Buffer.alloc(3_000_000, 1) };
          yield { data: Buffer.alloc(3_000_000, 2) };
        },
      },
    });
    const iterator = stub.watch({})[Symbol.asyncIterator]();
    expect((await iterator.next()).value?.data.length).toBe(3_000_000);
    expect((await iterator.next()).value?.data[5]).toBe(2);
    expect((await iterator.next()).done).toBe(true);
  });

  test("a bidi stream whose replies are never read is bounded on both sides", async () => {
    let [sent, echoed] = [0, 0];
    const { stub } = await startFlow({
      flow: {
        async *chat(requests) {
          for await (const request of requests) {
            echoed++;
            yield request;
          }
        },
      },
    });
    const stream = stub.chat(
      (async function* () {
        for (; ; sent++) yield { data: kilobyte };
      })(),
    );
    await settled(() => sent);
    expect(sent).toBeLessThan(1200);
    expect(echoed).toBeLessThan(400);
    stream.cancel();
  });

  test("one stalled reader among many takes nothing from the others", async () => {
    const { stub } = await startFlow({
      flow: {
        async *watch(request) {
          for (let at = 0; request.number === 0 || at < request.number; at++) yield { data: kilobyte };
        },
      },
    });
    const stalled = stub.watch({ number: 0 });
    await stalled.metadata;
    const others = await Promise.all(Array.from({ length: 50 }, () => collect(stub.watch({ number: 1000 }))));
    expect(others.every((all) => all.length === 1000)).toBe(true);
    stalled.cancel();
  });

  test("unary calls pass a stream that could fill the connection", async () => {
    const { stub } = await startFlow({
      flow: {
        async *watch() {
          for (;;) yield { data: kilobyte };
        },
      },
    });
    const stream = stub.watch({});
    let got = 0;
    const reading = (async () => {
      for await (const _ of stream) got++;
    })();
    for (let number = 0; number < 200; number++) expect((await stub.ask({ number })).number).toBe(number);
    expect(got).toBeGreaterThan(0);
    stream.cancel();
    await failure(reading);
  });

  test("streams that never wait leave the event loop to timers and sockets", async () => {
    const { stub } = await startFlow({
      flow: {
        async *watch() {
          for (;;) yield {};
        },
      },
    });
    const stream = stub.watch({});
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    for await (const _ of stream) if (ticks > 20) break;
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(20);
  });
});

describe("the buffer for streams", () => {
  test("more streams of requests than it has room for are refused, executed never", async () => {
    const { stub, provider } = await startFlow({
      settings: { limits: { streamBufferBytes: 64 * KiB } },
      flow: { put: async (requests) => ({ number: (await collect(requests)).length }) },
    });
    const open = Array.from({ length: 4 }, () => new OutgoingStream<Partial<Item>>());
    const calls = open.map((one) => stub.put(one));
    await expect.poll(() => provider.inFlight).toBe(4);
    const error = await failure(stub.put(new OutgoingStream<Partial<Item>>()));
    expect([error.code, error.executed]).toEqual([Status.RESOURCE_EXHAUSTED, "never"]);
    expect(error.rawMessage).toContain("limits.streambuffer");
    for (const one of open) one.end();
    await Promise.all(calls);
    expect((await stub.put([])).number).toBe(0);
  });

  test("provider.streambuffer is for all connections together", async () => {
    const { stub, cluster, provider } = await startFlow({
      settings: { provider: { streamBufferBytes: 88 * KiB } },
      flow: { put: async (requests) => ({ number: (await collect(requests)).length }) },
    });
    const { FlowServiceStub } = await import("../support/gen/flow.js");
    const other = new FlowServiceStub(cluster.channel());
    // One caller has its share, three quarters; within the process there is one caller, and so there are no shares.
    const length = cluster.over === "inproc" ? 5 : 4;
    const open = Array.from({ length }, () => new OutgoingStream<Partial<Item>>());
    const calls = open.map((one, at) => (at % 2 === 0 ? stub : other).put(one));
    await expect.poll(() => provider.inFlight).toBe(length);
    expect((await failure(other.put(new OutgoingStream()))).code).toBe(Status.RESOURCE_EXHAUSTED);
    for (const one of open) one.end();
    await Promise.all(calls);
  });

  test("where it is small, replies still come, and large messages one after the other", async () => {
    const { stub } = await startFlow({
      settings: { limits: { streamBufferBytes: 64 * KiB } },
      flow: {
        async *watch() {
          for (let number = 0; number < 5; number++) yield { number, data: Buffer.alloc(700_000, number) };
        },
      },
    });
    const all = await Promise.all(Array.from({ length: 20 }, () => collect(stub.watch({}))));
    for (const one of all)
      expect(one.map(({ number, data }) => number === data[0] && data.length)).toEqual(
        Array(5).fill(700_000),
      );
  });
});

test("thousands of streams opened and cancelled at once leave nothing behind", async () => {
  const { stub, provider } = await startFlow({
    flow: {
      async *watch(_request, context) {
        yield {};
        await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
      },
    },
  });
  await stub.ask({});
  const errors = await Promise.all(
    Array.from({ length: 10_000 }, async () => {
      const stream = stub.watch({});
      stream.cancel();
      return failure(collect(stream));
    }),
  );
  expect(errors.every(({ code }) => code === Status.CANCELLED || code === Status.RESOURCE_EXHAUSTED)).toBe(
    true,
  );
  await expect.poll(() => provider.inFlight).toBe(0);
  // Behind all of them, which takes its time where sockets are real.
  expect((await stub.ask({ number: 7 }, { timeoutMs: 60_000 })).number).toBe(7);
}, 120_000);

test("abort between any two messages: the reader sees exactly those before, and the handler ends", async () => {
  for (let stop = 0; stop <= 8; stop++) {
    const ended = deferred();
    const { stub } = await startFlow({
      flow: {
        async *watch() {
          try {
            for (let number = 0; number < 8; number++) yield { number };
          } finally {
            ended.resolve();
          }
        },
      },
    });
    const abort = new AbortController();
    const got: number[] = [];
    const reading = (async () => {
      const stream = stub.watch({}, { signal: abort.signal });
      if (stop === 0) abort.abort(new RpcError(Status.ABORTED, "mine"));
      for await (const { number } of stream) if (got.push(number) === stop) abort.abort();
    })();
    if (stop < 8) expect((await failure(reading)).code).toBe(Status.CANCELLED);
    else await reading.catch(() => {});
    expect(got).toEqual(Array.from({ length: stop }, (_, at) => at));
    if (stop > 0) await ended.promise;
  }
});
