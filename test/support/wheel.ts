import type { DeadlineWheel } from "../../src/base/deadlines.js";
import { type App, runtimeOf } from "../../src/runtime/app.js";

/** Where the deadlines of the calls of `app` wait. */
export function wheelOf(app: App): DeadlineWheel {
  return runtimeOf("wheelOf", app).wheel;
}
