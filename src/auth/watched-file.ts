import { readFileSync, statSync } from "node:fs";
import type { Clock, Timer } from "../base/clock.js";
import { textOf } from "../base/thrown.js";
import { messages } from "../error/messages.js";
import type { Logger } from "../log/logger.js";
import { FileModeCheck, openFileWarning, writableFileWarning } from "../log/secret-file.js";

/** Poll interval, ms. Polling finds files that were renamed into place or are links, where watching does not. */
const lookEveryMs = 2000;
/** Files of secrets, keys or rules are small; a larger one was named by mistake. */
const fileMaxBytes = 1024 * 1024;

export interface WatchedFileParts {
  readonly clock: Clock;
  readonly log: Logger;
  /** The setting that names the file, for messages. */
  readonly setting: string;
  /** It holds secrets: a warning is logged if other users may read it. Default false: only if all may write it. */
  readonly secret?: boolean;
}

/** The content of a file, read again when it changes. If it cannot be read or parsed, the previous content stays in force. */
export class WatchedFile<T> {
  readonly path: string;
  readonly #parse: (text: string) => T;
  readonly #parts: WatchedFileParts;
  readonly #mode: FileModeCheck;
  readonly #onChange: (value: T) => void;
  #value: T;
  #seen = "";
  /** Its state at the last poll: a file being written is read only after it looks the same twice. */
  #looked: string;
  #timer: Timer | undefined;
  /** The failure reported last: a lasting one is reported once. */
  #told: string | undefined;

  /** Reads it once; throws `Error` that names the setting for a file that cannot be read, and what `parse` throws. `onChange` is given each later value. */
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
    const { setting, secret, log } = parts;
    const text = named(setting, path, () => {
      this.#seen = stampOf(path);
      return readSmallFile(path);
    });
    this.#looked = this.#seen;
    this.#value = parse(text);
    this.#mode = new FileModeCheck(setting, path, log, secret ? openFileWarning : writableFileWarning);
    this.#mode.look();
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
      this.#mode.look();
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

function named<T>(setting: string, path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(messages.settingsFileUnreadable(setting, path, code ?? textOf(error)), { cause: error });
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
