/** Bytes a second over the last few seconds, so that it follows the line and does not tremble. */
export class Speed {
  readonly #windowMs: number;
  #samples: Array<{ atMs: number; bytes: number }> = [];

  constructor(windowMs = 5000) {
    this.#windowMs = windowMs;
  }

  /** `totalBytes` so far; less than before (a part is sent again) starts anew. */
  add(totalBytes: number, nowMs: number): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && totalBytes < last.bytes) this.#samples = [];
    this.#samples.push({ atMs: nowMs, bytes: totalBytes });
    // One that is older than the window stays, as its beginning.
    while (this.#samples.length > 2 && nowMs - (this.#samples[1]?.atMs ?? nowMs) >= this.#windowMs) {
      this.#samples.shift();
    }
  }

  reset(): void {
    this.#samples = [];
  }

  /** 0: not known yet. */
  bytesPerSecond(nowMs: number): number {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || nowMs <= first.atMs) return 0;
    return ((last.bytes - first.bytes) * 1000) / (nowMs - first.atMs);
  }
}

/** undefined: not known. */
export function timeLeftMs(leftBytes: number, bytesPerSecond: number): number | undefined {
  return bytesPerSecond < 1 ? undefined : (leftBytes / bytesPerSecond) * 1000;
}
