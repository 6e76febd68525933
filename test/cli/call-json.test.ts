import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import { RpcChannel } from "../../src/client/channel.js";
import type { ChannelOptions } from "../../src/client/channel-options.js";
import { describeProtos } from "../../src/codegen/index.js";
import {
  FileDescriptorProto,
  type FileDescriptorProtoInput,
} from "../../src/descriptor/gen/google/protobuf/descriptor.js";
import { Status } from "../../src/error/status.js";
import { decodeMessage, encodeMessage } from "../../src/protobuf/types.js";
import type { JsonInput, JsonValue } from "../../src/protobuf/well-known.js";
import { openRegistry } from "../../src/registry/open.js";
import { RpcProvider } from "../../src/server/provider.js";
import { createRuntime, MemoryNetwork, MemoryStore, memoryRegistry } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { failure } from "../support/async.js";
import { type Kinds, KindsService, type KindsServiceHandler } from "./gen/kinds.js";

const service = "test.cli.KindsService";
const proto = new URL("protos/kinds.proto", import.meta.url).pathname;

interface Setup {
  readonly channel: RpcChannel;
  /** What the handler was given. */
  readonly received: Kinds[];
  /** Methods called, the question for descriptors included. */
  readonly called: string[];
  readonly provider: RpcProvider;
  /** Starts another provider, as a new version of the service would. */
  start(definition: typeof KindsService): Promise<RpcProvider>;
}

async function setup(
  options: ChannelOptions = {},
  definition = KindsService,
  handlers: Partial<KindsServiceHandler> = {},
): Promise<Setup> {
  const [transport, store] = [new MemoryNetwork(), new MemoryStore()];
  const runtime = () => {
    const registry = memoryRegistry({ store, clock: systemClock, random: Math.random });
    const made = createRuntime({ transport, registry });
    onTestFinished(() => made.close());
    return made;
  };
  const received: Kinds[] = [];
  const called: string[] = [];
  const start = async (wanted: typeof KindsService, own: Partial<KindsServiceHandler> = {}) => {
    const echo = (request: Kinds): Kinds => {
      received.push(request);
      return request;
    };
    const provider = new RpcProvider(runtime());
    provider.notifyService(wanted, { echo, getNothing: () => ({}), ...own });
    onTestFinished(() => provider.shutdown());
    await provider.start();
    return provider;
  };
  const provider = await start(definition, handlers);
  const channel = new RpcChannel(runtime(), {
    interceptors: [
      (next) => (call) => {
        called.push(call.method.name);
        return next(call);
      },
    ],
    ...options,
  });
  onTestFinished(() => channel.close());
  return { channel, received, called, provider, start };
}

/** A service definition whose descriptor is changed. */
function withDescriptor(change: (file: FileDescriptorProto) => void): typeof KindsService {
  const [own, ...others] = KindsService.descriptors;
  const file = decodeMessage(FileDescriptorProto, own as Uint8Array);
  change(file);
  return { ...KindsService, descriptors: [encodeMessage(FileDescriptorProto, file), ...others] };
}

const describedBy = (file: FileDescriptorProtoInput): Uint8Array => encodeMessage(FileDescriptorProto, file);

const nothingSet = {
  aDouble: 0,
  aFloat: 0,
  anInt32: 0,
  anInt64: "0",
  aUint32: 0,
  aUint64: "0",
  aSint32: 0,
  aSint64: "0",
  aFixed32: 0,
  aFixed64: "0",
  aSfixed32: 0,
  aSfixed64: "0",
  aBool: false,
  aString: "",
  aBytes: "",
  aColor: "NONE",
  manyBytes: [],
  manyParts: [],
  bytesByName: {},
  partsById: {},
};

