/** Memory that the streams of one connection may fill, or those of all connections of a provider. */
export class StreamBudget {
  readonly #maxBytes: number;
  readonly #parent: StreamBudget | undefined;
  #used = 0;

  /** `parent`: the budget of all connections, which must have room as well. */
  constructor(maxBytes: number, parent?: StreamBudget) {
    this.#maxBytes = maxBytes;
    this.#parent = parent;
  }

  get used(): number {
    return this.#used;
  }

  get free(): number {
    const own = Math.max(0, this.#maxBytes - this.#used);
    return this.#parent === undefined ? own : Math.min(own, this.#parent.free);
  }

  /** False when there is no room for so many bytes, and then nothing has changed. */
  reserve(bytes: number): boolean {
    if (bytes > this.free) return false;
    this.force(bytes);
    return true;
  }

  /** The same for room beyond the minimum: it leaves half of the budget for later streams. */
  reserveSpare(bytes: number): boolean {
    if (!this.#hasSpare(bytes)) return false;
    this.force(bytes);
    return true;
  }

  #hasSpare(bytes: number): boolean {
    if (this.#used + bytes > this.#maxBytes / 2) return false;
    return this.#parent === undefined || this.#parent.#hasSpare(bytes);
  }

  /** Takes the bytes even if there is no room. */
  force(bytes: number): void {
    this.#used += bytes;
    this.#parent?.force(bytes);
  }

  release(bytes: number): void {
    this.#used -= bytes;
    this.#parent?.release(bytes);
  }
}
