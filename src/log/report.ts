import { writeSync } from "node:fs";

/** Last words about logging itself, for which there is no other place. */
export function reportToStderr(text: string): void {
  try {
    writeSync(2, `mprpc log: ${text}\n`);
  } catch {
    // A closed stderr leaves nobody to tell.
  }
}
