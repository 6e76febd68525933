import { ConfigError, type ConfigProblem } from "./config-error.js";

/** A wrong file (`-i` of a log, say) need not be told line by line. */
const warningsMax = 50;
const problemsMax = 20;

/** What one loading has gathered so far. */
export class Findings {
  readonly warnings: string[] = [];
  readonly problems: ConfigProblem[] = [];
  #unsaidWarnings = 0;
  #unsaidProblems = 0;

  /** Takes a function because finding the nearest name for each of 100,000 unknown ones would take long. */
  warn(text: () => string): void {
    if (this.warnings.length < warningsMax) this.warnings.push(text());
    else this.#unsaidWarnings++;
  }

  fail(problem: ConfigProblem): void {
    if (this.problems.length < problemsMax) this.problems.push(problem);
    else this.#unsaidProblems++;
  }

  throwIfAny(): void {
    if (this.problems.length > 0) throw new ConfigError(this.problems, this.#unsaidProblems);
  }

  allWarnings(): readonly string[] {
    const more = this.#unsaidWarnings === 0 ? [] : [`... and ${this.#unsaidWarnings} more warnings`];
    return Object.freeze([...this.warnings, ...more]);
  }
}
