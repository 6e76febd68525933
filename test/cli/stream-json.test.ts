import { describe, expect, test } from "vitest";
import { OutgoingStream } from "../../src/call/outgoing-stream.js";
import type { RpcChannel } from "../../src/client/channel.js";
import { FileDescriptorProto } from "../../src/descriptor/gen/google/protobuf/descriptor.js";
import { RpcError } from "../../src/error/rpc-error.js";
import { Status } from "../../src/error/status.js";
import { decodeMessage, encodeMessage } from "../../src/protobuf/types.js";
import type { JsonInput, JsonValue } from "../../src/protobuf/well-known.js";
import { RpcProvider } from "../../src/server/provider.js";
import { collect, type FlowOptions, numbers, startFlow } from "../streams/support.js";
import { failure } from "../support/async.js";
import { FlowService } from "../support/gen/flow.js";

const service = "flow.FlowService";

const numbersOf = (items: JsonValue[]) => items.map((item) => (item as { number: number }).number);

/** Calls of the channel, the question for descriptors among them. */
async function setup(options: FlowOptions = {}) {
  const flow = await startFlow(options);
  const called: string[] = [];
  const channel: RpcChannel = flow.cluster.channel(
    {
      interceptors: [
        (next) => (call) => {
          called.push(call.method.name);
          return next(call);
        },
      ],
    },
    flow.runtime,
  );
  return { ...flow, called, intercepted: channel };
}

