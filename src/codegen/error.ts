/** One thing that is wrong with a .proto file, and where. */
export interface Problem {
  /** The file as it was named on the command line or found through an import. */
  readonly file: string;
  /** From 1; undefined when the whole file is meant. */
  readonly line?: number | undefined;
  /** From 1, in bytes; a tab goes to the next multiple of 8, as in protoc's errors. */
  readonly column?: number | undefined;
  /** The text alone. */
  readonly message: string;
}

/** What is wrong with .proto files, a line for each problem: `user.proto:12:3: message`. */
export class CodegenError extends Error {
  override readonly name = "CodegenError";
  /** At least one, in the order they were found. */
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]);
  constructor(file: string, line: number | undefined, message: string);
  constructor(problems: readonly Problem[] | string, line?: number, message = "") {
    const all = typeof problems === "string" ? [{ file: problems, line, message }] : problems;
    super(all.map(shown).join("\n"));
    this.problems = all;
  }

  /** The first problem's file. */
  get file(): string {
    return this.problems[0]?.file ?? "";
  }

  /** The first problem's line. */
  get line(): number | undefined {
    return this.problems[0]?.line;
  }

  /** The first problem's text alone. */
  get rawMessage(): string {
    return this.problems[0]?.message ?? "";
  }
}

/** A problem in one line: `user.proto:12:3: message`. */
export function shown({ file, line, column, message }: Problem): string {
  const place = [file, line, column].filter((part) => part !== undefined).join(":");
  return `${place}: ${message}`;
}
