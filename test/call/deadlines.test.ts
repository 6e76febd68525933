import { describe, expect, test } from "vitest";
import type { CallContext } from "../../src/call/context.js";
import type { RpcError } from "../../src/error/rpc-error.js";
import { settle } from "../../src/testing/index.js";
import { deferred, failure, seeded } from "../support/async.js";
import { startPair } from "../support/cluster.js";
import { type Blob, ProbeServiceStub } from "../support/gen/probe.js";

/** A pair whose `echo` runs until the test says so. */
async function slowPair(options: Parameters<typeof startPair>[0] = {}) {
  const entered = deferred<CallContext>("the handler");
  const release = deferred<void>("the release");
  const pair = await startPair({
    ...options,
    handlers: {
      async echo(request, context) {
        entered.resolve(context);
        await release.promise;
        return request;
      },
      ...options.handlers,
    },
  });
  return { ...pair, entered, release };
}

describe("a deadline", () => {
  test("is 5 s unless the conf says otherwise", async () => {
    const { stub, clock, entered, provider } = await slowPair();
    const call = failure(stub.echo({}));
    const context = await entered.promise;
    expect(context.timeLeftMs()).toBe(5000);
    await clock.run(4990);
    expect(context.signal.aborted).toBe(false);
    await clock.run(20);
    const error = await call;
    expect(error).toMatchObject({ codeName: "DEADLINE_EXCEEDED", executed: "maybe", attempts: 1 });
    expect(error.elapsedMs).toBeGreaterThanOrEqual(5000);
    expect(error.elapsedMs).toBeLessThanOrEqual(5008);
    expect(context.signal.aborted).toBe(true);
    expect(context.signal.reason).toMatchObject({ codeName: "DEADLINE_EXCEEDED" });
    expect(context.controller.isCanceled()).toBe(true);
    expect(context.timeLeftMs()).toBe(0);
    expect(provider.inFlight).toBe(0);
  });

  test("of the settings, of the channel, of the call: the nearest to the call wins", async () => {
    const { cluster, stub } = await startPair({
      settings: { callTimeoutMs: 3000 },
      handlers: { echo: (_, context) => ({ number: context.timeLeftMs() }) },
    });
    expect((await stub.echo({})).number).toBe(3000);
    const channel = new ProbeServiceStub(cluster.channel({ timeoutMs: 2000 }));
    expect((await channel.echo({})).number).toBe(2000);
    expect((await channel.echo({}, { timeoutMs: 1000 })).number).toBe(1000);
  });

  test("Infinity asks for none", async () => {
    const { stub, clock, entered, release, providerRuntime } = await slowPair();
    const call = stub.echo({ text: "patient" }, { timeoutMs: Infinity });
    const context = await entered.promise;
    expect(context.timeLeftMs()).toBe(Infinity);
    expect(providerRuntime.wheel.size).toBe(0);
    await clock.run(30_000);
    expect(context.signal.aborted).toBe(false);
    release.resolve();
    expect((await call).text).toBe("patient");
  });

  test("farther than the wire can say does not come round", async () => {
    const { stub } = await startPair({
      handlers: { echo: (_, context) => ({ text: String(context.timeLeftMs()) }) },
    });
    const { text } = await stub.echo({}, { timeoutMs: 2 ** 32 + 5 });
    expect(Number(text)).toBeGreaterThan(2 ** 31);
  });

  test.each([0, -1, -Infinity])("of %d ms fails here, executed never", async (timeoutMs) => {
    const { stub, provider } = await startPair();
    const error = await failure(stub.echo({}, { timeoutMs }));
    expect(error).toMatchObject({ codeName: "DEADLINE_EXCEEDED", executed: "never", attempts: 0 });
    expect(error.rawMessage).toBe(`timeoutMs is ${timeoutMs}: there is no time for the call`);
    expect(provider.connections).toBe(0);
  });

  test.each([Number.NaN, "500" as never, null as never])("of %s is refused", async (timeoutMs) => {
    const { stub } = await startPair();
    if (timeoutMs === null) return expect((await stub.echo({}, { timeoutMs })).text).toBe("");
    const error = await failure(stub.echo({}, { timeoutMs }));
    expect(error).toMatchObject({ executed: "never" });
    expect(error.rawMessage).toContain("timeoutMs: expected milliseconds");
  });

  test("travels rounded down, less the time already gone", async () => {
    const { stub, clock } = await startPair({
      handlers: { echo: (_, context) => ({ number: context.timeLeftMs() }) },
    });
    const call = stub.echo({}, { timeoutMs: 100.9 });
    // The connection is still being made.
    clock.advance(50.5);
    expect((await call).number).toBe(50);
  });

  test("less than a whole millisecond away is not sent any more", async () => {
    const { stub, clock } = await startPair();
    await stub.echo({});
    const call = failure(stub.echo({}, { timeoutMs: 0.9 }));
    expect(await call).toMatchObject({ codeName: "DEADLINE_EXCEEDED", executed: "never" });
    expect(clock.now()).toBe(1_000_000);
  });

  test("that passes while connecting: executed never", async () => {
    const { cluster, clock } = await startPair({ handlers: null });
    cluster.network.listen({ host: "127.0.0.1", port: 7 }, () => {});
    const never = { ...cluster.network, connect: () => new Promise<never>(() => {}) };
    const runtime = cluster.runtime({ transport: never as never });
    await runtime.registry.register({
      service: "probe.ProbeService",
      methods: [],
      address: { host: "127.0.0.1", port: 7 },
    });
    const call = failure(new ProbeServiceStub(cluster.channel({}, runtime)).echo({}, { timeoutMs: 500 }));
    await clock.run(510);
    const error = await call;
    expect(error).toMatchObject({ codeName: "DEADLINE_EXCEEDED", executed: "never", phase: "connect" });
    expect(error.rawMessage).toBe("no reply within 500 ms (timeoutMs, calltimeout)");
  });

  test("a reply that comes too late meets nobody, and its number serves the next call", async () => {
    const { stub, clock, entered, release } = await slowPair();
    const call = failure(stub.echo({ text: "late" }, { timeoutMs: 100 }));
    await entered.promise;
    await clock.run(110);
    expect((await call).codeName).toBe("DEADLINE_EXCEEDED");
    const next = stub.relay({ text: "next" });
    release.resolve();
    expect((await next).text).toBe("next");
  });

  test("a handler that answers after its own deadline is not heard", async () => {
    const { stub, clock, entered, release, log } = await slowPair();
    const call = failure(stub.echo({ text: "late" }, { timeoutMs: 100 }));
    await entered.promise;
    clock.advance(110);
    release.resolve();
    expect((await call).codeName).toBe("DEADLINE_EXCEEDED");
    await settle();
    expect(log.at("error")).toEqual([]);
  });
});

