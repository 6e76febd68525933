import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { makeFolderSync } from "../base/make-folder.js";
import { reportToStderr } from "../log/report.js";
import { type Day, fileNameOf } from "./day.js";

/** Where lines go. Its methods are synchronous: they run in the worker, or in main when the process is ending. */
export interface Destination {
  /** For error texts. */
  nameOf(day: Day): string;
  /**
   * Writes some of `bytes` (whole lines, each ended by `\n`) from `offset` on and returns the new offset; the same
   * offset when it cannot take any just now. Throws the system's error when writing fails.
   */
  write(bytes: Buffer, offset: number, day: Day): number;
}

/** Plain data, because it travels to the worker. */
export type DestinationOptions = FileOptions | ConsoleOptions;

export interface FileOptions {
  kind: "file";
  dir: string;
  /** See `LoggerOptions.file`. */
  pattern: string;
  /** 0 never rotates. */
  maxBytes: number;
  maxFiles: number;
}

export interface ConsoleOptions {
  kind: "console";
  fd: 1 | 2;
}

/** Opens nothing yet: a folder that cannot be written is found at the first line. */
export function createDestination(options: DestinationOptions): Destination {
  return options.kind === "file" ? new FileDestination(options) : new ConsoleDestination(options);
}

/** A pipe takes 64 KiB; larger writes would only hide how far a slow reader has come. */
const consoleWriteBytes = 64 * 1024;

class ConsoleDestination implements Destination {
  readonly #fd: 1 | 2;

  constructor({ fd }: ConsoleOptions) {
    this.#fd = fd;
  }

  nameOf(): string {
    return this.#fd === 1 ? "stdout" : "stderr";
  }

  write(bytes: Buffer, offset: number): number {
    try {
      return offset + writeSync(this.#fd, bytes, offset, Math.min(bytes.length - offset, consoleWriteBytes));
    } catch (error) {
      if (codeOf(error) === "EAGAIN") return offset;
      throw error;
    }
  }
}

const newline = 0x0a;

/**
 * One file per day, rotated by size between two lines. Before each write it looks at the path again, so a file that was
 * removed, emptied or renamed by somebody else (logrotate, an operator making room) is simply begun anew.
 */
class FileDestination implements Destination {
  readonly #options: FileOptions;
  #open: { fd: number; path: string; device: number; inode: number } | undefined;
  #rotationFailed = false;

  constructor(options: FileOptions) {
    this.#options = options;
  }

  nameOf(day: Day): string {
    return join(this.#options.dir, fileNameOf(this.#options.pattern, day));
  }

  write(bytes: Buffer, offset: number, day: Day): number {
    try {
      return this.#append(bytes, offset, this.nameOf(day));
    } catch (error) {
      // Opened anew at the next attempt: the place may have been repaired by putting another file there.
      this.#close();
      throw error;
    }
  }

  #append(bytes: Buffer, offset: number, path: string): number {
    let start = offset;
    let size = this.#sizeOfOpen(path);
    const opened = size === undefined;
    size ??= this.#openFile(path);
    let midLine = start > 0 && bytes[start - 1] !== newline;
    if (midLine && size === 0) {
      // The first half of the line went with the file that held it.
      start = bytes.lastIndexOf(newline, start - 1) + 1;
      midLine = false;
    }
    if (opened && !midLine && size > 0) size += this.#endTornLine(path, size);

    const { maxBytes } = this.#options;
    let end = bytes.length;
    if (maxBytes > 0) {
      const lineEnd = bytes.indexOf(newline, start) + 1;
      if (!midLine && size > 0 && size + lineEnd - start > maxBytes && this.#rotate(path)) {
        size = this.#openFile(path);
      }
      if (size + end - start > maxBytes) {
        const room = start + maxBytes - size;
        const lastFitting = room > start ? bytes.lastIndexOf(newline, room - 1) + 1 : 0;
        end = Math.max(lastFitting, lineEnd);
      }
    }
    return start + writeSync((this.#open as { fd: number }).fd, bytes, start, end - start);
  }

  /** The size of the open file; undefined when there is none or the path no longer leads to it. */
  #sizeOfOpen(path: string): number | undefined {
    if (this.#open === undefined) return undefined;
    const found = statSync(path, { throwIfNoEntry: false });
    const same =
      this.#open.path === path && found?.ino === this.#open.inode && found.dev === this.#open.device;
    if (same) return found.size;
    this.#close();
    return undefined;
  }

  /** Returns its size. */
  #openFile(path: string): number {
    makeFolderSync(this.#options.dir);
    // Whoever is neither the user nor of the group has no business with it.
    const fd = openSync(path, "a", 0o640);
    const { size, dev, ino } = fstatSync(fd);
    this.#open = { fd, path, device: dev, inode: ino };
    return size;
  }

  #close(): void {
    if (this.#open === undefined) return;
    const { fd } = this.#open;
    this.#open = undefined;
    try {
      closeSync(fd);
    } catch {
      // What close reports belongs to writes that were already answered for.
    }
  }

  /** A killed process may have left half a line: ends it, so that ours begins a line. Returns the bytes added. */
  #endTornLine(path: string, size: number): number {
    let last = newline;
    try {
      const fd = openSync(path, "r");
      try {
        const byte = Buffer.alloc(1);
        if (readSync(fd, byte, 0, 1, size - 1) === 1) last = byte[0] as number;
      } finally {
        closeSync(fd);
      }
    } catch {
      // A file that may be written but not read is left as it is.
    }
    return last === newline ? 0 : writeSync((this.#open as { fd: number }).fd, "\n");
  }

  /** `log` becomes `log.1`, `log.1` becomes `log.2`, and so on; from the far end, so that a kill in between loses none. */
  #rotate(path: string): boolean {
    try {
      // Up to the first free name, or the oldest file, which is overwritten.
      let last = 1;
      while (last < this.#options.maxFiles && existsSync(`${path}.${last}`)) last += 1;
      for (let n = last; n >= 1; n -= 1) renameIfThere(n === 1 ? path : `${path}.${n - 1}`, `${path}.${n}`);
    } catch (error) {
      // A file that is too long is better than lines that are lost.
      if (!this.#rotationFailed)
        reportToStderr(`cannot rotate ${path}: ${messageOf(error)}; writing on into it`);
      this.#rotationFailed = true;
      return false;
    }
    this.#rotationFailed = false;
    this.#close();
    return true;
  }
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
