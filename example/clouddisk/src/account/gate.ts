import { Code, Refusal } from "../common/codes.js";

/** Lets so many run at once, and so many more wait in the order they came; who comes on top of that is refused. */
export class Gate {
  readonly #runningMax: number;
  readonly #waitingMax: number;
  readonly #waiting: Array<() => void> = [];
  #running = 0;

  constructor(limits: { runningMax: number; waitingMax: number }) {
    this.#runningMax = limits.runningMax;
    this.#waitingMax = limits.waitingMax;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#runningMax) {
      this.#running++;
    } else {
      if (this.#waiting.length >= this.#waitingMax) {
        throw new Refusal(Code.SERVER, "too many sign-ins at once; try again in a few seconds");
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    try {
      return await work();
    } finally {
      // The place goes to the next one without being free in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}
