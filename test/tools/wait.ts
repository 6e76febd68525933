/** Nothing in the tests takes this long unless it hangs; it is a guard, never a measure. */
export const hangGuardMs = 30_000;

/** Rejects with `what` in its message when `promise` has not settled within the hang guard. */
export async function guarded<T>(
  promise: Promise<T>,
  what: string,
  state: () => unknown = () => "",
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const hang = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`hangs: ${what}; last seen: ${JSON.stringify(state())}`));
    }, hangGuardMs);
  });
  try {
    return await Promise.race([promise, hang]);
  } finally {
    clearTimeout(timer);
  }
}

/** Keeps every value it is given and lets a test await the one it needs. */
export class Recorder<T> {
  readonly values: T[] = [];
  readonly #waiting = new Set<() => void>();

  readonly push = (value: T): void => {
    this.values.push(value);
    for (const check of [...this.#waiting]) check();
  };

  get last(): T | undefined {
    return this.values.at(-1);
  }

  /** The newest value once it satisfies `test`: at once if it does already. */
  async until(what: string, test: (value: T) => boolean): Promise<T> {
    const found = new Promise<T>((resolve) => {
      const check = () => {
        const { last } = this;
        if (last === undefined || !test(last)) return;
        this.#waiting.delete(check);
        resolve(last);
      };
      this.#waiting.add(check);
      check();
    });
    return guarded(found, what, () => this.last);
  }
}

/** Runs `attempt` again and again until it answers something else than `undefined` or `false`. */
export async function eventually<T>(what: string, attempt: () => Promise<T | undefined | false>): Promise<T> {
  let last: unknown;
  const endMs = Date.now() + hangGuardMs;
  while (Date.now() < endMs) {
    try {
      const value = await attempt();
      if (value !== undefined && value !== false) return value;
      last = value;
    } catch (error) {
      last = String(error);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`hangs: ${what}; last: ${String(last)}`);
}

/** Prints how long a step took: the durations are read by people and never asserted. */
export async function timed<T>(what: string, step: () => Promise<T>): Promise<T> {
  const startMs = performance.now();
  const value = await step();
  console.info(`${what}: ${Math.round(performance.now() - startMs)} ms`);
  return value;
}
