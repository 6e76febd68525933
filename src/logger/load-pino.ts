import { createRequire } from "node:module";

/**
 * Pino, loaded at the first call. `scripts/build-lib.mjs` puts pino itself in the place of this module: a `require` that
 * no bundler sees would not find it in a program bundled into one file.
 */
export function loadPino(): typeof import("pino") {
  return createRequire(import.meta.url)("pino") as typeof import("pino");
}
