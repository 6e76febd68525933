import { randomBytes } from "node:crypto";
import { expect } from "vitest";

/** Every secret of a test begins with it: what a whole run has written can be searched for it. */
export const canaryPrefix = "canary-secret-";

/** A token that must be nowhere but where it was put. */
export function canary(): string {
  return canaryPrefix + randomBytes(16).toString("hex");
}

/** Outputs, logs and errors that must hold no secret of a test. */
export function expectNoCanary(...texts: readonly string[]): void {
  for (const text of texts) expect(text).not.toContain(canaryPrefix);
}
