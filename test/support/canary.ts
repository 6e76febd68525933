import { expect } from "vitest";
import { LeakSearch } from "../tools/leaks/search.js";

export { canary } from "../tools/leaks/secrets.js";

/** Outputs, logs and errors that must hold no secret of this run. All that the run writes is searched as well (`test/tools/leaks`). */
export function expectNoCanary(...texts: readonly string[]): void {
  const search = new LeakSearch();
  for (const text of texts) expect(search.find(text)).toBeUndefined();
}