describe("the JSON mapping", () => {
  test("carries every kind of scalar at its limits, both ways", async () => {
    const { channel, received } = await setup();
    const request = {
      aDouble: 1.7976931348623157e308,
      aFloat: -0.5,
      anInt32: -2147483648,
      anInt64: "-9223372036854775808",
      aUint32: 4294967295,
      aUint64: "18446744073709551615",
      aSint32: 2147483647,
      aSint64: "9223372036854775807",
      aFixed32: 4294967295,
      aFixed64: "18446744073709551615",
      aSfixed32: -2147483648,
      aSfixed64: "-9223372036854775808",
      aBool: true,
      aString: "汉字 \u{1f600}",
      aBytes: "AAH+/w==",
      aColor: "DARK_BLUE",
    };
    expect(await channel.callJson(service, "Echo", request)).toEqual({ ...nothingSet, ...request });
    expect(received[0]).toMatchObject({
      aDouble: Number.MAX_VALUE,
      anInt64: -(2n ** 63n),
      aUint64: 2n ** 64n - 1n,
      aSint64: 2n ** 63n - 1n,
      aString: "汉字 \u{1f600}",
      aBytes: Buffer.from([0, 1, 254, 255]),
      aColor: 2,
    });
  });

  test("takes numbers as text, text forms of floats, enums by number, and null as not set", async () => {
    const { channel } = await setup();
    const request = {
      anInt32: "7",
      anInt64: 8,
      aDouble: "NaN",
      aFloat: "-Infinity",
      aColor: 1,
      aString: null,
    };
    expect(await channel.callJson(service, "Echo", request)).toEqual({
      ...nothingSet,
      ...{ anInt32: 7, anInt64: "8", aDouble: "NaN", aFloat: "-Infinity", aColor: "RED" },
    });
    expect(await channel.callJson(service, "Echo", { aColor: 77 })).toMatchObject({ aColor: 77 });
  });

  test("fills the reply with defaults, except where absence says something", async () => {
    const { channel } = await setup();
    expect(await channel.callJson(service, "Echo", {})).toEqual(nothingSet);
    const some = { anOptional: 0, aPart: {}, byId: "0", maybe: "" };
    expect(await channel.callJson(service, "Echo", some)).toEqual({
      ...nothingSet,
      ...some,
      aPart: { label: "", data: "" },
    });
  });

  test("carries lists, maps, nested messages, oneofs and well-known types", async () => {
    const { channel, received } = await setup();
    const request = {
      manyBytes: ["AA==", ""],
      manyParts: [{ label: "a", data: "", inner: { label: "b", data: "AQ==" } }],
      bytesByName: JSON.parse('{"x": "Ag==", "__proto__": "Aw=="}') as JsonValue,
      partsById: { "-5": { label: "five", data: "" } },
      byName: "zhang san",
      at: "2024-02-29T12:00:00.500Z",
      lasts: "-1.500s",
      facts: { deep: [1, "two", null, { three: true }] },
      maybe: "set",
    };
    const reply = await channel.callJson(service, "Echo", request);
    expect(JSON.parse(JSON.stringify(reply))).toEqual({ ...nothingSet, ...request });
    expect(received[0]?.partsById.get(-5n)?.label).toBe("five");
    expect(received[0]?.at).toEqual({ seconds: 1709208000n, nanos: 500_000_000 });
  });

  test("takes field names as JSON spells them and as the .proto does, and leaves the request as it was", async () => {
    const { channel } = await setup();
    const request = Object.freeze({
      an_int32: 1,
      aUint32: 2,
      by_id: "3",
      a_part: Object.freeze({ data: "AA==" }),
    });
    expect(await channel.callJson(service, "Echo", request)).toMatchObject({
      anInt32: 1,
      aUint32: 2,
      byId: "3",
    });
  });

  test("gives and takes bytes as text when asked, wherever they stand", async () => {
    const { channel, received } = await setup();
    const request = {
      aBytes: "zhang san",
      manyBytes: ["李四"],
      bytesByName: { a: "123456" },
      aPart: { label: "l", data: "d" },
    };
    const reply = await channel.callJson(service, "Echo", request, { bytes: "text" });
    expect(reply).toEqual({ ...nothingSet, ...request });
    expect(received[0]?.bytesByName.get("a")?.toString()).toBe("123456");
  });

  test.each<[JsonValue, string]>([
    [{ aStrin: "x" }, 'test.cli.Kinds has no field "aStrin"; did you mean "aString"?'],
    [{ aPart: { inner: { labl: "x" } } }, 'test.cli.Kinds.Part has no field "labl"; did you mean "label"?'],
    [{ aBytes: "zhang san" }, 'test.cli.Kinds.a_bytes: expected bytes as base64, got "zhang san"'],
    [{ manyBytes: ["AAAAA"] }, 'test.cli.Kinds.many_bytes: expected bytes as base64, got "AAAAA"'],
    [{ anInt32: 2147483648 }, "test.cli.Kinds.an_int32: out of range for int32: 2147483648"],
    [{ anInt32: 1.5 }, "test.cli.Kinds.an_int32: not an integer: 1.5"],
    [{ aUint64: "-1" }, 'test.cli.Kinds.a_uint64: out of range for uint64: "-1"'],
    [{ aBool: "yes" }, 'test.cli.Kinds.a_bool: expected boolean: "yes"'],
    [{ aColor: "PINK" }, 'test.cli.Kinds.a_color: unknown enum value: "PINK"'],
    [{ manyParts: {} }, "test.cli.Kinds.many_parts: expected array: {}"],
    [{ byName: "a", byId: "1" }, "test.cli.Kinds: multiple values for oneof choice"],
    [{ at: "yesterday" }, 'test.cli.Kinds.at: google.protobuf.Timestamp: invalid timestamp: "yesterday"'],
    [["a list"], 'test.cli.Kinds: expected object: ["a list"]'],
    ["text", 'test.cli.Kinds: expected object: "text"'],
  ])("refuses %j", async (request, text) => {
    const { channel, received } = await setup();
    const error = await failure(channel.callJson(service, "Echo", request));
    expect(error.rawMessage).toContain(`the request cannot be encoded: ${text}`);
    expect(error).toMatchObject({ code: Status.INTERNAL, executed: "never", method: `${service}.Echo` });
    expect(received).toHaveLength(0);
  });

  test.each<[JsonInput, string]>([
    [{ anInt64: 2 ** 53 }, "Kinds.an_int64: 9007199254740992 may not be the number that was meant"],
    [{ anInt64: "9007199254740993.0" }, "Kinds.an_int64: 9007199254740992 may not be the number"],
    [{ aSint64: 1e300 }, "Kinds.a_sint64: 1e+300 may not be the number that was meant"],
    [{ byId: Number.NaN }, "Kinds.by_id: expected an integer, got NaN"],
    [{ anInt32: Number.POSITIVE_INFINITY }, "Kinds.an_int32: expected an integer, got Infinity"],
    [{ anInt32: 2n ** 40n }, 'Kinds.an_int32: out of range for int32: "1099511627776"'],
    [{ aUint64: 2n ** 64n }, 'Kinds.a_uint64: out of range for uint64: "18446744073709551616"'],
    [{ aString: 5n }, "Kinds.a_string: expected string, got the number 5"],
    [{ aFloat: 1e39 }, "Kinds.a_float: out of range for float: 1e+39"],
    [{ aDouble: 10n ** 400n }, "is beyond what a double can be"],
    [{ facts: { a: [2n ** 53n + 1n] } }, "Kinds.facts: 9007199254740993 cannot be kept"],
    [{ facts: { a: Number.NaN } }, "Kinds.facts: JSON has no NaN"],
    [{ maybe: 5n }, "Kinds.maybe: expected string, got the number 5"],
    [{ partsById: { "99999999999999999999": {} } }, "out of range for int64 map key"],
  ])("refuses a number that would not arrive as it is: %s", async (request, text) => {
    const { channel, received } = await setup();
    const error = await failure(channel.callJson(service, "Echo", request));
    expect(error.rawMessage).toContain(text);
    expect(received).toHaveLength(0);
  });

  test("carries bigints and what is not finite exactly", async () => {
    const { channel, received } = await setup();
    const request = {
      anInt64: -(2n ** 63n),
      aUint64: 2n ** 64n - 1n,
      anInt32: 5n,
      aDouble: Number.NaN,
      aFloat: Number.NEGATIVE_INFINITY,
      byId: 9007199254740993n,
      facts: { big: 2n ** 60n, __proto__x: undefined },
      aPart: undefined,
    };
    const reply = await channel.callJson(service, "Echo", request);
    expect(reply).toMatchObject({
      anInt64: "-9223372036854775808",
      aUint64: "18446744073709551615",
      anInt32: 5,
      aDouble: "NaN",
      aFloat: "-Infinity",
      byId: "9007199254740993",
      facts: { big: 2 ** 60 },
    });
    expect(received[0]?.choice).toEqual({ case: "byId", value: 9007199254740993n });
  });

  test("refuses a request nested without end instead of overflowing the stack", async () => {
    const { channel } = await setup();
    const deep = JSON.parse(
      `${'{"aPart":'}${'{"inner":'.repeat(50_000)}{}${"}".repeat(50_001)}`,
    ) as JsonValue;
    const error = await failure(channel.callJson(service, "Echo", deep));
    expect(error).toMatchObject({ code: Status.INTERNAL, executed: "never" });
  });
});

