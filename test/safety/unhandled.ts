import { afterEach, beforeEach, expect } from "vitest";

/** In each test of the file: no promise of ours may be left without somebody who waits for it. */
export function expectNoUnhandled(): void {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  beforeEach(() => void process.on("unhandledRejection", note));
  afterEach(async () => {
    // Node tells of them after the microtasks of a turn.
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", note);
    expect(unhandled.splice(0)).toHaveLength(0);
  });
}
