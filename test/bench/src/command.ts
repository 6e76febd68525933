import type { Report } from "./report/write.js";

/** A way to run the benchmark: `npm run bench -- NAME ...`. */
export interface Command {
  usage: string;
  /** One line for the list of commands. */
  about: string;
  /** What `argv` (without the command's name) asks for; undefined: the usage. Throws UsageError, or what `parseArgs` throws. */
  parse(argv: readonly string[]): Task | undefined;
}

export interface Task {
  /** Where JSON, Markdown and plots go. */
  reportFolder: string | undefined;
  /** Measures; `startedMs` is when the command began. */
  run(startedMs: number): Promise<Report>;
}