describe("where messages come from", () => {
  test("the provider is asked once, and only before the first call", async () => {
    const { channel, called } = await setup();
    await channel.callJson(service, "Echo", { anInt32: 1 });
    await channel.callJson(service, "echo", { anInt32: 2 }, { bytes: "text" });
    await channel.callJson(service, "GetNothing", {});
    expect(called).toEqual(["Describe", "Echo", "Echo", "GetNothing"]);
  });

  test("describe tells the methods", async () => {
    const { channel } = await setup();
    expect(await channel.describe(service)).toEqual([
      {
        ...{ name: "Echo", localName: "echo", idempotency: "unknown", kind: "unary" },
        ...{ input: "test.cli.Kinds", output: "test.cli.Kinds" },
      },
      {
        ...{ name: "GetNothing", localName: "getNothing", idempotency: "no_side_effects", kind: "unary" },
        ...{ input: "test.cli.Nothing", output: "test.cli.Nothing" },
      },
    ]);
  });

  test("given descriptors are used instead, and nobody is asked", async () => {
    const { channel, called } = await setup({ descriptors: await describeProtos([proto]) });
    expect(await channel.callJson(service, "Echo", { aBool: true })).toMatchObject({ aBool: true });
    expect(called).toEqual(["Echo"]);
  });

  test("a provider is asked again when what is remembered does not fit, as after an update", async () => {
    const old = withDescriptor((file) => {
      const kinds = file.messageType.find(({ name }) => name === "Kinds");
      Object.assign(kinds?.field.find(({ name }) => name === "a_string") ?? {}, {
        ...{ name: "before", jsonName: "before" },
      });
    });
    const { channel, called, provider, start } = await setup({}, old);
    await channel.callJson(service, "Echo", { before: "x" });
    await start(KindsService);
    await provider.shutdown();
    expect(await channel.callJson(service, "Echo", { aString: "x" })).toMatchObject({ aString: "x" });
    expect(called).toEqual(["Describe", "Echo", "Echo", "Describe", "Echo"]);
  });

  test("a method the provider has dropped is asked for once more, then told", async () => {
    const { channel, called, provider, start } = await setup();
    await channel.callJson(service, "GetNothing", {});
    const { echo } = KindsService.methods;
    const smaller = {
      ...withDescriptor(({ service }) => service[0]?.method.splice(1)),
      methods: { echo },
    };
    await start(smaller as unknown as typeof KindsService);
    await provider.shutdown();
    const error = await failure(channel.callJson(service, "GetNothing", {}));
    expect(error).toMatchObject({ code: Status.UNIMPLEMENTED, executed: "never" });
    expect(error.rawMessage).toContain('no method "GetNothing"');
    expect(called).toEqual(["Describe", "GetNothing", "GetNothing", "Describe"]);
  });

  test("the first call has one deadline for the question and the call", async () => {
    const { channel } = await setup();
    const error = await failure(channel.callJson(service, "Echo", {}, { timeoutMs: 0 }));
    expect(error).toMatchObject({
      code: Status.DEADLINE_EXCEEDED,
      executed: "never",
      method: `${service}.Echo`,
    });
  });

  test("metadata goes with the call, and its reply's comes back, once", async () => {
    const asked: unknown[] = [];
    const replied: unknown[] = [];
    const { channel } = await setup({}, KindsService, {
      echo: (request, context) => {
        asked.push(context.metadata.toJSON());
        context.replyMetadata.set("cost", "3");
        return request;
      },
    });
    const metadata = { token: "t" };
    await channel.callJson(
      service,
      "Echo",
      {},
      { metadata, onMetadata: (got) => replied.push(got.toJSON()) },
    );
    expect(asked).toEqual([{ token: "t" }]);
    expect(replied).toEqual([{ cost: "3" }]);
  });
});

