import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import ini from "ini";
import { type ConfigProblem, quoteFound } from "./config-error.js";

/** Far beyond any conf; keeps `-i` of a log or of a device from filling the memory. */
export const confMaxBytes = 1024 * 1024;

/** One `key=value` of a conf file, with its place. */
export interface ConfEntry {
  /** `""` above the first section. */
  readonly section: string;
  readonly key: string;
  /** Quotes, escapes and comments taken away, as `ini` does. */
  readonly text: string;
  /** What stands behind the `=`, as it is. */
  readonly raw: string;
  readonly line: number;
}

/** Something to say about one line. */
export type LineProblem = Pick<ConfigProblem, "expected" | "found"> & {
  readonly line: number;
  readonly key?: string;
};

export interface ConfDocument {
  /** In the order of the file, duplicates included. */
  readonly entries: readonly ConfEntry[];
  /** Each section header, in the order of the file. */
  readonly sections: ReadonlyArray<{ readonly name: string; readonly line: number }>;
  /** Values that end before a `#` or `;`, which may not be what was meant. */
  readonly cuts: ReadonlyArray<ConfEntry & { readonly mark: string }>;
  readonly problems: readonly LineProblem[];
  /** Lines without a `=`, which the classic framework passes over. */
  readonly skipped: ReadonlyArray<LineProblem & { readonly section: string }>;
}

/**
 * Reads the lines of a conf: `[section]`, `key=value`, `#` and `;` comments, blank lines; LF, CRLF or CR. The value's
 * own grammar (escapes, comments, double quotes) is `ini`'s. What `ini` hides is told: the lines, duplicates, cut
 * values, and lines that are neither of these. Pure, and never throws.
 */
export function parseConf(content: string): ConfDocument {
  const entries: ConfEntry[] = [];
  const sections: Array<{ name: string; line: number }> = [];
  const cuts: Array<ConfEntry & { mark: string }> = [];
  const problems: LineProblem[] = [];
  const skipped: Array<LineProblem & { section: string }> = [];
  let section = "";
  const lines = content.replace(/^\uFEFF/, "").split(/\r\n|\n|\r/);
  lines.forEach((raw, index) => {
    const line = index + 1;
    const text = raw.trim();
    if (text === "" || text.startsWith("#") || text.startsWith(";")) return;
    if (text.startsWith("[")) {
      const name = /^\[([^\]]*)\]\s*(?:[#;].*)?$/s.exec(text)?.[1]?.trim();
      if (name === undefined) problems.push({ line, expected: "[section]", found: quoteFound(text) });
      else sections.push({ name, line });
      section = name ?? "";
      return;
    }
    const equals = text.indexOf("=");
    const key = text.slice(0, equals).trim();
    if (equals === -1 || key === "") {
      // A full-width sign was meant as one: passed over, the key would have another value than one can see.
      const meant = equals !== -1 || /[＝：]/.test(text);
      const problem = { line, expected: "key=value", found: describeLine(text, equals) };
      if (meant) problems.push(problem);
      else skipped.push({ ...problem, section });
      return;
    }
    const value = text.slice(equals + 1).trim();
    const read = readValue(value);
    if ("expected" in read) {
      problems.push({ line, key: section === "" ? key : `${section}.${key}`, ...read });
      return;
    }
    const entry: ConfEntry = { section, key, text: read.text, raw: value, line };
    entries.push(entry);
    if (read.cutAt !== undefined) cuts.push({ ...entry, mark: read.cutAt });
  });
  return { entries, sections, cuts, problems, skipped };
}

/** A line that is no `key=value` may hold a misplaced secret: its first word tells enough. */
function describeLine(text: string, equals: number): string {
  if (equals !== -1) return "a value without a key";
  if (/[＝：]/.test(text)) return "a full-width ＝ or ：";
  const [word = "", ...more] = text.split(/\s+/);
  return more.length === 0 ? quoteFound(word) : `${quoteFound(word)} and no "="`;
}

type ReadValue = { text: string; cutAt?: string } | { expected: string; found: string };

function readValue(raw: string): ReadValue {
  const quote = raw.charAt(0);
  if (quote === "'") {
    // `ini` would read JSON between single quotes: '5' as a number, '[1]' as an array.
    const match = /^'([^']*)'\s*(?:[#;].*)?$/s.exec(raw);
    if (match === null) return { expected: "a closing ' at the end of the value", found: "none" };
    return { text: match[1] ?? "" };
  }
  if (quote === '"') {
    const match = /^("(?:[^"\\]|\\.)*")\s*(?:[#;].*)?$/s.exec(raw);
    if (match === null) return { expected: 'a closing " at the end of the value', found: "none" };
    const quoted = match[1] ?? "";
    const text = ini.unsafe(quoted);
    if (text !== quoted) return { text };
    return {
      expected: 'JSON between double quotes (\\\\ for a backslash, \\" for a quote)',
      found: "something else",
    };
  }
  // A backslash takes the next character with it, so that `\#` ends nothing.
  const mark = /^(?:\\.|[^\\#;])*([#;])/s.exec(raw)?.[1];
  const text = ini.unsafe(raw);
  return mark === undefined ? { text } : { text, cutAt: mark };
}

/** Why a file's bytes are no conf, or its text. */
export function decodeConf(bytes: Uint8Array): { text: string } | { expected: string; found: string } {
  if (bytes.length > confMaxBytes) {
    return { expected: `a conf file of at most ${confMaxBytes} bytes`, found: "a larger one" };
  }
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    return { expected: "UTF-8 text", found: "UTF-16" };
  }
  if (bytes.includes(0)) return { expected: "UTF-8 text", found: "binary data (a NUL byte)" };
  // Not fatal: a comment in GBK harms nobody. A key or value that cannot be read is refused where it is used.
  return { text: new TextDecoder("utf-8").decode(bytes) };
}

/** Reads a file, a pipe or a device; one byte more than allowed is enough to know that it is too large. */
export function readConfBytes(path: string): Uint8Array {
  const descriptor = openSync(path, "r");
  try {
    if (fstatSync(descriptor).isDirectory()) {
      throw Object.assign(new Error(`${path} is a directory`), { code: "EISDIR" });
    }
    const buffer = Buffer.allocUnsafe(confMaxBytes + 1);
    let length = 0;
    while (length < buffer.length) {
      const read = readSync(descriptor, buffer, length, buffer.length - length, null);
      if (read === 0) break;
      length += read;
    }
    return buffer.subarray(0, length);
  } finally {
    closeSync(descriptor);
  }
}

/** A file system error as the "found" of a message. */
export function describeReadError(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const known: ReadonlyMap<string, string> = new Map([
    ["ENOENT", "no such file"],
    ["ENOTDIR", "no such file (a part of the path is not a directory)"],
    ["EISDIR", "a directory"],
    ["EACCES", "a file this user may not read"],
    ["EPERM", "a file this user may not read"],
    ["ENAMETOOLONG", "a path that is too long"],
    ["ELOOP", "a symbolic link that leads in a circle"],
  ]);
  return known.get(code) ?? `an error: ${error instanceof Error ? error.message : String(error)}`;
}
