import { describe, expect, test } from "vitest";
import { OutgoingStream, RpcController, RpcError, Status } from "../../src/index.js";
import { deferred, failure } from "../support/async.js";
import type { Item } from "../support/gen/flow.js";
import { collect, numbers, startFlow } from "./support.js";

/** A handler that gives numbers for ever, and says how it ended. */
function endless() {
  const ended = deferred<string>("the generator's finally");
  return {
    ended: ended.promise,
    async *watch() {
      try {
        for (let number = 0; ; number++) yield { number };
      } finally {
        ended.resolve("finally");
      }
    },
  };
}

describe("a server stream", () => {
  test("leaving the loop cancels: the generator's finally runs, and nothing is in flight", async () => {
    const { watch, ended } = endless();
    const { stub, provider } = await startFlow({ flow: { watch } });
    for await (const { number } of stub.watch({})) if (number === 3) break;
    expect(await ended).toBe("finally");
    await expect.poll(() => provider.inFlight).toBe(0);
  });

  test("a reader that throws cancels, and its own error is what it sees", async () => {
    const { watch, ended } = endless();
    const { stub } = await startFlow({ flow: { watch } });
    const reading = (async () => {
      for await (const { number } of stub.watch({})) if (number === 3) throw new Error("enough");
    })();
    await expect(reading).rejects.toThrow("enough");
    expect(await ended).toBe("finally");
  });

  test("cancel: what has come is dropped, the reader is told, and so is the handler", async () => {
    const { watch, ended } = endless();
    const { stub } = await startFlow({ flow: { watch } });
    const stream = stub.watch({});
    await stream.metadata;
    stream.cancel(new Error("no more"));
    const error = await failure(collect(stream));
    expect([error.code, error.rawMessage]).toEqual([
      Status.CANCELLED,
      "cancelled by IncomingStream.cancel()",
    ]);
    expect((error.cause as Error).message).toBe("no more");
    expect((await failure(stream.trailers)).code).toBe(Status.CANCELLED);
    expect(await ended).toBe("finally");
  });

  test("the caller's signal ends it at once, though messages lie there", async () => {
    const { watch, ended } = endless();
    const { stub } = await startFlow({ flow: { watch } });
    const abort = new AbortController();
    let got = 0;
    const reading = (async () => {
      for await (const _ of stub.watch({}, { signal: abort.signal })) if (++got === 5) abort.abort();
    })();
    expect((await failure(reading)).code).toBe(Status.CANCELLED);
    expect(got).toBe(5);
    expect(await ended).toBe("finally");
  });

  test("a handler that throws midway: all messages before, then its error, with trailers", async () => {
    const { stub } = await startFlow({
      flow: {
        async *watch(_request, context) {
          yield { number: 1 };
          yield { number: 2 };
          context.replyTrailers.set("rows", "2");
          throw new RpcError(Status.NOT_FOUND, "no third");
        },
      },
    });
    const got: number[] = [];
    const stream = stub.watch({});
    const error = await failure(
      (async () => {
        for await (const { number } of stream) got.push(number);
      })(),
    );
    expect(got).toEqual([1, 2]);
    expect([error.code, error.rawMessage, error.executed]).toEqual([Status.NOT_FOUND, "no third", "yes"]);
    expect(error.trailers?.getText("rows")).toBe("2");
  });

  test("initial metadata before the first message, trailers at the end", async () => {
    const go = deferred();
    const { stub } = await startFlow({
      flow: {
        async *watch(_request, context) {
          context.replyMetadata.set("by", "a");
          context.sendMetadata();
          context.sendMetadata();
          await go.promise;
          yield { number: 1 };
          context.replyTrailers.set("rows", "1");
        },
      },
    });
    const seen: (string | undefined)[] = [];
    const stream = stub.watch({}, { onMetadata: (metadata) => seen.push(metadata.getText("by")) });
    expect((await stream.metadata).getText("by")).toBe("a");
    expect(seen).toEqual(["a"]);
    go.resolve();
    expect(await collect(stream)).toHaveLength(1);
    expect((await stream.trailers).getText("rows")).toBe("1");
  });

  test("an empty stream has metadata and trailers in its end", async () => {
    const { stub } = await startFlow({
      flow: {
        watch: (_request, context) => {
          context.replyMetadata.set("by", "b");
          context.replyTrailers.set("rows", "0");
          return [];
        },
      },
    });
    const stream = stub.watch({});
    expect(await collect(stream)).toEqual([]);
    expect((await stream.metadata).getText("by")).toBe("b");
    expect((await stream.trailers).getText("rows")).toBe("0");
  });

  test("next() twice without waiting, and return() while a next() waits", async () => {
    const go = deferred();
    const { stub } = await startFlow({
      flow: {
        async *watch() {
          await go.promise;
          yield { number: 1 };
          yield { number: 2 };
          await new Promise(() => {});
        },
      },
    });
    const iterator = stub.watch({})[Symbol.asyncIterator]();
    const pair = [iterator.next(), iterator.next()];
    go.resolve();
    const got = await Promise.all(pair);
    expect(got.map(({ value }) => value?.number)).toEqual([1, 2]);
    const third = iterator.next();
    expect(await iterator.return?.()).toEqual({ done: true, value: undefined });
    expect(await third).toEqual({ done: true, value: undefined });
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  test("iterating twice is an error", async () => {
    const { stub } = await startFlow();
    const stream = stub.watch({ number: 1 });
    await collect(stream);
    await expect(collect(stream)).rejects.toThrow("a stream of replies can be iterated once, and has been");
  });

  test("a handler blocked in an await: the call ends at once, the handler is detached until it settles", async () => {
    const go = deferred();
    const entered = deferred();
    const ended = deferred();
    const { stub, provider } = await startFlow({
      settings: { provider: { inFlightMax: 1 } },
      flow: {
        async *watch() {
          try {
            entered.resolve();
            await go.promise;
            yield {};
          } finally {
            ended.resolve();
          }
        },
      },
    });
    const stream = stub.watch({});
    const reading = failure(collect(stream));
    await entered.promise;
    stream.cancel();
    await reading;
    await expect.poll(() => provider.inFlight).toBe(0);
    // Its handler holds the only place.
    const refused = await failure(stub.ask({}));
    expect([refused.code, refused.executed]).toEqual([Status.RESOURCE_EXHAUSTED, "never"]);
    go.resolve();
    await ended.promise;
    await expect.poll(async () => (await stub.ask({ number: 4 }).catch(() => undefined))?.number).toBe(4);
  });
});

describe("a client stream", () => {
  test("a handler that returns early: its reply comes at once, and the source's return() is called", async () => {
    const { stub } = await startFlow({
      flow: {
        put: async (requests) => {
          for await (const { number } of requests) if (number === 2) break;
          return { number: 99 };
        },
      },
    });
    const ended = deferred<string>();
    const source = async function* () {
      try {
        for (let number = 0; ; number++) yield { number };
      } finally {
        ended.resolve("finally");
      }
    };
    expect((await stub.put(source())).number).toBe(99);
    expect(await ended.promise).toBe("finally");
  });

  test("a handler that reads nothing and returns", async () => {
    const { stub } = await startFlow({ flow: { put: () => ({ number: 1 }) } });
    expect((await stub.put(numbers(100_000))).number).toBe(1);
  });

  test("a source that throws: the caller gets its error as cause, the handler sees CANCELLED", async () => {
    const seen = deferred<unknown>();
    const { stub } = await startFlow({
      flow: {
        put: async (requests) => {
          try {
            for await (const _ of requests);
          } catch (error) {
            seen.resolve(error);
            throw error;
          }
          return {};
        },
      },
    });
    const mine = new Error("disk gone");
    const error = await failure(
      stub.put(
        (async function* () {
          yield { number: 1 };
          throw mine;
        })(),
      ),
    );
    expect([error.code, error.cause]).toEqual([Status.CANCELLED, mine]);
    expect(error.rawMessage).toBe("the source of requests failed: disk gone");
    expect(((await seen.promise) as RpcError).code).toBe(Status.CANCELLED);
  });

  test("an OutgoingStream: write, end; fail ends the call with its error", async () => {
    const { stub } = await startFlow();
    const out = new OutgoingStream<Partial<Item>>();
    const sum = stub.put(out);
    await out.write({ number: 4 });
    await out.write({ number: 5 });
    out.end();
    expect((await sum).number).toBe(9);
    expect(() => out.write({})).toThrow("OutgoingStream.write() after end() or fail()");
    const bad = new OutgoingStream<Partial<Item>>();
    const failed = failure(stub.put(bad));
    await bad.write({ number: 1 });
    const mine = new Error("stop");
    bad.fail(mine);
    expect((await failed).cause).toBe(mine);
  });

  test("initial metadata and trailers with the one reply", async () => {
    const { channel, stub } = await startFlow({
      flow: {
        put: (_requests, context) => {
          context.replyMetadata.set("by", "c");
          return { number: 1 };
        },
      },
    });
    const seen: (string | undefined)[] = [];
    await stub.put([], { onMetadata: (metadata) => seen.push(metadata.getText("by")) });
    expect(seen).toEqual(["c"]);
    await channel.close();
  });

  test("what is no source, and a message that cannot be encoded", async () => {
    const { stub } = await startFlow();
    const text = await failure(stub.put("abc" as never));
    expect([text.code, text.executed]).toEqual([Status.INTERNAL, "never"]);
    expect(text.rawMessage).toBe('expected an iterable or async iterable of messages, got "abc"');
    const ended = deferred();
    const source = async function* () {
      try {
        yield { number: 1 };
        yield { number: "x" as never };
      } finally {
        ended.resolve();
      }
    };
    const wrong = await failure(stub.put(source()));
    expect(wrong.code).toBe(Status.INTERNAL);
    expect(wrong.rawMessage).toContain("a message of the stream cannot be encoded");
    await ended.promise;
  });
});

describe("both ways", () => {
  test("the end of the replies ends the call though the caller goes on", async () => {
    const { stub } = await startFlow({
      flow: {
        async *chat(requests) {
          for await (const request of requests) {
            yield request;
            if (request.number === 2) return;
          }
        },
      },
    });
    const ended = deferred();
    const source = async function* () {
      try {
        for (let number = 0; ; number++) yield { number };
      } finally {
        ended.resolve();
      }
    };
    expect(await collect(stub.chat(source()))).toHaveLength(3);
    await ended.promise;
  });

  test("half-close: the handler sees the end of the requests, and may answer behind it", async () => {
    const { stub } = await startFlow({
      flow: {
        async *chat(requests) {
          const all = await collect(requests);
          yield { number: all.length };
        },
      },
    });
    expect((await collect(stub.chat(numbers(10)))).map(({ number }) => number)).toEqual([10]);
  });

  test("ping-pong: one outstanding at a time", async () => {
    const { stub } = await startFlow();
    const out = new OutgoingStream<Partial<Item>>();
    const iterator = stub.chat(out)[Symbol.asyncIterator]();
    for (let number = 0; number < 3000; number++) {
      await out.write({ number });
      const { value } = await iterator.next();
      expect(value?.number).toBe(number);
    }
    out.end();
    expect((await iterator.next()).done).toBe(true);
  });
});

test("with a controller: iterating ends, and the controller knows why", async () => {
  const { stub } = await startFlow({
    flow: {
      async *watch() {
        yield { number: 1 };
        throw new RpcError(Status.NOT_FOUND, "gone");
      },
    },
  });
  const controller = new RpcController();
  expect(await collect(stub.watch({}, controller))).toHaveLength(1);
  expect(controller.failed()).toBe(true);
  expect(controller.error?.code).toBe(Status.NOT_FOUND);
  controller.reset();
  expect((await stub.put([{ number: 3 }], controller))?.number).toBe(3);
});

test("closing the channel ends its open streams", async () => {
  const { watch, ended } = endless();
  const { stub, channel } = await startFlow({ flow: { watch } });
  const stream = stub.watch({});
  await stream.metadata;
  await channel.close();
  const error = await failure(collect(stream));
  expect(error.rawMessage).toBe("the channel was closed, and its open streams with it");
  expect(await ended).toBe("finally");
});

test("calls of the wrong kind name the right one", async () => {
  const { channel } = await startFlow();
  const { FlowService } = await import("../support/gen/flow.js");
  const { watch, ask, put } = FlowService.methods;
  expect((await failure(channel.call(watch as never, {} as never))).rawMessage).toBe(
    "flow.FlowService.Watch is server_streaming: call it with serverStream",
  );
  expect((await failure(collect(channel.serverStream(ask as never, {} as never)))).rawMessage).toBe(
    "flow.FlowService.Ask is unary: call it with call",
  );
  expect((await failure(channel.oneway(put, {}))).rawMessage).toContain("a stream cannot be called oneway");
});