describe("what cannot be called", () => {
  test("a service nobody offers", async () => {
    const { channel } = await setup();
    const error = await failure(channel.callJson("test.cli.Nobody", "Echo", {}));
    expect(error).toMatchObject({
      ...{ code: Status.UNAVAILABLE, executed: "never", method: "test.cli.Nobody.Echo" },
    });
    expect(error.rawMessage).toMatch(/^no provider of test\.cli\.Nobody in registry \S+$/);
  });

  test("a service by its short name: asks for the full one", async () => {
    const { channel } = await setup();
    const short = service.slice(service.lastIndexOf(".") + 1);
    const error = await failure(channel.callJson(short, "Echo", {}));
    expect(error).toMatchObject({ code: Status.UNAVAILABLE, executed: "never" });
    expect(error.rawMessage).toMatch(
      new RegExp(
        `^no provider of ${short} in registry \\S+; if it is in a package, give its full name: PACKAGE\\.${short}$`,
      ),
    );
  });

  test("a method the service does not have", async () => {
    const { channel } = await setup();
    const error = await failure(channel.callJson(service, "Ecko", {}));
    expect(error).toMatchObject({ code: Status.UNIMPLEMENTED, executed: "never" });
    expect(error.rawMessage).toBe(`${service} has no method "Ecko"; did you mean "Echo"?`);
  });

  test("a service of no descriptors", async () => {
    const { channel } = await setup({}, { ...KindsService, descriptors: [] });
    const error = await failure(channel.callJson(service, "Echo", {}));
    expect(error).toMatchObject({ code: Status.UNIMPLEMENTED, executed: "never" });
    expect(error.rawMessage).toContain("does not tell its messages");
  });

  test.each([
    ["no descriptor", Buffer.from("{}")],
    ["a name no .proto can hold", describedBy({ messageType: [{ name: "a b" }] })],
    [
      "a type that is not there",
      describedBy({
        messageType: [{ name: "A", field: [{ name: "b", number: 1, type: 11, typeName: ".B" }] }],
      }),
    ],
  ])("a service described by %s", async (_, descriptor) => {
    const { channel } = await setup({}, { ...KindsService, descriptors: [descriptor] });
    const error = await failure(channel.callJson(service, "Echo", {}));
    expect(error).toMatchObject({ code: Status.INTERNAL, executed: "never", method: `${service}.Echo` });
    expect(error.rawMessage).toContain(`the description of ${service} cannot be used`);
  });

  test("given descriptors that are none, and a bad form of bytes", async () => {
    const { channel } = await setup({ descriptors: [Buffer.from("{}")] });
    const error = await failure(channel.callJson(service, "Echo", {}));
    expect(error).toMatchObject({ code: Status.INTERNAL, executed: "never" });
    expect(error.rawMessage).toContain('option "descriptors"');
    // @ts-expect-error: what a caller without types may pass.
    const form = await failure(channel.callJson(service, "Echo", {}, { bytes: "hex" }));
    expect(form.rawMessage).toBe('bytes: expected "base64" or "text", got "hex"');
  });

  test("a classic provider, which cannot be asked; with descriptors it can be called", async () => {
    const transport = tcpTransport(systemClock);
    const serving = createRuntime({ transport });
    const provider = new RpcProvider(serving).notifyService(KindsService, {
      echo: (request) => request,
      getNothing: () => ({}),
    });
    const { port } = await provider.start();
    const registry = openRegistry(`static://127.0.0.1:${port}?protocol=classic`);
    const calling = createRuntime({ transport, registry });
    const bare = new RpcChannel(calling);
    const knowing = new RpcChannel(calling, { descriptors: KindsService.descriptors });
    onTestFinished(async () => {
      await Promise.all([bare.close(), knowing.close(), provider.shutdown()]);
      await Promise.all([calling.close(), serving.close()]);
    });

    const error = await failure(bare.callJson(service, "Echo", {}));
    expect(error).toMatchObject({ code: Status.UNIMPLEMENTED, executed: "never", method: `${service}.Echo` });
    expect(error.rawMessage).toContain("only classic providers");
    expect(error.rawMessage).toContain("--proto");
    expect(await knowing.callJson(service, "Echo", { aString: "classic" })).toMatchObject({
      aString: "classic",
    });
  });
});
