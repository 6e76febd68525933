import { type Clock, systemClock } from "../base/clock.js";
import { guardLogger } from "../logger/guard.js";
import { type Logger, silentLogger } from "../logger/logger.js";

/** What every driver is given from outside. */
export interface RegistryDeps {
  /** Default: the system's. */
  clock?: Clock;
  /** Default: silent. */
  log?: Logger;
  /** 0 <= x < 1; default `Math.random`. */
  random?: () => number;
}

export function fillDeps(deps: RegistryDeps): Required<RegistryDeps> {
  return {
    clock: deps.clock ?? systemClock,
    log: deps.log === undefined ? silentLogger : guardLogger(deps.log),
    random: deps.random ?? Math.random,
  };
}
