// What users' functions do to a caller that calls them: each throws, rejects, and with anything.

import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, test } from "vitest";
import { RpcController } from "../../src/call/controller.js";
import type { ClientInterceptor } from "../../src/call/interceptor.js";
import { settle } from "../../src/testing/index.js";
import { failure } from "../support/async.js";
import { type Pair, startPair } from "../support/cluster.js";
import { ProbeService, type ProbeServiceHandler } from "../support/gen/probe.js";
import { wheelOf } from "../support/wheel.js";
import { failures, garbage, untouchable } from "./garbage.js";
import { expectNoUnhandled } from "./unhandled.js";

expectNoUnhandled();

/** The next call works, and nothing of the broken one is left. */
async function stillCalls({ stub, provider, runtime }: Pair): Promise<void> {
  expect((await stub.relay({ text: "next" })).text).toBe("next");
  await settle();
  expect([provider.inFlight, wheelOf(runtime).size]).toEqual([0, 0]);
}

const hooks: ReadonlyArray<readonly [string, (fail: () => never) => ClientInterceptor, ran: boolean]> = [
  ["before next", (fail) => () => fail, false],
  ["before next, later", (fail) => () => async () => settle().then(fail), false],
  ["after next", (fail) => (next) => async (call) => next(call).then(fail), true],
];

describe.each(hooks)("a client interceptor %s", (_, make, ran) => {
  test.each(failures)("that %s", async (__, fail) => {
    const interceptor: ClientInterceptor = (next) => {
      const broken = make(fail)(next);
      return (call) => (call.method.name === "Echo" ? broken(call) : next(call));
    };
    const pair = await startPair({ clientInterceptors: [interceptor] });
    const error = await failure(pair.stub.echo({}));
    expect(error).toMatchObject({ codeName: "UNKNOWN", executed: ran ? "maybe" : "never" });
    expect(error.rawMessage).toMatch(/^client interceptor "interceptor" threw: /);
    await stillCalls(pair);
  });
});

test.each(garbage)("a client interceptor that answers with %s", async (_, reply) => {
  const interceptor: ClientInterceptor = (next) => (call) =>
    call.method.name === "Echo" ? (reply as never) : next(call);
  const pair = await startPair({ clientInterceptors: [interceptor] });
  const error = await failure(pair.stub.echo({}, { onMetadata: () => {} }));
  expect(error).toMatchObject({ codeName: "UNKNOWN", executed: "never" });
  await stillCalls(pair);
});

const answers: Partial<ProbeServiceHandler> = {
  echo(request, { replyMetadata }) {
    replyMetadata.set("x-there", "1");
    return request;
  },
};

describe.each([false, true])("onMetadata, with an interceptor: %s", (intercepted) => {
  test.each(failures)("that %s", async (_, fail) => {
    const pair = await startPair({
      handlers: answers,
      clientInterceptors: intercepted ? [(next) => next] : [],
    });
    expect((await pair.stub.echo({ text: "x" }, { onMetadata: fail })).text).toBe("x");
    await settle();
    expect(pair.log.at("error")).toEqual(["a caller's onMetadata threw"]);
    await stillCalls(pair);
  });
});

describe.each(["finished", "cancelled"])("a notifyOnCancel of a call that %s", (end) => {
  test.each(failures)("%s", async (_, fail) => {
    const pair = await startPair();
    const controller = new RpcController();
    let told = 0;
    controller.notifyOnCancel(fail);
    controller.notifyOnCancel(() => void told++);
    const call = pair.stub.echo({ text: "x" }, controller);
    if (end === "cancelled") controller.startCancel();
    await call;
    await settle();
    expect([told, controller.isCanceled()]).toEqual([1, end === "cancelled"]);
    expect(pair.log.at("error")).toEqual(["a notifyOnCancel callback threw"]);
    await stillCalls(pair);
  });
});

describe.each(["clientStart", "clientEnd", "connectionOpen", "connectionClose"] as const)(
  "a listener of %s",
  (event) => {
    test.each(failures)("that %s", async (_, fail) => {
      const pair = await startPair();
      let told = 0;
      pair.runtime.events.on(event, fail);
      pair.runtime.events.on(event, () => void told++);
      expect((await pair.stub.echo({ text: "x" })).text).toBe("x");
      await stillCalls(pair);
      await pair.channel.close();
      await settle();
      expect(told).toBeGreaterThan(0);
      expect(pair.log.at("error")).toEqual(new Array(told).fill(`a listener of ${event} threw`));
    });
  },
);

test.each(failures)("a listener of attemptEnd that %s", async (_, fail) => {
  const pair = await startPair();
  pair.runtime.events.on("attemptEnd", fail);
  await pair.stub.echo({});
  const old = pair.provider;
  const stopping = old.shutdown();
  await pair.clock.run(2000);
  await stopping;
  await pair.cluster.provider();
  expect((await pair.stub.echo({ text: "there" }, { waitForReady: true })).text).toBe("there");
});

/** Each of its properties throws this when it is read. */
function throwing(names: readonly string[], thrown: unknown): object {
  const getters = names.map((name) => [name, { enumerable: true, get: () => void raise(thrown) }]);
  return Object.defineProperties({}, Object.fromEntries(getters));
}

function raise(thrown: unknown): never {
  throw thrown;
}

describe.each([
  ["a request", (pair: Pair, bad: object) => pair.stub.echo(bad), ["text", "number"]],
  [
    "options",
    (pair: Pair, bad: object) => pair.channel.call(ProbeService.methods.echo, {}, bad),
    ["timeoutMs", "signal"],
  ],
  ["metadata", (pair: Pair, bad: object) => pair.stub.echo({}, { metadata: bad as never }), ["x-a"]],
  [
    "a signal",
    (pair: Pair, bad: object) => pair.stub.echo({}, { signal: bad as never }),
    ["aborted", "addEventListener"],
  ],
  [
    "JSON",
    (pair: Pair, bad: object) => pair.channel.callJson(ProbeService.typeName, "Echo", bad as never),
    ["text"],
  ],
] as const)("%s that cannot be read", (_, call, names) => {
  test.each(garbage)("throws %s", async (__, thrown) => {
    const pair = await startPair();
    expect((await failure(call(pair, throwing(names, thrown)))).executed).toBe("never");
    await stillCalls(pair);
  });

  test("throws whatever is done to it", async () => {
    const pair = await startPair();
    expect((await failure(call(pair, untouchable()))).executed).toBe("never");
    await stillCalls(pair);
  });
});

test("the caller's async context is its own again, also when the call fails or an interceptor throws", async () => {
  const storage = new AsyncLocalStorage<string>();
  const seen: unknown[] = [];
  const look: ClientInterceptor = (next) => async (call) => {
    seen.push(storage.getStore());
    if (call.metadata.has("x-break")) raise("broken");
    return next(call);
  };
  const pair = await startPair({ clientInterceptors: [look], handlers: { echo: () => raise(undefined) } });
  const one = async (metadata: Record<string, string>): Promise<unknown> => {
    await failure(pair.stub.echo({}, { metadata }));
    return storage.getStore();
  };
  const after = await Promise.all([
    storage.run("a", () => one({})),
    storage.run("b", () => one({ "x-break": "1" })),
  ]);
  expect([seen, after, storage.getStore()]).toEqual([["a", "b"], ["a", "b"], undefined]);
});
