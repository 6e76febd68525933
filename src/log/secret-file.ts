import { type Stats, statSync } from "node:fs";
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
  const stat = openStat(file);
  return stat === undefined ? undefined : modeOf(stat);
}

function openStat(file: string): Stats | undefined {
  if (process.platform === "win32") return undefined;
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat?.isFile() !== true) return undefined;
  const excess = stat.mode & (isOwn(stat) ? groupBits | otherBits : otherBits);
  return excess === 0 ? undefined : stat;
}

const isOwn = ({ uid }: Stats): boolean => uid === process.geteuid?.();

/** In octal, `644`. */
export const modeOf = ({ mode }: Stats): string => (mode & 0o777).toString(8);

/** The command that closes a file to other users and leaves it open to this process, which needs its group for the file of another user. */
export function closingCommand(file: string, stat: Stats): string {
  if (isOwn(stat)) return messages.closeOwnFile(file);
  const groups = process.getgroups?.() ?? [];
  const group = groups.includes(stat.gid) ? stat.gid : process.getegid?.();
  return messages.closeFileOfAnother(String(group), file);
}

/** A line for the log if more users may read or write a file of secrets than need to. `key`: the setting that names it. */
export function openFileWarning(key: string, file: string): string | undefined {
  const stat = openStat(file);
  if (stat === undefined) return undefined;
  return messages.secretFileOpen(key, file, modeOf(stat), closingCommand(file, stat));
}

/**
 * The same for a file of rules, certificates or public keys: all may read it, but whoever writes it gives himself rights. The group may write
 * it, since each user may have a group of his own.
 */
export function writableFileWarning(key: string, file: string): string | undefined {
  if (process.platform === "win32") return undefined;
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat?.isFile() !== true || (stat.mode & 0o002) === 0) return undefined;
  return messages.fileWritable(key, file, modeOf(stat));
}

/** Such a line, written to the log; not again while it stays as it is. */
export class FileModeCheck {
  readonly #key: string;
  readonly #file: string;
  readonly #log: Logger;
  readonly #warningOf: typeof openFileWarning;
  #told: string | undefined;

  constructor(key: string, file: string, log: Logger, warningOf = openFileWarning) {
    this.#key = key;
    this.#file = file;
    this.#log = log;
    this.#warningOf = warningOf;
  }

  /** Looks at the file; to be called whenever it is read. Never throws. */
  look(): void {
    let text: string | undefined;
    try {
      text = this.#warningOf(this.#key, this.#file);
    } catch {
      return; // Reading it fails with the reason.
    }
    if (text !== undefined && text !== this.#told) this.#log.warn(text);
    this.#told = text;
  }
}