describe("nested calls", () => {
  async function chain() {
    const entered = deferred<CallContext>("the inmost handler");
    const nested = deferred<RpcError>("the nested call's failure");
    const times: number[] = [];
    const pair = await startPair({
      handlers: {
        // relay -> note -> echo, each through the caller's stub, as a handler would.
        async relay(request, context) {
          times.push(context.timeLeftMs());
          try {
            return await inner.note(request, { timeoutMs: request.number || 60_000 });
          } catch (error) {
            nested.resolve(error as RpcError);
            throw error;
          }
        },
        async note(request, context) {
          times.push(context.timeLeftMs());
          // Across a timer's worth of awaits the call is still known.
          await settle();
          return inner.echo(request, { timeoutMs: 60_000 });
        },
        echo(_, context) {
          times.push(context.timeLeftMs());
          entered.resolve(context);
          return new Promise<Blob>(() => {});
        },
      },
    });
    const inner = new ProbeServiceStub(pair.cluster.channel());
    return { ...pair, entered, nested, times };
  }

  test("inherit what is left: the child has the smaller of its own and its parent's", async () => {
    const { stub, clock, entered, times } = await chain();
    const call = failure(stub.relay({}, { timeoutMs: 900 }));
    await entered.promise;
    expect(times).toEqual([900, 900, 900]);
    await clock.run(910);
    expect((await call).codeName).toBe("DEADLINE_EXCEEDED");
  });

  test("a nearer deadline of their own stays", async () => {
    const { stub, clock, entered, times, nested } = await chain();
    const call = failure(stub.relay({ number: 200 }, { timeoutMs: 900 }));
    await entered.promise;
    expect(times).toEqual([900, 200, 200]);
    await clock.run(210);
    expect((await nested.promise).codeName).toBe("DEADLINE_EXCEEDED");
    expect(await call).toMatchObject({ codeName: "DEADLINE_EXCEEDED", executed: "yes" });
  });

  test("a fraction is rounded down at each hop", async () => {
    const { stub, clock, entered, times } = await chain();
    const call = failure(stub.relay({}, { timeoutMs: 900.7 }));
    await entered.promise;
    expect(times).toEqual([900, 900, 900]);
    await clock.run(1000);
    await call;
  });

  test("a parent cancelled cancels its children, and theirs", async () => {
    const { stub, entered, nested, provider } = await chain();
    const abort = new AbortController();
    const call = failure(stub.relay({}, { signal: abort.signal }));
    const inmost = await entered.promise;
    const aborted = new Promise((resolve) => inmost.signal.addEventListener("abort", resolve));
    abort.abort();
    expect(await call).toMatchObject({ codeName: "CANCELLED", executed: "maybe" });
    await aborted;
    expect(inmost.signal.reason).toMatchObject({ codeName: "CANCELLED" });
    expect(await nested.promise).toMatchObject({
      codeName: "CANCELLED",
      rawMessage: "the calling handler was cancelled",
    });
    await settle();
    expect(provider.inFlight).toBe(0);
  });

  test("a parent whose deadline passes ends its children with DEADLINE_EXCEEDED", async () => {
    const { stub, clock, entered, nested } = await chain();
    const call = failure(stub.relay({}, { timeoutMs: 300 }));
    const inmost = await entered.promise;
    await clock.run(310);
    await call;
    expect((await nested.promise).codeName).toBe("DEADLINE_EXCEEDED");
    expect(inmost.signal.reason).toMatchObject({ codeName: "DEADLINE_EXCEEDED" });
  });

  test("started after the parent was cancelled: fail at once, never sent", async () => {
    const entered = deferred<CallContext>("the handler");
    const after = deferred<RpcError>("the nested failure");
    let reached = 0;
    const { cluster, stub } = await startPair({
      handlers: {
        async relay(request, context) {
          entered.resolve(context);
          await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
          after.resolve(await failure(inner.echo(request)));
          return request;
        },
        echo(request) {
          reached++;
          return request;
        },
      },
    });
    const inner = new ProbeServiceStub(cluster.channel());
    const abort = new AbortController();
    const call = failure(stub.relay({}, { signal: abort.signal }));
    await entered.promise;
    abort.abort();
    await call;
    expect(await after.promise).toMatchObject({ codeName: "CANCELLED", executed: "never" });
    expect(reached).toBe(0);
  });

  test("a connection made for a nested call does not carry its caller's deadline to others", async () => {
    const { cluster, stub } = await startPair({
      handlers: {
        relay: (request) => inner.echo(request),
        echo: (_, context) => ({ number: context.timeLeftMs() }),
      },
    });
    const runtime = cluster.runtime();
    const inner = new ProbeServiceStub(cluster.channel({}, runtime));
    let later = 0;
    // Runs on what the connection brings, not in any handler.
    runtime.events.on("clientEnd", () => {
      if (later++ === 0) outside.resolve(inner.echo({}, { timeoutMs: 9000 }));
    });
    const outside = deferred<Blob | Promise<Blob>>("a call from a listener");
    await stub.relay({}, { timeoutMs: 500 });
    expect((await outside.promise).number).toBe(9000);
  });
});

