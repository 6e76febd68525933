import { RpcError } from "../../src/error/rpc-error.js";
import { noteLeak } from "../tools/leaks/notes.js";
import { guarded } from "../tools/wait.js";

export interface Deferred<T = void> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

/** A promise with its handles, which a hang names by `what`. */
export function deferred<T = void>(what = "a deferred"): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const inner = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // Not every test awaits it: a rejection nobody waits for is no failure of the test.
  inner.catch(() => {});
  return {
    get promise() {
      const waited = guarded(inner, what);
      waited.catch(() => {});
      return waited;
    },
    resolve,
    reject,
  };
}

/** The RpcError a call fails with, without a secret of a test; the test fails when it succeeds, throws something else or hangs. */
export async function failure(call: Promise<unknown>): Promise<RpcError> {
  let value: unknown;
  try {
    value = await guarded(call, "a call that should fail");
  } catch (error) {
    noteLeak("the error of a call", error);
    if (error instanceof RpcError) return error;
    throw error;
  }
  throw new Error(`expected an RpcError, got ${JSON.stringify(value)}`);
}

/** Random numbers that a seed repeats (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
