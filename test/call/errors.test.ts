import { describe, expect, test } from "vitest";
import { Metadata } from "../../src/base/metadata.js";
import type { CallContext } from "../../src/call/context.js";
import { RpcError } from "../../src/error/rpc-error.js";
import { Status, type StatusCode, statusName } from "../../src/error/status.js";
import { Duration as durations } from "../cli/gen/google/protobuf/duration.js";
import { failure } from "../support/async.js";
import { startPair } from "../support/cluster.js";
import { Blob, ProbeServiceStub } from "../support/gen/probe.js";
import { wheelOf } from "../support/wheel.js";

/** A pair whose `echo` ends as `outcome` says, and the error the caller sees. */
async function failingPair(outcome: (context: CallContext) => unknown) {
  const pair = await startPair({ handlers: { echo: (_, context) => outcome(context) as object } });
  const error = await failure(pair.stub.echo({ text: "x" }));
  // Whatever happened, the provider lives on, nothing is left in flight, and the connection is good for more.
  expect((await pair.stub.relay({ text: "alive" })).text).toBe("alive");
  expect(pair.provider.inFlight).toBe(0);
  expect(wheelOf(pair.providerRuntime).size).toBe(0);
  return { ...pair, error };
}

const throwing = (thrown: unknown) => () => {
  throw thrown;
};

