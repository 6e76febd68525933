import { CodegenError, type Problem } from "../error.js";

/** More would help nobody, and a hostile file could ask for millions. */
const problemsMax = 100;

/** What a text quotes of a file may be a token of megabytes. */
const messageMax = 300;

/** What is wrong with the files of one run. */
export class Problems {
  readonly #found: Problem[] = [];
  readonly warnings: Problem[] = [];

  get count(): number {
    return this.#found.length;
  }

  /** `line` and `column` count from 1; undefined when the whole file is meant. */
  add(problem: Problem): void {
    const { message } = problem;
    const cut = message.length > messageMax ? `${message.slice(0, messageMax)}...` : message;
    this.#found.push({ ...problem, message: cut });
    if (this.#found.length >= problemsMax) this.throwIfAny();
  }

  throwIfAny(): void {
    if (this.#found.length > 0) throw new CodegenError(this.#found);
  }
}
