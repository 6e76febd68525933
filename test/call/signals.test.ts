import { describe, expect, test } from "vitest";
import { settle } from "../../src/testing/index.js";
import { failure } from "../support/async.js";
import { startPair } from "../support/cluster.js";
import { wheelOf } from "../support/wheel.js";
import { slowPair } from "./slow-pair.js";

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
    expect(wheelOf(runtime).size).toBe(0);
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
