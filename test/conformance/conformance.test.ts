import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { ways } from "./prepare.js";
import { isClean, runConformance } from "./run.js";

const folder = fileURLToPath(new URL("../../.cache/conformance", import.meta.url));

// A testee that skips everything passes as well: the number of successes is the figure.
test.each(ways)(
  "protobuf's conformance suite passes, binary and JSON: %s",
  { timeout: 120_000 },
  async (way) => {
    const outcome = await runConformance(way, path.join(folder, `test-${way}`));
    expect(outcome.main, outcome.output).toMatchObject({
      ...{ successes: 5567, skipped: 0, expectedFailures: 0, unexpectedFailures: 0 },
    });
    expect(outcome.textFormat).toMatchObject({ successes: 0, unexpectedFailures: 0 });
  },
);

test("an outcome with a failure, a skipped test or no test at all is not clean", () => {
  const main = { line: "", successes: 5567, skipped: 0, expectedFailures: 0, unexpectedFailures: 0 };
  const clean = (change: Partial<typeof main>): boolean =>
    isClean({ main: { ...main, ...change }, textFormat: undefined, output: "" });
  expect(clean({})).toBe(true);
  for (const key of ["skipped", "expectedFailures", "unexpectedFailures"])
    expect(clean({ [key]: 1 })).toBe(false);
  expect(clean({ successes: 0 })).toBe(false);
});
