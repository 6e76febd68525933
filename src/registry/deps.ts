import { type Clock, systemClock } from "../base/clock.js";
import type { Filled } from "../base/options.js";
import { guardLogger } from "../log/guard.js";
import { type Logger, silentLogger } from "../log/logger.js";

/** The dependencies of every driver. */
export interface RegistryDeps {
  /** Default: the system's. */
  clock?: Clock | undefined;
  /** Default: silent. */
  log?: Logger | undefined;
  /** 0 <= x < 1; default `Math.random`. */
  random?: (() => number) | undefined;
}

export function fillDeps(deps: RegistryDeps): Filled<RegistryDeps> {
  return {
    clock: deps.clock ?? systemClock,
    log: deps.log === undefined ? silentLogger : guardLogger(deps.log),
    random: deps.random ?? Math.random,
  };
}
