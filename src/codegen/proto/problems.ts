import { CodegenError, type Problem } from "../error.js";

/** More would help nobody, and a hostile file could ask for millions. */
const problemsMax = 100;

/** What is wrong with the files of one run. */
export class Problems {
  readonly #found: Problem[] = [];
  readonly warnings: Problem[] = [];

  get count(): number {
    return this.#found.length;
  }

  /** `line` and `column` count from 1; undefined when the whole file is meant. */
  add(problem: Problem): void {
    this.#found.push(problem);
    if (this.#found.length >= problemsMax) this.throwIfAny();
  }

  throwIfAny(): void {
    if (this.#found.length > 0) throw new CodegenError(this.#found);
  }
}
