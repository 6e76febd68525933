import type { Timer } from "../../base/clock.js";
import { EventQueue } from "./event-queue.js";

/** Turns of the event loop that code may keep busy with `setImmediate` before time goes on all the same. */
const busyTurnsMax = 1000;

/**
 * The virtual time of a simulation. Between two events the event loop of Node turns until no `process.nextTick`, no
 * promise and no `setImmediate` is left, as it does between two real ones.
 */
export class Scheduler {
  readonly #queue = new EventQueue();
  #nowMs = 0;
  #running = false;
  #failure: { readonly error: unknown } | undefined;

  /** Milliseconds since the simulation began. */
  get nowMs(): number {
    return this.#nowMs;
  }

  get running(): boolean {
    return this.#running;
  }

  at(atMs: number, run: () => void): Timer {
    const event = this.#queue.add(Math.max(atMs, this.#nowMs), run);
    return {
      cancel: () => {
        event.run = undefined;
      },
    };
  }

  after(delayMs: number, run: () => void): Timer {
    return this.at(this.#nowMs + Math.max(0, delayMs), run);
  }

  /** Makes the run that is under way, or the next one, reject. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  /**
   * Lets events happen up to and including `endMs`, which is then the time, or until `done`. Rejects with what an event
   * threw.
   */
  async run(endMs: number, done: () => boolean): Promise<"time" | "done" | "idle"> {
    if (this.#running) {
      throw new Error("the simulation is running already: inside it, await app.sleep() or a promise");
    }
    this.#running = true;
    // Calls in JSON load it when they first need it, which would take a real time that no seed repeats.
    await import("../../descriptor/json-codec.js");
    return new Promise((resolve, reject) => {
      let busyTurns = 0;
      const step = (): void => {
        if (busyTurns++ < busyTurnsMax && process.getActiveResourcesInfo().includes("Immediate")) {
          setImmediate(step);
          return;
        }
        busyTurns = 0;
        try {
          const outcome = this.#next(endMs, done);
          if (outcome === undefined) {
            setImmediate(step);
            return;
          }
          this.#running = false;
          resolve(outcome);
        } catch (error) {
          this.#running = false;
          reject(error);
        }
      };
      setImmediate(step);
    });
  }

  #next(endMs: number, done: () => boolean): "time" | "done" | "idle" | undefined {
    if (this.#failure !== undefined) {
      const { error } = this.#failure;
      this.#failure = undefined;
      throw error;
    }
    if (done()) return "done";
    const event = this.#queue.first;
    if (event === undefined && endMs === Infinity) return "idle";
    if (event === undefined || event.atMs > endMs) {
      this.#nowMs = Math.max(this.#nowMs, endMs);
      return "time";
    }
    this.#queue.shift();
    this.#nowMs = event.atMs;
    event.run?.();
    return undefined;
  }
}
