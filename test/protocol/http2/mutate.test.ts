import { expect, test } from "vitest";
import { mutatedCase } from "./mutate.js";

test.each(["server", "client"] as const)("mutated frames: a %s session keeps its promises", async (side) => {
  let frames = 0;
  let survived = 0;
  for (let seed = 1; frames < 15_000; seed++) {
    const result = await mutatedCase(seed, side).catch((error: unknown) => {
      throw new Error(`seed ${seed}`, { cause: error });
    });
    frames += result.frames;
    if (result.survived) survived++;
  }
  // Neither all of them nor none: the mutations are not so wild that nothing else is seen.
  expect(survived).toBeGreaterThan(10);
});
