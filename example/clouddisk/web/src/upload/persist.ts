import { ApiError } from "../api-error.js";
import { Code } from "../codes.js";
import { wait } from "./wait.js";

/** The way to the disk. */
export interface Reachable {
  /** It does not answer at all. */
  readonly lost: boolean;
  /** Rejects with the signal's reason. */
  whenBack(signal: AbortSignal): Promise<void>;
}

export const attemptsMax = 8;
const backoffMaxMs = 15_000;

export function backoffMs(attempt: number): number {
  return Math.min(backoffMaxMs, 500 * 2 ** attempt) * (0.75 + Math.random() / 2);
}

/**
 * Once more after what may pass: a server that restarts, or has had too many requests. A disk that does not answer at all is
 * waited for, however long that takes.
 */
export async function persist<T>(
  connection: Reachable,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof ApiError) || !error.temporary) throw error;
      if (error.code === Code.NETWORK && connection.lost) {
        await connection.whenBack(signal);
        attempt = -1;
        continue;
      }
      if (attempt + 1 >= attemptsMax) throw error;
      await wait(Math.max(error.retryAfterMs, backoffMs(attempt)), signal);
    }
  }
}
