import { describe, expect, test } from "vitest";
import { settle } from "../../src/testing/index.js";
import { failure, seeded } from "../support/async.js";
import { startPair } from "../support/cluster.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { wheelOf } from "../support/wheel.js";
import { slowPair } from "./slow-pair.js";

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
    expect(wheelOf(providerRuntime).size).toBe(0);
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
  expect(wheelOf(runtime).size).toBe(0);
  expect(wheelOf(providerRuntime).size).toBe(0);
});
