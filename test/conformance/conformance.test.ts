import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { runConformance } from "./run.js";

const folder = fileURLToPath(new URL("../../.cache/conformance", import.meta.url));

// A testee that skips everything passes as well: the number of successes is the figure.
test("protobuf's conformance suite: calls in JSON pass all of it", { timeout: 120_000 }, async () => {
  const { main, textFormat, output } = await runConformance("dynamic", path.join(folder, "test-dynamic"));
  expect(main, output).toMatchObject({
    ...{ successes: 5567, skipped: 0, expectedFailures: 0, unexpectedFailures: 0 },
  });
  expect(textFormat).toMatchObject({ successes: 0, unexpectedFailures: 0 });
});
