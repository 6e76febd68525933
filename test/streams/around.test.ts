import { describe, expect, test } from "vitest";
import {
  type ClientInterceptor,
  Metadata,
  RpcError,
  RpcProvider,
  type ServerInterceptor,
  Status,
} from "../../src/index.js";
import { writeClassicRequest } from "../../src/protocol/classic/classic-wire.js";
import { deferred, failure } from "../support/async.js";
import { Cluster } from "../support/cluster.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { FlowService, FlowServiceStub, type Item } from "../support/gen/flow.js";
import { RawPeer } from "../support/raw-peer.js";
import { collect, flowProvider, numbers, startFlow } from "./support.js";

async function* doubled(source: unknown): AsyncGenerator<Partial<Item>> {
  for await (const one of source as AsyncIterable<Item>) yield { ...one, number: one.number * 2 };
}

describe("interceptors", () => {
  test("of the client may wrap requests and replies, and see metadata and trailers", async () => {
    const seen: unknown[] = [];
    const wrapping: ClientInterceptor = (next) => async (call) => {
      if (call.kind === "client_streaming" || call.kind === "bidi_streaming")
        call.request = doubled(call.request);
      call.metadata.set("who", "me");
      const reply = await next(call);
      seen.push([call.kind, reply.metadata.getText("by")]);
      if (call.kind === "unary" || call.kind === "client_streaming") return reply;
      const inner = reply.message;
      const message = (async function* () {
        yield* doubled(inner);
        seen.push(reply.trailers.getText("rows"));
      })();
      return { ...reply, message, metadata: reply.metadata, trailers: reply.trailers };
    };
    const { stub } = await startFlow({
      clientInterceptors: [wrapping],
      flow: {
        async *chat(requests, context) {
          context.replyMetadata.set("by", context.metadata.getText("who") ?? "");
          for await (const request of requests) yield request;
          context.replyTrailers.set("rows", "3");
        },
      },
    });
    const stream = stub.chat(numbers(3));
    expect((await collect(stream)).map(({ number }) => number)).toEqual([0, 4, 8]);
    expect((await stream.metadata).getText("by")).toBe("me");
    expect((await stream.trailers).getText("rows")).toBe("3");
    expect(seen).toEqual([["bidi_streaming", "me"], "3"]);
    expect((await stub.put(numbers(3))).number).toBe(6);
  });

  test("of the client: next rejects with a failure before the first frame, later ones come through the message", async () => {
    const caught: unknown[] = [];
    const noting: ClientInterceptor = (next) => async (call) => {
      try {
        return await next(call);
      } catch (error) {
        caught.push((error as RpcError).code);
        throw error;
      }
    };
    const { stub } = await startFlow({
      clientInterceptors: [noting],
      flow: {
        async *watch({ number }) {
          if (number === 1) yield {};
          throw new RpcError(Status.NOT_FOUND, "no");
        },
      },
    });
    expect((await failure(collect(stub.watch({})))).code).toBe(Status.NOT_FOUND);
    expect(caught).toEqual([Status.NOT_FOUND]);
    expect((await failure(collect(stub.watch({ number: 1 })))).code).toBe(Status.NOT_FOUND);
    expect(caught).toHaveLength(1);
  });

  test("of the client: leaving the loop and cancel reach the provider through them", async () => {
    for (const how of ["break", "cancel"]) {
      const ended = deferred();
      const { stub } = await startFlow({
        clientInterceptors: [(next) => (call) => next(call)],
        flow: {
          async *watch() {
            try {
              for (;;) yield {};
            } finally {
              ended.resolve();
            }
          },
        },
      });
      const stream = stub.watch({});
      if (how === "break") for await (const _ of stream) break;
      else {
        await stream.metadata;
        stream.cancel();
      }
      await ended.promise;
    }
  });

  test("a second next with a source that was read is refused, with a new one it is not", async () => {
    const twice =
      (fresh: boolean): ClientInterceptor =>
      (next) =>
      async (call) => {
        await next(call);
        if (fresh) call.request = numbers(4);
        return next(call);
      };
    const refused = await startFlow({ clientInterceptors: [twice(false)] });
    const error = await failure(refused.stub.put(numbers(3)));
    expect([error.code, error.rawMessage]).toEqual([
      Status.FAILED_PRECONDITION,
      "the requests were read by the attempt before: an interceptor that calls next again must put a new source into call.request",
    ]);
    const { stub } = await startFlow({ clientInterceptors: [twice(true)] });
    expect((await stub.put(numbers(3))).number).toBe(6);
    const list = await startFlow({ clientInterceptors: [twice(false)] });
    expect((await list.stub.put([{ number: 5 }])).number).toBe(5);
  });

  test("of the provider may wrap both, and answer instead of the handler", async () => {
    const wrapping: ServerInterceptor = (next) => async (call) => {
      if (call.context.metadata.getText("deny") !== undefined)
        throw new RpcError(Status.PERMISSION_DENIED, "no");
      if (call.context.metadata.getText("own") !== undefined) {
        return {
          message: [{ number: 42 }],
          metadata: new Metadata({ by: "own" }),
          trailers: new Metadata({ rows: "1" }),
        };
      }
      call.request = doubled(call.request);
      const reply = await next(call);
      reply.message = doubled(reply.message);
      return reply;
    };
    const { stub } = await startFlow({ serverInterceptors: [wrapping] });
    expect((await collect(stub.chat(numbers(3)))).map(({ number }) => number)).toEqual([0, 4, 8]);
    const own = stub.chat([], { metadata: { own: "1" } });
    expect((await collect(own)).map(({ number }) => number)).toEqual([42]);
    expect((await own.metadata).getText("by")).toBe("own");
    expect((await own.trailers).getText("rows")).toBe("1");
    const denied = await failure(collect(stub.chat(numbers(3), { metadata: { deny: "1" } })));
    expect([denied.code, denied.executed]).toEqual([Status.PERMISSION_DENIED, "never"]);
  });
});

