// What users' functions do to a provider that calls them: each throws, rejects, and with anything.

import { describe, expect, test } from "vitest";
import type { ServerInterceptor } from "../../src/call/interceptor.js";
import { RpcError } from "../../src/error/rpc-error.js";
import { Status } from "../../src/error/status.js";
import { settle } from "../../src/testing/index.js";
import { failure } from "../support/async.js";
import { type Pair, startPair } from "../support/cluster.js";
import { wheelOf } from "../support/wheel.js";
import { failures, garbage, untouchable } from "./garbage.js";
import { expectNoUnhandled } from "./unhandled.js";

expectNoUnhandled();

/** The next call works, and nothing of the broken one is left. */
async function stillServes({ stub, provider, providerRuntime, log }: Pair): Promise<void> {
  expect((await stub.relay({ text: "next" })).text).toBe("next");
  await settle();
  expect([provider.inFlight, wheelOf(providerRuntime).size]).toEqual([0, 0]);
  expect(log.at("fatal")).toEqual([]);
}

const unknown = { codeName: "UNKNOWN", executed: "yes" };
const text = "the handler failed; the provider's log has the reason";

describe("a handler", () => {
  test.each(failures)("that %s", async (_, fail) => {
    const pair = await startPair({ handlers: { echo: fail } });
    const error = await failure(pair.stub.echo({}));
    expect(error).toMatchObject({ ...unknown, rawMessage: text });
    expect(pair.log.at("error")).toEqual([expect.stringMatching(/^probe\.ProbeService\.Echo failed: /)]);
    await stillServes(pair);
  });

  test.each(garbage)("that answers with %s", async (name, message) => {
    const pair = await startPair({ handlers: { echo: () => message as never } });
    const call = pair.stub.echo({});
    // Objects without fields that are known are empty messages.
    if (name.endsWith("object") || name.endsWith("prototype")) await call;
    else expect(await failure(call)).toMatchObject({ executed: "yes" });
    await stillServes(pair);
  });

  test.each([
    ["a text for a code", () => Object.assign(new RpcError(Status.NOT_FOUND, "x"), { code: "5" })],
    ["no message", () => new RpcError(Status.NOT_FOUND, undefined as never)],
    [
      "a symbol for a message",
      () => Object.assign(new RpcError(Status.NOT_FOUND, "x"), { rawMessage: Symbol("m") }),
    ],
    [
      "odd details",
      () => new RpcError(Status.NOT_FOUND, "x", { details: [null, { type: 1, value: "x" }] as never }),
    ],
    ["details that throw", () => new RpcError(Status.NOT_FOUND, "x", { details: [untouchable()] as never })],
    ["untouchable details", () => new RpcError(Status.NOT_FOUND, "x", { details: untouchable() as never })],
    ["untouchable metadata", () => new RpcError(Status.NOT_FOUND, "x", { metadata: untouchable() as never })],
    [
      "an untouchable text",
      () => Object.assign(new RpcError(Status.NOT_FOUND, "x"), { rawMessage: untouchable() }),
    ],
    [
      "a with() that throws",
      () =>
        Object.assign(new RpcError(Status.NOT_FOUND, "x"), {
          with: () => {
            throw 1;
          },
        }),
    ],
    ["a stack that is none", () => Object.assign(new RpcError(Status.NOT_FOUND, "x"), { stack: 7 })],
    [
      "metadata of its own making",
      () => new RpcError(Status.NOT_FOUND, "x", { metadata: { "x-a": 1 } as never }),
    ],
  ])("that throws an RpcError with %s", async (_, make) => {
    const pair = await startPair({
      handlers: {
        echo: () => {
          throw make();
        },
      },
    });
    expect(await failure(pair.stub.echo({}))).toMatchObject({ executed: "yes" });
    await stillServes(pair);
  });

  test("that throws after its answer, in the callbacks it left behind", async () => {
    const pair = await startPair({
      handlers: {
        echo(_request, { controller, replyMetadata }) {
          controller.notifyOnCancel(() => {
            replyMetadata.set("x-late", "1");
            throw undefined;
          });
          controller.notifyOnCancel(async () => {
            throw new Error("late");
          });
          return { text: "answered" };
        },
      },
    });
    expect((await pair.stub.echo({})).text).toBe("answered");
    await settle();
    expect(pair.log.at("error")).toEqual([
      "a notifyOnCancel callback of probe.ProbeService.Echo threw: undefined",
      "a notifyOnCancel callback of probe.ProbeService.Echo threw: late",
    ]);
    await stillServes(pair);
  });
});

const hooks: ReadonlyArray<readonly [string, (fail: () => never) => ServerInterceptor, started: boolean]> = [
  ["before next", (fail) => () => fail, false],
  [
    "before next, later",
    (fail) => () => async () => {
      await settle();
      return fail();
    },
    false,
  ],
  [
    "after next",
    (fail) => (next) => async (call) => {
      await next(call);
      return fail();
    },
    true,
  ],
  ["when next failed", (fail) => (next) => (call) => next(call).then(fail, fail), true],
];

describe.each(hooks)("a server interceptor %s", (_, make, started) => {
  test.each(failures)("that %s", async (__, fail) => {
    const interceptor: ServerInterceptor = (next) => {
      const broken = make(fail)(next);
      return (call) => (call.method.name === "Echo" ? broken(call) : next(call));
    };
    const pair = await startPair({ serverInterceptors: [interceptor] });
    const error = await failure(pair.stub.echo({}));
    expect(error).toMatchObject({
      codeName: "UNKNOWN",
      executed: started ? "yes" : "never",
      rawMessage: text,
    });
    expect(pair.log.at("error")).toHaveLength(1);
    await stillServes(pair);
  });
});

describe("notifyOnCancel in a handler that was cancelled", () => {
  test.each(failures)("%s", async (_, fail) => {
    let told = 0;
    const pair = await startPair({
      handlers: {
        echo: (_request, { controller }) => {
          controller.notifyOnCancel(fail);
          controller.notifyOnCancel(() => told++);
          return new Promise(() => {});
        },
      },
    });
    const abort = new AbortController();
    const call = failure(pair.stub.echo({}, { signal: abort.signal }));
    await settle();
    abort.abort();
    expect((await call).codeName).toBe("CANCELLED");
    await settle();
    expect(told).toBe(1);
    expect(pair.log.at("error")).toEqual([expect.stringContaining("a notifyOnCancel callback of")]);
    await stillServes(pair);
  });
});

describe.each(["serverStart", "serverEnd", "connectionOpen", "connectionClose"] as const)(
  "a listener of %s",
  (event) => {
    test.each(failures)("that %s", async (_, fail) => {
      const pair = await startPair({ handlers: null });
      let told = 0;
      pair.providerRuntime.events.on(event, fail);
      pair.providerRuntime.events.on(event, () => void told++);
      await pair.provider.start();
      expect((await pair.stub.echo({ text: "x" })).text).toBe("x");
      await stillServes(pair);
      await pair.channel.close();
      await settle();
      expect(told).toBeGreaterThan(0);
      expect(pair.log.at("error")).toEqual(new Array(told).fill(`a listener of ${event} threw`));
    });
  },
);
