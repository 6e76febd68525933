import { createHash } from "node:crypto";

/** What happened in a simulation, line by line, and a hash of it: the same seed gives the same hash. */
export class Trace {
  readonly #hash = createHash("sha256");
  readonly #lines: string[] = [];
  readonly #keptMax: number;
  #count = 0;

  /** `keptMax`: of so many lines the newest are kept to be read; every line counts for the hash. */
  constructor(keptMax: number) {
    this.#keptMax = keptMax;
  }

  /** @internal */
  add(atMs: number, text: string): void {
    const line = `${atMs.toFixed(3)} ${text}`;
    this.#hash.update(line);
    this.#hash.update("\n");
    this.#count++;
    if (this.#keptMax === 0) return;
    this.#lines.push(line);
    // Twice the bound before it is cut, so that cutting costs little a line.
    if (this.#lines.length >= this.#keptMax * 2) this.#lines.splice(0, this.#lines.length - this.#keptMax);
  }

  /** Lines so far, those no longer kept included. */
  get count(): number {
    return this.#count;
  }

  /** The newest lines: milliseconds since the start, the host, and what happened to it. */
  get lines(): readonly string[] {
    return this.#lines.slice(Math.max(0, this.#lines.length - this.#keptMax));
  }

  /** 64 hexadecimal digits that stand for all lines so far. */
  get hash(): string {
    return this.#hash.copy().digest("hex");
  }
}
