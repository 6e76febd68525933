import { readFileSync, statSync } from "node:fs";
import type { Clock, Timer } from "../base/clock.js";
import { textOf } from "../base/thrown.js";
import type { Logger } from "../log/logger.js";
import { SecretFileCheck } from "../log/secret-file.js";

/** Poll interval, ms. Polling finds files that were renamed into place or are links, where watching does not. */
const lookEveryMs = 2000;
/** Files of secrets, keys or rules are small; a larger one was named by mistake. */
const fileMaxBytes = 1024 * 1024;

export interface WatchedFileParts {
  readonly clock: Clock;
  readonly log: Logger;
  /** The file holds secrets: the setting that names it, for the warning if other users may read it. */
  readonly secretsOf?: string | undefined;
}

/** The content of a file, read again when it changes. If it cannot be read or parsed, the previous content stays in force. */
export class WatchedFile<T> {
  readonly path: string;
  readonly #parse: (text: string) => T;
  readonly #parts: WatchedFileParts;
  readonly #mode: SecretFileCheck | undefined;
  readonly #onChange: (value: T) => void;
  #value: T;
  #seen: string;
  /** Its state at the last poll: a file being written is read only after it looks the same twice. */
  #looked: string;
  #timer: Timer | undefined;
  /** The failure reported last: a lasting one is reported once. */
  #told: string | undefined;

  /** Reads it once; throws what reading or `parse` throws. `onChange` is given each later value. */
  constructor(
    path: string,
    parse: (text: string) => T,
    parts: WatchedFileParts,
    onChange: (value: T) => void = () => {},
  ) {
    this.path = path;
    this.#parse = parse;
    this.#parts = parts;
    this.#onChange = onChange;
    this.#seen = stampOf(path);
    this.#looked = this.#seen;
    this.#value = parse(readSmallFile(path));
    const { secretsOf, log } = parts;
    this.#mode = secretsOf === undefined ? undefined : new SecretFileCheck(secretsOf, path, log);
    this.#mode?.look();
    this.#lookLater();
  }

  get value(): T {
    return this.#value;
  }

  /** Reads it again if it has changed, but not since the last poll. */
  look(): void {
    try {
      const stamp = stampOf(this.path);
      const settled = stamp === this.#looked;
      this.#looked = stamp;
      if (!settled || stamp === this.#seen) return;
      this.#mode?.look();
      const value = this.#parse(readSmallFile(this.path));
      this.#seen = stamp;
      this.#told = undefined;
      this.#value = value;
      this.#parts.log.info(`${this.path} was read again`);
      this.#onChange(value);
    } catch (error) {
      const text = textOf(error);
      if (text === this.#told) return;
      this.#told = text;
      this.#parts.log.error(`${this.path} cannot be used, what it said before stays in force: ${text}`);
    }
  }

  close(): void {
    this.#timer?.cancel();
  }

  #lookLater(): void {
    this.#timer = this.#parts.clock.setTimer(() => {
      this.#lookLater();
      this.look();
    }, lookEveryMs);
  }
}

function stampOf(path: string): string {
  const { mtimeMs, ctimeMs, size, ino } = statSync(path);
  return `${mtimeMs} ${ctimeMs} ${size} ${ino}`;
}

/** Throws `Error` for a file that is too large. */
export function readSmallFile(path: string): string {
  if (statSync(path).size > fileMaxBytes) throw new Error(`${path} is larger than ${fileMaxBytes} bytes`);
  return readFileSync(path, "utf8");
}
