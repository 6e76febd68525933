import { CommentCollector, type Comments, noComments } from "./comments.js";

export type TokenType = "start" | "identifier" | "integer" | "float" | "string" | "symbol" | "end";

/** Lines and columns count from 0, as in `SourceCodeInfo`; a column is a byte, a tab goes to the next multiple of 8. */
export interface Token {
  readonly type: TokenType;
  /** As it stands in the source, quotes and escapes included; one character stands for one byte. */
  readonly text: string;
  readonly line: number;
  readonly column: number;
  readonly endColumn: number;
}

export type ReportAt = (line: number, column: number, message: string) => void;

export interface TokenizerOptions {
  /** The text format's rules: comments begin with `#`, a float may end in `f`. */
  readonly textFormat?: boolean;
}

const newline = 10;
const tab = 9;
const slash = 47;
const asterisk = 42;
const backslash = 92;
const hash = 35;

const classes = new Uint8Array(256);
const space = 1;
const letter = 2;
const digit = 4;
const hexDigit = 8;
const octalDigit = 16;
for (const one of " \t\r\v\f") classes[one.charCodeAt(0)] = space;
for (let code = 0; code < 128; code++) {
  const one = String.fromCharCode(code);
  if (/[A-Za-z_]/.test(one)) classes[code]! |= letter;
  if (/[0-9]/.test(one)) classes[code]! |= digit;
  if (/[0-9A-Fa-f]/.test(one)) classes[code]! |= hexDigit;
  if (/[0-7]/.test(one)) classes[code]! |= octalDigit;
}

/**
 * Splits the bytes of a .proto file into tokens. The source is a string of bytes (`latin1`), so that columns and the
 * contents of strings are those of the file, whatever its encoding.
 */
export class Tokenizer {
  readonly #source: string;
  readonly #report: ReportAt;
  readonly #textFormat: boolean;
  #pos = 0;
  #line = 0;
  #lineStart = 0;
  /** How many columns the tabs of this line have added. */
  #tabColumns = 0;
  current: Token = { type: "start", text: "", line: 0, column: 0, endColumn: 0 };
  previous: Token = this.current;

  constructor(source: string, report: ReportAt, { textFormat = false }: TokenizerOptions = {}) {
    this.#source = source;
    this.#report = report;
    this.#textFormat = textFormat;
  }

  /** To the next token; comments are skipped. */
  next(): void {
    this.previous = this.current;
    this.#skipBlank();
    this.#take();
  }

  /** To the next token, with the comments between this one and that: who they belong to follows protoc's rules. */
  nextWithComments(): Comments {
    const collector = new CommentCollector();
    const before = this.#line;
    let trailingEndLine = -1;
    if (this.current.type === "start") {
      this.#skipByteOrderMark();
      collector.detachFromPrevious();
    } else {
      this.#skipSpace();
      const kind = this.#commentAhead();
      if (kind === "line") {
        trailingEndLine = this.#line;
        this.#lineComment(collector);
        collector.flush();
      } else if (kind === "block") {
        this.#blockComment(collector);
        trailingEndLine = this.#line;
        this.#skipSpace();
        collector.flush();
      } else if (!this.#tryNewline()) {
        this.next();
        return noComments;
      }
    }
    for (;;) {
      this.#skipSpace();
      const kind = this.#commentAhead();
      if (kind === "line") this.#lineComment(collector);
      else if (kind === "block") {
        this.#blockComment(collector);
        this.#skipSpace();
        this.#tryNewline();
      } else if (this.#tryNewline()) {
        collector.flush();
        collector.detachFromPrevious();
      } else {
        const line = this.#line;
        this.next();
        const { type, text } = this.current;
        if (type === "end" || text === "}" || text === "]" || text === ")") collector.flush();
        else if (before === line || trailingEndLine === line) collector.detachTheOnlyOne();
        return collector.result();
      }
    }
  }

  #skipByteOrderMark(): void {
    if (!this.#source.startsWith("\xef")) return;
    if (this.#source.startsWith("\xef\xbb\xbf")) {
      // The mark has no columns that anybody sees.
      this.#pos = 3;
      return;
    }
    this.#report(0, 0, "the file begins with byte 0xEF, which is no byte order mark of UTF-8");
  }

