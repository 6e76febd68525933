import { statSync } from "node:fs";
import { messages } from "../error/messages.js";
import type { Logger } from "./logger.js";

/** For group and others: to read, to write. */
const groupBits = 0o060;
const otherBits = 0o006;

/**
 * The mode of a file in octal, `644`, if more users may read or write it than need to. `undefined`: they may not, there is no such file, or the
 * system has no modes. The file of another user may be open to its group, which this process then reads it by.
 */
export function openMode(file: string): string | undefined {
  if (process.platform === "win32") return undefined;
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat?.isFile() !== true) return undefined;
  const own = stat.uid === process.geteuid?.();
  const excess = stat.mode & (own ? groupBits | otherBits : otherBits);
  return excess === 0 ? undefined : (stat.mode & 0o777).toString(8);
}

/** A line for the log if more users may read or write a file of secrets than need to. `key`: the setting that names it. */
export function openFileWarning(key: string, file: string): string | undefined {
  const mode = openMode(file);
  return mode === undefined ? undefined : messages.secretFileOpen(key, file, mode);
}

/** The same, written to the log; not again while it stays as it is. */
export class SecretFileCheck {
  readonly #key: string;
  readonly #file: string;
  readonly #log: Logger;
  #told: string | undefined;

  constructor(key: string, file: string, log: Logger) {
    this.#key = key;
    this.#file = file;
    this.#log = log;
  }

  /** Looks at the file; to be called whenever it is read. Never throws. */
  look(): void {
    let text: string | undefined;
    try {
      text = openFileWarning(this.#key, this.#file);
    } catch {
      return; // Reading it fails with the reason.
    }
    if (text !== undefined && text !== this.#told) this.#log.warn(text);
    this.#told = text;
  }
}
