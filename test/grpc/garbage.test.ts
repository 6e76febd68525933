import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const program = fileURLToPath(new URL("garbage-process.ts", import.meta.url));
const flags = ["--expose-gc", "--max-semi-space-size=4", "--no-concurrent-recompilation"];

/** Of 2 to 3 KB that a call leaves on both sides, a young generation takes all away, unless something that is old holds it. */
test.each(["unary", "streamed"])(
  "what a call leaves is garbage of the young generation: %s",
  async (kind) => {
    const line = ["--import", "tsx", ...flags, program, kind];
    const { stdout } = await promisify(execFile)(process.execPath, line);
    const { majors, promotedBytesPerCall } = JSON.parse(stdout) as Record<string, number>;
    expect(majors).toBe(0);
    expect(promotedBytesPerCall).toBeLessThan(400);
  },
);