  #column(at: number): number {
    return at - this.#lineStart + this.#tabColumns;
  }

  /** Goes to `end`, minding the lines and tabs in between. */
  #advance(end: number): void {
    const source = this.#source;
    for (let at = this.#pos; at < end; at++) {
      const code = source.charCodeAt(at);
      if (code === newline) {
        this.#line++;
        this.#lineStart = at + 1;
        this.#tabColumns = 0;
      } else if (code === tab) this.#tabColumns += 7 - (this.#column(at) % 8);
    }
    this.#pos = end;
  }

  #skipSpace(): void {
    let end = this.#pos;
    while (classes[this.#source.charCodeAt(end)] === space) end++;
    if (end !== this.#pos) this.#advance(end);
  }

  #tryNewline(): boolean {
    if (this.#source.charCodeAt(this.#pos) !== newline) return false;
    this.#advance(this.#pos + 1);
    return true;
  }

  #commentAhead(): "line" | "block" | undefined {
    const code = this.#source.charCodeAt(this.#pos);
    if (this.#textFormat) return code === hash ? "line" : undefined;
    if (code !== slash) return undefined;
    const second = this.#source.charCodeAt(this.#pos + 1);
    return second === slash ? "line" : second === asterisk ? "block" : undefined;
  }

  #skipBlank(): void {
    for (;;) {
      let end = this.#pos;
      for (let code = this.#source.charCodeAt(end); classes[code] === space || code === newline; ) {
        code = this.#source.charCodeAt(++end);
      }
      if (end !== this.#pos) this.#advance(end);
      const kind = this.#commentAhead();
      if (kind === undefined) return;
      if (kind === "line") this.#lineComment();
      else this.#blockComment();
    }
  }

  #lineComment(collector?: CommentCollector): void {
    const start = this.#pos + (this.#textFormat ? 1 : 2);
    const found = this.#source.indexOf("\n", start);
    const end = found < 0 ? this.#source.length : found + 1;
    collector?.line(this.#source.slice(start, end));
    this.#advance(end);
  }

  #blockComment(collector?: CommentCollector): void {
    const line = this.#line;
    const column = this.#column(this.#pos);
    const start = this.#pos + 2;
    const found = this.#source.indexOf("*/", start);
    const end = found < 0 ? this.#source.length : found;
    const inner = this.#source.slice(start, end);
    collector?.block(inner);
    for (let at = inner.indexOf("/*"); at >= 0; at = inner.indexOf("/*", at + 2)) {
      this.#advance(start + at + 1);
      this.#report(this.#line, this.#column(this.#pos), "block comments cannot hold another /*");
    }
    if (inner.endsWith("/") && found >= 0) {
      this.#advance(end);
      this.#report(this.#line, this.#column(end), "block comments cannot hold another /*");
    }
    this.#advance(found < 0 ? end : end + 2);
    if (found < 0) this.#report(line, column, "this block comment has no end: */ is missing");
  }

  /** Reads the token that begins here. */
  #take(): void {
    const source = this.#source;
    for (;;) {
      const start = this.#pos;
      if (start >= source.length) {
        const column = this.#column(start);
        this.current = { type: "end", text: "", line: this.#line, column, endColumn: column };
        return;
      }
      const code = source.charCodeAt(start);
      const kind = classes[code]!;
      if ((kind & letter) !== 0) {
        let end = start + 1;
        while ((classes[source.charCodeAt(end)]! & (letter | digit)) !== 0) end++;
        this.#set("identifier", end);
      } else if ((kind & digit) !== 0) this.#number();
      else if (code === 46 && (classes[source.charCodeAt(start + 1)]! & digit) !== 0) this.#pointNumber();
      else if (code === 34 || code === 39) this.#string(code);
      else if (code < 32 || code === 127) {
        this.#skipControls();
        this.#skipBlank();
        continue;
      } else {
        if (code >= 128) this.#report(this.#line, this.#column(start), notAscii(code));
        this.#set("symbol", start + 1);
      }
      return;
    }
  }

  #set(type: TokenType, end: number): void {
    const line = this.#line;
    const column = this.#column(this.#pos);
    const text = this.#source.slice(this.#pos, end);
    if (type === "string") this.#advance(end);
    else this.#pos = end;
    this.current = { type, text, line, column, endColumn: this.#column(end) };
  }

  #skipControls(): void {
    this.#report(this.#line, this.#column(this.#pos), "a control character stands outside of a string");
    let end = this.#pos;
    for (let code = this.#source.charCodeAt(end); code < 32 || code === 127; ) {
      if (classes[code] === space || code === newline) break;
      code = this.#source.charCodeAt(++end);
    }
    this.#pos = end;
  }

  #pointNumber(): void {
    const { type, line, endColumn } = this.previous;
    // `foo.5` is a typing error rather than a name and a number.
    if (type === "identifier" && line === this.#line && endColumn === this.#column(this.#pos)) {
      this.#report(this.#line, this.#column(this.#pos), "a space is missing between the name and the number");
    }
    this.#number();
  }

  #number(): void {
    const { type, end, problem } = scanNumber(this.#source, this.#pos, this.#textFormat);
    if (problem !== undefined) this.#report(this.#line, this.#column(problem.at), problem.message);
    this.#set(type, end);
  }

  #string(quote: number): void {
    const source = this.#source;
    let end = this.#pos + 1;
    for (;;) {
      const code = source.charCodeAt(end);
      if (code === quote) {
        end++;
        break;
      }
      if (end >= source.length) {
        this.#report(this.#line, this.#column(this.#pos), "the string has no closing quote");
        break;
      }
      if (code === newline && !this.#textFormat) {
        this.#report(this.#line, this.#column(end), "the string has no closing quote in its line");
        break;
      }
      if (code === backslash) end += this.#escape(end);
      else end++;
    }
    this.#set("string", end);
  }

  /** How long the escape at `at` is; complains about one that does not exist. */
  #escape(at: number): number {
    const second = this.#source[at + 1] ?? "";
    if (second !== "" && `abfnrtv\\?'"01234567`.includes(second)) return 2;
    const wanted = second === "u" ? 4 : second === "U" ? 8 : 1;
    const digits = /^[0-9A-Fa-f]*/.exec(this.#source.slice(at + 2, at + 2 + wanted))?.[0] ?? "";
    const complain = (message: string) => this.#report(this.#line, this.#column(at), message);
    if (second === "x" || second === "X") {
      if (digits === "") complain(`\\${second} needs hexadecimal digits behind it`);
    } else if (second === "u") {
      if (digits.length < 4) complain("\\u needs four hexadecimal digits behind it");
    } else if (second === "U") {
      if (digits.length < 8 || Number.parseInt(digits, 16) > 0x1fffff)
        complain("\\U needs eight hexadecimal digits behind it, 10ffff at most");
    } else {
      complain(`there is no escape \\${second.trim()}`);
      return 1;
    }
    return 2 + digits.length;
  }
}