describe("AbortSignal", () => {
  test("aborted before: never sent", async () => {
    const { stub, provider } = await startPair();
    const error = await failure(stub.echo({}, { signal: AbortSignal.abort() }));
    expect(error).toMatchObject({ codeName: "CANCELLED", executed: "never", attempts: 0 });
    expect(provider.connections).toBe(0);
  });

  test("aborted during: the handler learns of it by a CANCEL frame", async () => {
    const { stub, entered, provider } = await slowPair();
    const abort = new AbortController();
    const call = failure(stub.echo({}, { signal: abort.signal, timeoutMs: Infinity }));
    const context = await entered.promise;
    const aborted = new Promise((resolve) => context.signal.addEventListener("abort", resolve));
    abort.abort(new Error("the user left"));
    const error = await call;
    expect(error).toMatchObject({ codeName: "CANCELLED", executed: "maybe", phase: "wait" });
    expect(error.cause).toMatchObject({ message: "the user left" });
    await aborted;
    expect(context.signal.reason).toMatchObject({
      codeName: "CANCELLED",
      rawMessage: "cancelled by the caller",
    });
    expect(provider.inFlight).toBe(0);
  });

  test("one signal for many calls cancels them all, and Node warns of no leak", async () => {
    const { stub, entered } = await slowPair();
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on("warning", onWarning);
    try {
      const abort = new AbortController();
      const options = { signal: abort.signal, timeoutMs: Infinity };
      const calls = Array.from({ length: 30 }, () => failure(stub.echo({}, options)));
      await entered.promise;
      abort.abort();
      const codes = new Set((await Promise.all(calls)).map(({ codeName }) => codeName));
      expect([...codes]).toEqual(["CANCELLED"]);
      // Warnings are told in a later turn.
      await new Promise((resolve) => setImmediate(resolve));
      expect(warnings).toEqual([]);
    } finally {
      process.off("warning", onWarning);
    }
  });

  test("aborted after: nothing happens, and no listener is left", async () => {
    const { stub } = await startPair();
    const abort = new AbortController();
    let listeners = 0;
    const { signal } = abort;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = ((...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    }) as never;
    signal.removeEventListener = ((...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    }) as never;
    expect((await stub.echo({ text: "done" }, { signal })).text).toBe("done");
    abort.abort();
    expect(listeners).toBe(0);
  });

  test("no signal at all fails the call and leaves nothing behind", async () => {
    const { stub, runtime } = await startPair();
    const error = await failure(stub.echo({}, { signal: {} as never }));
    expect(error).toMatchObject({ codeName: "INTERNAL", executed: "never" });
    expect(runtime.wheel.size).toBe(0);
  });

  test("one signal for many calls cancels them all", async () => {
    const { stub, entered } = await slowPair();
    const abort = new AbortController();
    const calls = Array.from({ length: 50 }, () => failure(stub.echo({}, { signal: abort.signal })));
    await entered.promise;
    await settle();
    abort.abort();
    const errors = await Promise.all(calls);
    expect(new Set(errors.map(({ codeName }) => codeName))).toEqual(new Set(["CANCELLED"]));
  });
});

