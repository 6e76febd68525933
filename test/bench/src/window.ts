import { setTimeout as wait } from "node:timers/promises";

const longestFactor = 8;
/** A machine that is busy with other work may not let a process run for a while, and a rate of nothing says nothing. */
const firstWithinMs = 5000;

/**
 * Measures for `measureMs` and returns the mark of its end. While fewer than `callsMin` calls (default 1) have ended it goes on, up to eight
 * times as long, and for the first one up to 5 s. Throws `Error` when none has ended by then.
 */
export async function windowOf<Mark>(
  measureMs: number,
  mark: () => Promise<Mark>,
  callsUntil: (end: Mark) => number,
  callsMin = 1,
): Promise<Mark> {
  for (let windows = 1; ; windows += 1) {
    await wait(measureMs);
    const end = await mark();
    const calls = callsUntil(end);
    const long = windows >= longestFactor;
    if (calls >= callsMin || (long && calls > 0)) return end;
    if (long && windows * measureMs >= firstWithinMs) {
      throw new Error(`nothing came within ${windows * measureMs} ms`);
    }
  }
}
