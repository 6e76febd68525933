/** Work that serves everybody who asked before it began. It runs once at a time: those who ask meanwhile share the next run. */
export class SharedWork {
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  /** `work` is that of whoever asks first for a run; each would do as well. */
  run(work: () => Promise<void>): Promise<void> {
    this.#next ??= this.#after(this.#running, work);
    return this.#next;
  }

  /** Whether nobody waits. */
  get idle(): boolean {
    return this.#running === undefined && this.#next === undefined;
  }

  async #after(before: Promise<void> | undefined, work: () => Promise<void>): Promise<void> {
    await before?.catch(() => {});
    // Who asks from here on waits for another run.
    const running = this.#next;
    this.#running = running;
    this.#next = undefined;
    try {
      await work();
    } finally {
      if (this.#running === running) this.#running = undefined;
    }
  }
}

const byKey = new Map<string, SharedWork>();

/** The same for all who name the same `key` in this process. */
export async function sharedBy(key: string, work: () => Promise<void>): Promise<void> {
  let shared = byKey.get(key);
  if (shared === undefined) {
    shared = new SharedWork();
    byKey.set(key, shared);
  }
  try {
    await shared.run(work);
  } finally {
    if (shared.idle && byKey.get(key) === shared) byKey.delete(key);
  }
}
