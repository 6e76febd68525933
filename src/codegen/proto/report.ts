import type { LinkedFile, OptionValue } from "./option-tree.js";
import type { Places, Position } from "./parsed.js";
import type { Problems } from "./problems.js";

/** Collects what is wrong with one file, by the declarations that are. */
export class Reporter {
  readonly file: LinkedFile;
  readonly #problems: Problems;
  /** How many problems this file has. */
  count = 0;

  constructor(file: LinkedFile, problems: Problems) {
    this.file = file;
    this.#problems = problems;
  }

  /** Where the given part of a declaration stands, or the declaration. */
  placeOf(node: object, part: keyof Places = "name"): Position | undefined {
    const places = this.file.parsed.places.get(node);
    return places?.[part] ?? places?.name ?? places?.self;
  }

  /** The value of an option by its number in the options message: set, whatever to. */
  optionOf(node: object, number: number): OptionValue | undefined {
    return this.file.optionTrees.get(node)?.at(number);
  }

  hasOption(node: object, number: number): boolean {
    return this.optionOf(node, number) !== undefined;
  }

  /** Complains where the option stands whose name begins with `first`. */
  errorAtOption(node: object, first: string, message: string): void {
    const raw = this.file.parsed.options.get(node)?.find(({ name }) => lastWord(name[0]?.part) === first);
    this.errorAt(raw?.nameAt ?? this.placeOf(node), message);
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

function lastWord(name = ""): string {
  return name.slice(name.lastIndexOf(".") + 1);
}