describe("nested calls", () => {
  test("a stream opened in a handler ends when its call is cancelled", async () => {
    const cluster = new Cluster({});
    const ended = deferred();
    const inner = deferred();
    await flowProvider(cluster, {
      flow: {
        async *watch() {
          try {
            inner.resolve();
            for (let number = 0; ; number++) yield { number };
          } finally {
            ended.resolve();
          }
        },
        async *chat() {
          yield* stub.watch({});
        },
      },
    });
    const stub = new FlowServiceStub(cluster.channel());
    const outer = stub.chat([]);
    const iterator = outer[Symbol.asyncIterator]();
    await iterator.next();
    await inner.promise;
    outer.cancel();
    await ended.promise;
  });

  test("inherits the deadline of the calling handler", async () => {
    const cluster = new Cluster({});
    const seen: number[] = [];
    await flowProvider(cluster, {
      flow: {
        // biome-ignore lint/correctness/useYield: it gives nothing
        async *watch(_request, context) {
          seen.push(context.timeLeftMs());
        },
        async *chat() {
          yield* stub.watch({});
        },
      },
    });
    const stub = new FlowServiceStub(cluster.channel());
    await collect(stub.chat([], { timeoutMs: 700 }));
    await collect(stub.chat([]));
    expect(seen).toEqual([700, Infinity]);
  });
});

describe("a provider that stops", () => {
  test("draining fires first; a stream that ends itself then ends well, one that does not is cut at the timeout", async () => {
    const { stub, provider, clock } = await startFlow({
      settings: { provider: { drainTimeoutMs: 500 } },
      flow: {
        async *watch({ number }, context) {
          yield { number };
          if (number === 1) {
            await new Promise((resolve) => context.draining.addEventListener("abort", resolve));
            yield { number: 2 };
          } else await new Promise(() => {});
        },
      },
    });
    const [polite, stubborn] = [stub.watch({ number: 1 }), stub.watch({ number: 9 })];
    const iterators = [polite, stubborn].map((one) => one[Symbol.asyncIterator]());
    for (const one of iterators) await one.next();
    const stopped = provider.shutdown();
    expect((await iterators[0]?.next())?.value?.number).toBe(2);
    expect((await iterators[0]?.next())?.done).toBe(true);
    const cut = failure(iterators[1]?.next() ?? Promise.resolve());
    await clock.run(600);
    const error = await cut;
    expect([error.code, error.executed]).toEqual([Status.UNAVAILABLE, "maybe"]);
    await clock.run(1000);
    await stopped;
  });
});

describe("classic peers", () => {
  test("a classic caller of a stream's method is reset", async () => {
    const { provider, cluster } = await startFlow();
    if (provider.address === undefined) throw new Error("no address");
    const peer = await RawPeer.connect(cluster.transport, provider.address, false);
    peer.send(writeClassicRequest("le32", "FlowService", "Watch", () => {}));
    await peer.until("a reset", () => peer.closed);
    expect(peer.closeError).toBeDefined();
    await expect
      .poll(() => JSON.stringify(cluster.log.lines))
      .toContain("flow.FlowService.Watch is server_streaming, and the classic wire has no streams");
  });

  test("with classic providers alone a stream is UNIMPLEMENTED", async () => {
    const cluster = new Cluster({});
    const registry = new FixedRegistry([
      { host: "127.0.0.1", port: 4711, protocol: "classic", weight: 1, attributes: {} },
    ]);
    const stub = new FlowServiceStub(cluster.channel({ registry }));
    for (const call of [collect(stub.watch({})), stub.put([])]) {
      const error = await failure(call);
      expect([error.code, error.executed]).toEqual([Status.UNIMPLEMENTED, "never"]);
      expect(error.rawMessage).toContain("only classic providers are there, which have no streams");
    }
  });
});

test("events: one start and one end on either side, at the end of the stream", async () => {
  const { stub, runtime } = await startFlow();
  const events: string[] = [];
  runtime.events.on("clientStart", ({ call }) => void events.push(`start ${call.method.name}`));
  runtime.events.on("clientEnd", ({ call, code }) => void events.push(`end ${call.method.name} ${code}`));
  await collect(stub.watch({ number: 3 }));
  for await (const _ of stub.watch({ number: 100_000 })) break;
  await stub.put(numbers(2));
  expect(events).toEqual([
    "start Watch",
    "end Watch 0",
    "start Watch",
    "end Watch 1",
    "start Put",
    "end Put 0",
  ]);
});

test("methods that stream are not listed for classic callers", async () => {
  const cluster = new Cluster({});
  const listed: (readonly string[])[] = [];
  const runtime = cluster.runtime();
  const { registry } = runtime;
  const noting = {
    name: registry.name,
    watch: registry.watch.bind(registry),
    list: registry.list.bind(registry),
    close: () => registry.close(),
    register: (...given: Parameters<typeof registry.register>) => {
      listed.push(given[0].methods);
      return registry.register(...given);
    },
  };
  const provider = new RpcProvider(cluster.runtime({ registry: noting }));
  provider.notifyService(FlowService, { watch: () => [], put: () => ({}), chat: () => [], ask: () => ({}) });
  cluster.onClose(() => provider.shutdown());
  await provider.start();
  expect(listed).toEqual([["Ask"]]);
});
