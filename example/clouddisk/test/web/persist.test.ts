import { expect, test } from "vitest";
import { ApiError } from "../../web/src/api-error.js";
import { Code } from "../../web/src/codes.js";
import { persist, type Reachable } from "../../web/src/upload/persist.js";

/** What is tried again, and for how long. */

function connection(lost: boolean): Reachable & { waits: number } {
  const fake = {
    lost,
    waits: 0,
    async whenBack(signal: AbortSignal): Promise<void> {
      signal.throwIfAborted();
      fake.waits++;
    },
  };
  return fake;
}

const { signal } = new AbortController();
const away = (): never => {
  throw new ApiError(Code.NETWORK, "no reply");
};

test("a disk that does not answer is waited for, however often that is", async () => {
  const lost = connection(true);
  let attempts = 0;
  const work = async (): Promise<string> => (++attempts > 50 ? "done" : away());
  expect(await persist(lost, signal, work)).toBe("done");
  expect(lost.waits).toBe(50);
});

test("what is refused for good is not tried again, and an abort ends the wait for a disk", async () => {
  let attempts = 0;
  const refused = async (): Promise<never> => {
    attempts++;
    throw new ApiError(Code.QUOTA, "over your quota");
  };
  await expect(persist(connection(false), signal, refused)).rejects.toThrow("over your quota");
  expect(attempts).toBe(1);
  const aborted = AbortSignal.abort(new Error("cancelled"));
  await expect(persist(connection(true), aborted, async () => away())).rejects.toThrow("cancelled");
});