test.each([1, 2, 3, 4, 5])("random cancels and deadlines never mix up replies (seed %i)", async (seed) => {
  const random = seeded(seed);
  const pending = new Set<() => void>();
  const { stub, clock, provider, runtime, providerRuntime } = await startPair({
    seed,
    handlers: {
      echo: ({ number }) =>
        new Promise((resolve) => {
          const answer = () => resolve({ number, text: `reply ${number}` });
          if (random() < 0.3) answer();
          else pending.add(answer);
        }),
    },
  });
  const outcomes: Array<Promise<void>> = [];
  let answered = 0;
  let failed = 0;
  for (let number = 0; number < 1500; number++) {
    const abort = new AbortController();
    const timeoutMs = random() < 0.3 ? 1 + Math.floor(random() * 20) : 60_000;
    const call = stub.echo({ number }, { signal: abort.signal, timeoutMs });
    outcomes.push(
      call.then(
        (reply) => {
          expect(reply.text).toBe(`reply ${number}`);
          answered++;
        },
        (error) => {
          expect(["CANCELLED", "DEADLINE_EXCEEDED"]).toContain(error.codeName);
          failed++;
        },
      ),
    );
    if (random() < 0.4) queueMicrotask(() => abort.abort());
    else if (random() < 0.2) setImmediate(() => abort.abort());
    if (random() < 0.1) await settle();
    if (random() < 0.2) clock.advance(random() * 8);
    for (const answer of pending) {
      if (random() > 0.2) continue;
      pending.delete(answer);
      answer();
    }
  }
  let done = false;
  const all = Promise.all(outcomes).finally(() => {
    done = true;
  });
  while (!done) {
    for (const answer of pending) answer();
    await settle();
  }
  await all;
  await settle();
  expect(answered + failed).toBe(1500);
  expect(answered).toBeGreaterThan(200);
  expect(failed).toBeGreaterThan(200);
  expect(provider.inFlight).toBe(0);
  expect(runtime.wheel.size).toBe(0);
  expect(providerRuntime.wheel.size).toBe(0);
});