describe("what a handler throws", () => {
  const codes = Object.values(Status).filter((code) => code !== Status.OK);

  test.each(codes.map((code) => [statusName(code), code] as const))(
    "RpcError %s reaches the caller as it is",
    async (name, code) => {
      const { error } = await failingPair(throwing(new RpcError(code, `because of ${name}`)));
      expect(error).toMatchObject({
        code,
        codeName: name,
        rawMessage: `because of ${name}`,
        executed: "yes",
      });
      expect(error.message.startsWith(`[${name.toLowerCase()}] because of ${name} (`)).toBe(true);
    },
  );

  test("a rejected promise is the same as a throw", async () => {
    const { error } = await failingPair(() => Promise.reject(new RpcError(Status.NOT_FOUND, "no such user")));
    expect(error).toMatchObject({ codeName: "NOT_FOUND", rawMessage: "no such user", executed: "yes" });
  });

  test("details are messages of a type, found by it at the caller", async () => {
    const details = [
      RpcError.detail(Blob, { text: "first" }),
      RpcError.detail(durations, { seconds: 5n }),
      RpcError.detail(Blob, { text: "second" }),
    ];
    const { error } = await failingPair(throwing(new RpcError(Status.ABORTED, "again", { details })));
    expect(error.findDetails(Blob).map(({ text }) => text)).toEqual(["first", "second"]);
    expect(error.findDetails(durations)).toEqual([{ seconds: 5n, nanos: 0 }]);
    const prefixed = { type: `type.googleapis.com/${Blob.typeName}`, value: Buffer.alloc(0) };
    expect(new RpcError(Status.ABORTED, "", { details: [prefixed] }).findDetails(Blob)).toHaveLength(1);
    const broken = { type: Blob.typeName, value: Buffer.from([255]) };
    expect(() => new RpcError(Status.ABORTED, "", { details: [broken] }).findDetails(Blob)).toThrow();
  });

  test("details and metadata of the error arrive, text and binary", async () => {
    const metadata = new Metadata({ "retry-after": "7", "trace-bin": Buffer.from([0, 255]) });
    const details = [
      { type: "probe.Info", value: Buffer.from("abc") },
      { type: "probe.Empty", value: Buffer.alloc(0) },
    ];
    const { error } = await failingPair(
      throwing(new RpcError(Status.ABORTED, "again", { details, metadata })),
    );
    expect(error.details).toEqual(details);
    expect([...(error.metadata ?? [])]).toEqual([
      ["retry-after", "7"],
      ["trace-bin", Buffer.from([0, 255])],
    ]);
  });

  test("metadata set on the context go with a failure too", async () => {
    const { error } = await failingPair((context) => {
      context.replyMetadata.set("shard", "3");
      throw new RpcError(Status.ABORTED, "again");
    });
    expect(error.metadata?.get("shard")).toBe("3");
  });

  test.each([
    ["an Error", new Error("password is hunter2")],
    ["a TypeError", new TypeError("password is hunter2")],
    ["a string", "password is hunter2"],
    ["undefined", undefined],
    ["null", null],
    ["a number", 7],
    ["an object without prototype", Object.create(null)],
    ["a symbol", Symbol("password")],
    [
      "an Error whose message throws",
      Object.defineProperty(new Error("x"), "message", {
        get() {
          throw new Error("no message");
        },
      }),
    ],
  ])("%s is UNKNOWN with a generic text, and the log has the reason", async (_, thrown) => {
    const { error, log } = await failingPair(throwing(thrown));
    expect(error).toMatchObject({ codeName: "UNKNOWN", executed: "yes", details: [] });
    expect(error.rawMessage).toBe("the handler failed; the provider's log has the reason");
    expect(error.message).not.toContain("hunter2");
    const lines = log.lines.filter(({ level }) => level === "error");
    expect(lines).toHaveLength(1);
    expect(lines[0]?.text).toMatch(/^probe\.ProbeService\.Echo failed: /);
    if (thrown instanceof Error && !Object.hasOwn(thrown, "message"))
      expect(lines[0]?.text).toContain("hunter2");
    expect(lines[0]?.fields).toMatchObject({ peer: expect.stringMatching(/:/) });
  });

  test("an RpcError it made is no fault of the provider: nothing at level error", async () => {
    const { log } = await failingPair(throwing(new RpcError(Status.NOT_FOUND, "no such user")));
    expect(log.at("error")).toEqual([]);
  });

  test.each([
    ["OK", Status.OK],
    ["a number outside the set", 99 as StatusCode],
    ["no number", "busy" as unknown as StatusCode],
    ["undefined", undefined as unknown as StatusCode],
  ])(
    "an RpcError whose code is %s cannot be made, and one that was changed so fails the call as UNKNOWN",
    async (_, code) => {
      expect(() => new RpcError(code, "what now")).toThrow(
        /^RpcError: expected a code of Status but OK, got /,
      );
      const { error } = await failingPair(
        throwing(Object.assign(new RpcError(Status.ABORTED, "what now"), { code })),
      );
      expect(error).toMatchObject({ codeName: "UNKNOWN", executed: "yes" });
    },
  );

  test.each([
    ["details that are no bytes", { details: [{ type: "x", value: "text" as never }] }],
    ["a detail without type", { details: [{ type: undefined as never, value: Buffer.alloc(1) }] }],
    ["details that are no list", { details: { length: 1 } as never }],
    ["metadata of the wrong kind", { metadata: { a: "b" } as never }],
  ])("an RpcError with %s still fails the call with its code", async (_, options) => {
    const { error } = await failingPair(throwing(new RpcError(Status.ABORTED, "again", options)));
    expect(error).toMatchObject({ codeName: "ABORTED", executed: "yes" });
    expect(error.rawMessage).toMatch(/^again/);
  });

  test("an RpcError whose message is no text still fails the call with its code", async () => {
    const { error } = await failingPair(throwing(new RpcError(Status.ABORTED, 7 as never)));
    expect(error).toMatchObject({ codeName: "ABORTED", executed: "yes" });
  });

  test("details and metadata over the header's limit are left out, the code and the text are not", async () => {
    const details = [{ type: "big", value: Buffer.alloc(100_000) }];
    const { error } = await failingPair(throwing(new RpcError(Status.ABORTED, "again", { details })));
    expect(error).toMatchObject({ codeName: "ABORTED", executed: "yes", details: [] });
    expect(error.rawMessage).toBe("again (details and metadata left out: over limits.header)");
  });

  test("an endless text is cut", async () => {
    const { error } = await failingPair(throwing(new RpcError(Status.ABORTED, "x".repeat(1 << 20))));
    expect(error.codeName).toBe("ABORTED");
    expect(error.rawMessage.length).toBeLessThan(2048);
  });
});

