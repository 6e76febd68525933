/** Judges a living process without a file descriptor to read /proc with: `no-descriptors-process.ts <identity as JSON>`. */
import { openSync } from "node:fs";
import { systemProbe } from "../../src/registry/file/liveness.js";

const identity = JSON.parse(process.argv[2] ?? "");
const probe = systemProbe();
console.info(`with descriptors: ${probe(identity)}`);
let failure: unknown;
while (failure === undefined) {
  try {
    openSync("/dev/null", "r");
  } catch (error) {
    failure = error;
  }
}
console.info(`${(failure as NodeJS.ErrnoException).code}: ${probe(identity)}`);
