import type { Places, Position } from "./parsed.js";
import type { Problems } from "./problems.js";
import type { FileScope } from "./symbols.js";

/** Collects what is wrong with one file, by the declarations that are. */
export class Reporter {
  readonly file: FileScope;
  readonly #problems: Problems;
  /** How many problems this file has. */
  count = 0;

  constructor(file: FileScope, problems: Problems) {
    this.file = file;
    this.#problems = problems;
  }

  /** Where the given part of a declaration stands, or the declaration. */
  placeOf(node: object, part: keyof Places = "name"): Position | undefined {
    const places = this.file.parsed.places.get(node);
    return places?.[part] ?? places?.name ?? places?.self;
  }

  error(node: object, part: keyof Places, message: string): void {
    this.errorAt(this.placeOf(node, part), message);
  }

  errorAt(position: Position | undefined, message: string): void {
    this.count++;
    this.#problems.add(this.#problem(position, message));
  }

  warn(node: object, part: keyof Places, message: string): void {
    this.warnAt(this.placeOf(node, part), message);
  }

  warnAt(position: Position | undefined, message: string): void {
    this.#problems.warnings.push(this.#problem(position, message));
  }

  #problem(position: Position | undefined, message: string) {
    if (position === undefined) return { file: this.file.path, message };
    return { file: this.file.path, line: position.line + 1, column: position.column + 1, message };
  }
}