describe("streams of JSON", () => {
  test("a server stream: each message as a JSON value, the provider asked once", async () => {
    const { intercepted, called } = await setup();
    const got = await collect(intercepted.streamJson(service, "Watch", { number: 3 }));
    expect(got).toEqual([0, 1, 2].map((number) => ({ number, data: "", text: "" })));
    expect(await collect(intercepted.streamJson(service, "watch", { number: 0 }))).toEqual([]);
    expect(called).toEqual(["Describe", "Watch", "Watch"]);
  });

  test("both ways, and a client stream by callJson, from generators, lists and what is written", async () => {
    const { channel } = await setup();
    expect(numbersOf(await collect(channel.streamJson(service, "Chat", numbers(3000))))).toHaveLength(3000);
    expect(await channel.callJson(service, "Put", numbers(5))).toMatchObject({ number: 10 });
    expect(await channel.callJson(service, "Put", [{ number: 1 }, { number: 2 }])).toMatchObject({
      number: 3,
    });
    const out = new OutgoingStream<JsonInput>();
    const heard = channel.streamJson(service, "Chat", out, { bytes: "text" })[Symbol.asyncIterator]();
    await out.write({ number: 7, data: "said" });
    expect(await heard.next()).toEqual({ done: false, value: { number: 7, data: "said", text: "" } });
    out.end();
    expect(await heard.next()).toEqual({ done: true, value: undefined });
  });

  test("describe tells the kind of each method", async () => {
    const { channel } = await setup();
    const kinds = (await channel.describe(service)).map(({ name, kind }) => [name, kind]);
    expect(kinds).toEqual([
      ["Watch", "server_streaming"],
      ["Put", "client_streaming"],
      ["Chat", "bidi_streaming"],
      ["Ask", "unary"],
    ]);
  });

  test("metadata and trailers arrive; iterating twice is an error", async () => {
    const { channel } = await setup({
      flow: {
        async *watch(_, { replyMetadata, replyTrailers }) {
          replyMetadata.set("cost", "3");
          yield { number: 1 };
          replyTrailers.set("rest", "4");
        },
      },
    });
    const stream = channel.streamJson(service, "Watch", {});
    expect((await stream.metadata).get("cost")).toBe("3");
    expect(numbersOf(await collect(stream))).toEqual([1]);
    expect((await stream.trailers).get("rest")).toBe("4");
    expect(() => stream[Symbol.asyncIterator]()).toThrow("can be iterated once");
  });

  test("an error behind messages comes behind them", async () => {
    const { channel } = await setup({
      flow: {
        async *watch() {
          yield { number: 1 };
          throw new RpcError(Status.DATA_LOSS, "torn");
        },
      },
    });
    const heard = channel.streamJson(service, "Watch", {})[Symbol.asyncIterator]();
    expect(await heard.next()).toMatchObject({ value: { number: 1 } });
    expect(await failure(heard.next())).toMatchObject({ code: Status.DATA_LOSS, rawMessage: "torn" });
  });

  test.each(["break", "cancel"])("%s ends the call at the provider", async (way) => {
    let aborted!: () => void;
    const gone = new Promise<void>((resolve) => {
      aborted = resolve;
    });
    const { channel } = await setup({
      flow: {
        async *watch(_, { signal }) {
          signal.addEventListener("abort", aborted);
          for (let number = 0; ; number++) yield { number };
        },
      },
    });
    const stream = channel.streamJson(service, "Watch", {});
    for await (const _ of stream) {
      if (way === "break") break;
      stream.cancel();
      expect(await failure(stream.trailers)).toMatchObject({ code: Status.CANCELLED });
      break;
    }
    await gone;
  });

  test("cancelled before the provider has told its messages: nothing is called", async () => {
    const { intercepted, called } = await setup();
    const stream = intercepted.streamJson(service, "Watch", { number: 3 });
    stream.cancel();
    const error = await failure(collect(stream));
    expect(error).toMatchObject({ code: Status.CANCELLED, executed: "never" });
    expect(called).not.toContain("Watch");
  });

  test("a provider that is newer is asked again, unless requests were taken from a generator", async () => {
    const { cluster, intercepted, called, provider } = await setup();
    await collect(intercepted.streamJson(service, "Watch", { number: 1 }));
    await provider.shutdown();
    const file = decodeMessage(FileDescriptorProto, FlowService.descriptors[0] as Uint8Array);
    Object.assign(file.messageType[0]?.field[0] ?? {}, { name: "count", jsonName: "count" });
    const newer = new RpcProvider(cluster.runtime());
    const definition = { ...FlowService, descriptors: [encodeMessage(FileDescriptorProto, file)] };
    newer.notifyService(definition, {
      watch: (request) => [request],
      put: () => ({}),
      chat: (requests) => requests,
      ask: (request) => request,
    });
    cluster.onClose(() => newer.shutdown());
    await newer.start();
    async function* counts() {
      yield { count: 2 };
    }
    expect(await failure(collect(intercepted.streamJson(service, "Chat", counts())))).toMatchObject({
      code: Status.INTERNAL,
    });
    expect(await collect(intercepted.streamJson(service, "Watch", { count: 2 }))).toMatchObject([
      { count: 2 },
    ]);
    expect(called).toEqual(["Describe", "Watch", "Chat", "Describe", "Watch"]);
  });

  test.each([
    ["Watch", "callJson", {}, /is server_streaming: call it with streamJson$/, Status.UNIMPLEMENTED],
    ["Put", "streamJson", [], /is client_streaming: call it with callJson$/, Status.UNIMPLEMENTED],
    ["Ask", "streamJson", {}, /is unary: call it with callJson$/, Status.UNIMPLEMENTED],
    ["Ask", "callJson", numbers(1), /is unary, which takes one request/, Status.INTERNAL],
    ["Watch", "streamJson", numbers(1), /is server_streaming, which takes one request/, Status.INTERNAL],
    ["Put", "callJson", {}, /^expected an iterable or async iterable of messages/, Status.INTERNAL],
    ["Chat", "streamJson", "text", /^expected an iterable or async iterable of messages/, Status.INTERNAL],
    ["Wtch", "streamJson", {}, /has no method "Wtch"; did you mean "Watch"\?$/, Status.UNIMPLEMENTED],
  ] as const)("%s by %s with %j is refused", async (method, way, request, text, code) => {
    const { channel } = await setup();
    const called =
      way === "callJson"
        ? channel.callJson(service, method, request)
        : collect(channel.streamJson(service, method, request));
    const error = await failure(called);
    expect(error).toMatchObject({ code, executed: "never" });
    expect(error.rawMessage).toMatch(text);
  });

  test("who writes requests of a call that cannot be made is told", async () => {
    const { channel } = await setup();
    const out = new OutgoingStream<JsonInput>();
    const written = out.write({ number: 1 });
    expect(await failure(channel.callJson(service, "Nothing", out))).toMatchObject({
      code: Status.UNIMPLEMENTED,
    });
    expect(await failure(written)).toMatchObject({ code: Status.CANCELLED });
  });
});
