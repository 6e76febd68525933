import { AsyncResource } from "node:async_hooks";
import type { Clock, Timer } from "../../base/clock.js";
import type { LogFields, Logger, LogLevel } from "../../log/logger.js";
import type { ApplicationParts } from "../../node/application.js";
import type { TestApp } from "../runtime.js";
import type { ProcessGate } from "./machine.js";
import type { Scheduler } from "./scheduler.js";

/** What `wallNow` answers at the beginning of a simulation. */
const wallStartMs = Date.UTC(2024, 0, 1);

/**
 * What the program of a simulated host stands on, in the place of an `MprpcApplication`: channels and providers take it
 * as they take one.
 */
export interface SimulatedApp extends TestApp {
  /** The host's name. */
  readonly host: string;
  /** The host's address in its network. */
  readonly address: string;
  /** For a program that makes an application of its own: `MprpcApplication.init(process.argv, app.parts)`. */
  readonly parts: ApplicationParts;
  /** Resolves after so many milliseconds of the simulation; never, when the process is gone by then. */
  sleep(ms: number): Promise<void>;
}

/** Whether a process runs, and the things it does while it does. */
export class ProcessLife implements ProcessGate {
  readonly #scheduler: Scheduler;
  #alive = true;
  #paused = false;
  #late: Array<() => void> = [];

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  get alive(): boolean {
    return this.#alive;
  }

  get paused(): boolean {
    return this.#paused;
  }

  enter(run: () => void): void {
    if (!this.#alive) return;
    if (this.#paused) this.#late.push(run);
    else run();
  }

  pause(): void {
    this.#paused = true;
  }

  /** What fell due meanwhile happens now, each thing in a turn of its own. */
  resume(): void {
    this.#paused = false;
    for (const run of this.#late.splice(0)) this.#scheduler.after(0, () => this.enter(run));
  }

  end(): void {
    this.#alive = false;
    this.#late = [];
  }
}

/** The clock of one process: it began at some moment of its own, and its timers end with the process. */
export class ProcessClock implements Clock {
  readonly #scheduler: Scheduler;
  readonly #life: ProcessLife;
  readonly #bornMs: number;
  #timers = 0;

  constructor(scheduler: Scheduler, life: ProcessLife, bornMs: number) {
    this.#scheduler = scheduler;
    this.#life = life;
    this.#bornMs = bornMs;
  }

  /** Timers that are set. */
  get timers(): number {
    return this.#timers;
  }

  now(): number {
    return this.#bornMs + this.#scheduler.nowMs;
  }

  wallNow(): number {
    return Math.floor(wallStartMs + this.#scheduler.nowMs);
  }

  setTimer(callback: () => void, delayMs: number): Timer {
    this.#timers++;
    // As Node does for its own timers: what it runs belongs to the call that set it.
    let bound: (() => void) | undefined = callback;
    const resource = new AsyncResource("SimulatedTimer");
    const end = (): (() => void) | undefined => {
      if (bound === undefined) return undefined;
      const run = bound;
      bound = undefined;
      this.#timers--;
      return run;
    };
    const fire = (): void => {
      const run = end();
      if (run !== undefined) resource.runInAsyncScope(run);
    };
    const scheduled = this.#scheduler.after(delayMs, () => this.#life.enter(fire));
    return {
      cancel: () => {
        scheduled.cancel();
        end();
      },
    };
  }
}

/** Writes what a process logs into the trace. */
export function traceLogger(note: (text: string) => void): Logger {
  const at =
    (level: LogLevel) =>
    (text: string, fields?: LogFields): void =>
      note(`${level} ${text}${fields === undefined ? "" : ` ${describeFields(fields)}`}`);
  return {
    trace: at("trace"),
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    fatal: at("fatal"),
  };
}

function describeFields(fields: LogFields): string {
  return Object.entries(fields)
    .map(([key, value]) => `${key}=${value instanceof Error ? value.message : String(value)}`)
    .join(" ");
}
