/** What a command may touch of the process it runs in, so that tests can stand in for it. */
export interface CliIo {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Appends to stdout, `text` as it is. */
  out(text: string): void;
  /** Appends to stderr, `text` as it is. */
  err(text: string): void;
  /** All of stdin as UTF-8. */
  readStdin(): Promise<string>;
  /** The lines of stdin as UTF-8, as they come, without their ends. */
  stdinLines(): AsyncIterable<string>;
  /**
   * From now on `listener` is called, once, when nobody wants more: with 130 for Ctrl-C, with 0 when whoever reads stdout has left,
   * with 1 when stdout cannot be written. Returns what ends that. A second Ctrl-C ends the process.
   */
  onStop(listener: (code: number) => void): () => void;
}

/** What one word of the command line does. */
export interface Command {
  /** Printed by `--help`; ends with a newline. */
  readonly usage: string;
  /** Resolves with the exit code. Throws `UsageError` for a wrong command line, anything else for a failure. */
  run(args: readonly string[], io: CliIo): Promise<number>;
}

/** The command line is wrong: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The command cannot do what it was asked, and the message says why: exit code 1. */
export class CliError extends Error {
  override readonly name = "CliError";
}

/** `interrupted`: 128 + the number of SIGINT, as shells count. */
export const exitCodes = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;
