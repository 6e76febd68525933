import { expect, test } from "vitest";
import { OutgoingStream, Status } from "../../src/index.js";
import { deferred, failure } from "../support/async.js";
import type { Item } from "../support/gen/flow.js";
import { collect, startFlow } from "./support.js";

// By a clock that the test moves: these alone cannot run over real sockets.

test("no deadline unless asked; timeoutMs is for the whole", async () => {
  const left: number[] = [];
  const { stub, clock } = await startFlow({
    flow: {
      async *watch(_request, context) {
        left.push(context.timeLeftMs());
        await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
        yield { number: 1 };
      },
    },
  });
  const forever = stub.watch({})[Symbol.asyncIterator]();
  const first = forever.next();
  const asked = failure(collect(stub.watch({}, { timeoutMs: 500 })));
  await expect.poll(() => left).toEqual([Infinity, 500]);
  await clock.run(600);
  expect((await asked).code).toBe(Status.DEADLINE_EXCEEDED);
  await clock.run(3_600_000);
  await forever.return?.();
  expect((await first).done).toBe(true);
});

test("idleTimeoutMs: silence in both directions ends it, messages do not", async () => {
  const steps = [deferred(), deferred()];
  const { stub, clock } = await startFlow({
    flow: {
      async *watch() {
        for (const [number, step] of steps.entries()) {
          await step.promise;
          yield { number };
        }
        await new Promise(() => {});
      },
    },
  });
  const got: number[] = [];
  const ended = failure(
    (async () => {
      for await (const { number } of stub.watch({}, { idleTimeoutMs: 1000 })) got.push(number);
    })(),
  );
  for (const [at, step] of steps.entries()) {
    await clock.run(800);
    step.resolve();
    await expect.poll(() => got).toHaveLength(at + 1);
  }
  await clock.run(800);
  expect(got).toEqual([0, 1]);
  await clock.run(400);
  const error = await ended;
  expect([error.code, error.rawMessage]).toEqual([
    Status.DEADLINE_EXCEEDED,
    "no message in either direction for 1000 ms (idleTimeoutMs)",
  ]);
});

test("the channel's deadline holds", async () => {
  const { stub, clock } = await startFlow({
    flow: { put: async (requests) => (await collect(requests))[0] ?? {} },
  });
  const out = new OutgoingStream<Partial<Item>>();
  const ended = failure(stub.put(out));
  await out.write({ number: 1 });
  await clock.run(5100);
  expect((await ended).code).toBe(Status.DEADLINE_EXCEEDED);
  await expect(out.write({ number: 2 })).rejects.toThrow("the call of this OutgoingStream has ended");
});