function notAscii(code: number): string {
  return `byte 0x${code.toString(16)} stands outside of strings and comments, where only ASCII may`;
}

interface ScannedNumber {
  readonly type: "integer" | "float";
  readonly end: number;
  readonly problem: { readonly at: number; readonly message: string } | undefined;
}

function scanNumber(source: string, start: number, textFormat: boolean): ScannedNumber {
  const is = (at: number, mask: number): boolean => (classes[source.charCodeAt(at)]! & mask) !== 0;
  let end = start;
  let type: "integer" | "float" = "integer";
  let problem: ScannedNumber["problem"];
  const complain = (at: number, message: string) => {
    problem ??= { at, message };
  };
  const run = (mask: number) => {
    while (is(end, mask)) end++;
  };
  const second = source[start + 1];
  if (source[start] === "0" && (second === "x" || second === "X")) {
    end += 2;
    if (!is(end, hexDigit)) complain(end, "0x needs hexadecimal digits behind it");
    run(hexDigit);
  } else if (source[start] === "0" && is(start + 1, digit)) {
    run(octalDigit);
    if (is(end, digit)) {
      complain(end, "a number that begins with 0 is octal: its digits go from 0 to 7");
      run(digit);
    }
  } else {
    run(digit);
    if (source[end] === ".") {
      type = "float";
      end++;
      run(digit);
    }
    if (source[end] === "e" || source[end] === "E") {
      type = "float";
      end++;
      if (source[end] === "-" || source[end] === "+") end++;
      if (!is(end, digit)) complain(end, "the exponent has no digits");
      run(digit);
    }
    if (textFormat && (source[end] === "f" || source[end] === "F")) {
      type = "float";
      end++;
    }
  }
  if (is(end, letter) && !textFormat) complain(end, "a space is missing between the number and the name");
  else if (source[end] === ".") {
    complain(
      end,
      type === "float"
        ? "a number has one decimal point or exponent"
        : "hexadecimal and octal numbers are whole",
    );
  }
  return { type, end, problem };
}
