import type { Clock, Timer } from "../base/clock.js";
import { PeerTimer } from "../base/peer-timer.js";
import { RegistryError, reasonOf } from "./errors.js";

export interface StartLimit {
  clock: Clock;
  /** The registry, for messages. */
  name: string;
  /** What is being done, such as `cannot register fixbug.User`. */
  what: string;
  timeoutMs: number;
  signal: AbortSignal | undefined;
  /** Why it has not succeeded so far; empty when unknown. */
  trouble(): string;
  /** Whether an error means missing permissions. Default: never. */
  isDenied?(error: unknown): boolean;
}

/**
 * `work`, or a RegistryError `unreachable` when it takes longer than the time a driver has to start, or the reason of
 * `signal` when that aborts. What `work` rejects with becomes a RegistryError too. The process stays alive until then.
 */
export async function withinStart<T>(work: Promise<T>, limit: StartLimit): Promise<T> {
  const { clock, name, what, timeoutMs, signal, trouble, isDenied = () => false } = limit;
  let timer: Timer | undefined;
  let onAbort = () => {};
  const over = new Promise<never>((_, reject) => {
    const onTimeout = (): void => {
      const reason = trouble();
      const text = `${what} at ${name} within ${timeoutMs} ms${reason && ` (${reason})`}`;
      reject(new RegistryError("unreachable", `${text}; is it running and the address right?`));
    };
    timer = new PeerTimer(clock, onTimeout, timeoutMs, true);
    onAbort = () => reject(signal?.reason);
    signal?.addEventListener("abort", onAbort);
  });
  try {
    return await Promise.race([work, over]);
  } catch (error) {
    if (error instanceof RegistryError || signal?.aborted === true) throw error;
    const code = isDenied(error) ? "denied" : "unreachable";
    throw new RegistryError(code, `${what}: ${name}: ${reasonOf(error)}`, error);
  } finally {
    timer?.cancel();
    signal?.removeEventListener("abort", onAbort);
  }
}

/** `work`; the process stays alive until it settles. */
export async function keptAlive<T>(clock: Clock, work: Promise<T>): Promise<T> {
  const timer = clock.setTimer(() => {}, Infinity, true);
  try {
    return await work;
  } finally {
    timer.cancel();
  }
}
