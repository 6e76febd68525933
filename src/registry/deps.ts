import { type Clock, systemClock } from "../base/clock.js";
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
    log: deps.log ?? silentLogger,
    random: deps.random ?? Math.random,
  };
}