describe("what a handler returns", () => {
  test.each([
    ["undefined", undefined],
    ["null", null],
    ["a string", "hello"],
    ["a number", 7],
    ["a field of the wrong kind", { text: 7 }],
    ["a number out of range", { number: 2 ** 40 }],
    [
      "a getter that throws",
      {
        get text(): string {
          throw new Error("lazy");
        },
      },
    ],
  ])("%s: INTERNAL, executed yes, without the reason", async (_, returned) => {
    const { error, log } = await failingPair(() => returned);
    expect(error).toMatchObject({ codeName: "INTERNAL", executed: "yes" });
    expect(error.rawMessage).toBe(
      "the handler's reply cannot be encoded as probe.Blob; the provider's log has the reason",
    );
    expect(log.at("error")).toHaveLength(1);
  });

  test("an RpcError: INTERNAL, and the log says to throw it", async () => {
    // Its `text` and `number` are a Blob's: it would be a success.
    const returned = Object.assign(new RpcError(Status.NOT_FOUND, "nobody"), { text: "x", number: 1 });
    const { error, log } = await failingPair(() => returned);
    expect(error).toMatchObject({ codeName: "INTERNAL", executed: "yes" });
    const line = log.lines.find(({ level }) => level === "error");
    expect(`${line?.text} ${String(line?.fields?.error)}`).toContain(
      "Blob: expected a message (an object), got RpcError: throw it instead of returning it",
    );
  });

  test("a reply whose `then` throws when looked at", async () => {
    const { error } = await failingPair(() =>
      // biome-ignore lint/suspicious/noThenProperty: a broken thenable is what is tested.
      Object.defineProperty({}, "then", {
        get() {
          throw new Error("do not look");
        },
      }),
    );
    expect(error).toMatchObject({ codeName: "UNKNOWN", executed: "yes" });
  });

  test("a thenable that settles twice and then throws is answered once", async () => {
    const { stub, provider } = await startPair({
      handlers: {
        echo: () =>
          ({
            // biome-ignore lint/suspicious/noThenProperty: a broken thenable is what is tested.
            then(give: (value: object) => void, fail: (error: Error) => void) {
              give({ text: "first" });
              give({ text: "second" });
              fail(new Error("third"));
              throw new Error("fourth");
            },
          }) as never,
      },
    });
    expect((await stub.echo({})).text).toBe("first");
    expect(provider.inFlight).toBe(0);
  });
});

describe("nested calls", () => {
  test("another call's failure is UNKNOWN to this caller: its text and code stay inside", async () => {
    const { cluster, channel, stub, log } = await startPair({
      handlers: {
        echo: () => {
          throw new RpcError(Status.PERMISSION_DENIED, "inner secret");
        },
        relay: async (request) => inner.echo(request),
      },
    });
    const inner = new ProbeServiceStub(cluster.channel());
    const error = await failure(stub.relay({}));
    expect(error).toMatchObject({ codeName: "UNKNOWN", executed: "yes" });
    expect(error.message).not.toContain("secret");
    expect(error.method).toBe("probe.ProbeService.Relay");
    expect(log.at("error").join()).toContain("inner secret");
    expect(channel).toBeDefined();
  });

  test("a handler that makes an error of its own from it is taken at its word", async () => {
    const { cluster, stub } = await startPair({
      handlers: {
        echo: () => {
          throw new RpcError(Status.NOT_FOUND, "inner");
        },
        relay: async (request) => {
          try {
            return await inner.echo(request);
          } catch (error) {
            throw new RpcError(Status.FAILED_PRECONDITION, "no account", { cause: error });
          }
        },
      },
    });
    const inner = new ProbeServiceStub(cluster.channel());
    expect(await failure(stub.relay({}))).toMatchObject({
      codeName: "FAILED_PRECONDITION",
      rawMessage: "no account",
    });
  });
});

test("the text of an error names method, endpoint, phase, elapsed time and attempts", async () => {
  const { stub, provider, clock } = await startPair({
    handlers: {
      echo() {
        clock.advance(12.5);
        throw new RpcError(Status.ABORTED, "again");
      },
    },
  });
  const error = await failure(stub.echo({}));
  const port = provider.address?.port;
  expect(error.message).toBe(
    `[aborted] again (probe.ProbeService.Echo at 127.0.0.1:${port}, phase handle, after 12.5 ms, 1 attempt)`,
  );
  expect(error).toMatchObject({
    method: "probe.ProbeService.Echo",
    endpoint: `127.0.0.1:${port}`,
    phase: "handle",
    elapsedMs: 12.5,
    attempts: 1,
  });
  expect(error.stack).toContain(error.message);
});
