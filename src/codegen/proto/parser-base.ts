import {
  type DescriptorProto,
  type Edition,
  FileDescriptorProto,
  type SourceCodeInfo_Location,
} from "../../descriptor/gen/google/protobuf/descriptor.js";
import type { Comments } from "./comments.js";
import { integerOf, textOf, unquote } from "./literals.js";
import type { ParsedImport, Places, Position, RawOption } from "./parsed.js";
import { type ReportAt, type Token, Tokenizer, type TokenType } from "./tokenizer.js";

export type Location = SourceCodeInfo_Location;

/** Thrown where a statement cannot be read any further; whoever holds the block skips it and goes on. */
export const broken = new Error("the statement cannot be read any further");

const int32Max = 2_147_483_647n;

/** Where the messages go that groups and map fields declare. */
export interface MessageHome {
  readonly list: DescriptorProto[];
  readonly parent: Location;
  /** The number of the list's field in its own descriptor. */
  readonly field: number;
  /** How deep a message of the list is: 1 for those of a file. */
  readonly depth: number;
  /** Reads what stands in the braces of a message. */
  readonly block: (p: ParserBase, message: DescriptorProto, location: Location, depth: number) => void;
}

/** Tokens, locations and comments: what every part of the grammar needs. */
export class ParserBase {
  readonly #tokens: Tokenizer;
  readonly #report: ReportAt;
  readonly places = new Map<object, Places>();
  readonly options = new Map<object, RawOption[]>();
  readonly mapEntries = new Set<object>();
  readonly imports: ParsedImport[] = [];
  readonly imported = new Set<string>();
  readonly file: FileDescriptorProto;
  locations: Location[] = [];
  syntax: "proto2" | "proto3" | "editions" = "proto2";
  edition: Edition | 0 = 0;
  #leading = "";
  #detached: string[] = [];

  constructor(source: string, name: string, report: ReportAt) {
    this.#report = report;
    this.#tokens = new Tokenizer(source, report);
    this.file = FileDescriptorProto.create({ name });
    const { leading, detached } = this.#tokens.nextWithComments();
    this.#leading = leading;
    this.#detached = [...detached];
  }

  get token(): Token {
    return this.#tokens.current;
  }

  get previous(): Token {
    return this.#tokens.previous;
  }

  next(): void {
    this.#tokens.next();
  }

  /** Complains about the token ahead, or what stands at `at`. */
  error(message: string, at: Position = this.token): void {
    this.#report(at.line, at.column, message);
  }

  fail(message: string, at?: Position): never {
    this.error(message, at);
    throw broken;
  }

  /** The token ahead as error texts name it. */
  get shown(): string {
    const { type, text } = this.token;
    if (type === "end") return "the end of the file";
    return text.length > 40 ? `${textOf(text.slice(0, 40))}...` : textOf(text);
  }

  at(text: string): boolean {
    return this.#tokens.current.text === text;
  }

  atType(type: TokenType): boolean {
    return this.#tokens.current.type === type;
  }

  get atEnd(): boolean {
    return this.#tokens.current.type === "end";
  }

  tryTake(text: string): boolean {
    if (!this.at(text)) return false;
    this.next();
    return true;
  }

  take(text: string, wanted = `"${text}"`): void {
    if (!this.tryTake(text)) this.fail(`expected ${wanted}, not ${this.shown}`);
  }

  identifier(wanted: string): string {
    if (!this.atType("identifier")) this.fail(`expected ${wanted}, not ${this.shown}`);
    const { text } = this.token;
    this.next();
    return text;
  }

  /** A whole number from 0 to `max`. */
  integer(wanted: string, max = int32Max): bigint {
    if (!this.atType("integer")) this.fail(`expected ${wanted}, not ${this.shown}`);
    const value = integerOf(this.token.text);
    // The tokenizer has complained about digits that are none.
    if (value !== undefined && value > max) this.error(`${this.token.text} is too large: at most ${max}`);
    this.next();
    return value === undefined || value > max ? 0n : value;
  }

  signedInteger(wanted: string): number {
    const negative = this.tryTake("-");
    const value = Number(this.integer(wanted, negative ? int32Max + 1n : int32Max));
    return negative ? 0 - value : value;
  }

  /** One or more string tokens as one string of bytes. */
  bytes(wanted: string): string {
    if (!this.atType("string")) this.fail(`expected ${wanted}, not ${this.shown}`);
    const parts: string[] = [];
    for (; this.atType("string"); this.next()) parts.push(unquote(this.token.text));
    return parts.join("");
  }

  string(wanted: string): string {
    return textOf(this.bytes(wanted));
  }

  /**
   * Takes the token that ends a declaration's head, and hands out the comments around it: those in front of the
   * declaration and behind this token are `location`'s, the others wait for the next declaration.
   */
  tryTakeEnd(text: string, location?: Location): boolean {
    if (!this.at(text)) return false;
    const comments: Comments = this.#tokens.nextWithComments();
    const leading = this.#leading;
    this.#leading = comments.leading;
    if (location !== undefined) {
      if (leading !== "") location.leadingComments = textOf(leading);
      if (comments.trailing !== "") location.trailingComments = textOf(comments.trailing);
      location.leadingDetachedComments = this.#detached.map(textOf);
      this.#detached = [...comments.detached];
    } else if (text === "}") this.#detached = [...comments.detached];
    else this.#detached.push(...comments.detached);
    return true;
  }

  takeEnd(text: string, location?: Location): void {
    if (!this.tryTakeEnd(text, location)) this.fail(`expected "${text}", not ${this.shown}`);
  }

  /** A location that begins at the token ahead. `close` ends it. */
  open(parent: Location | undefined, ...path: number[]): Location {
    const { line, column } = this.token;
    const location: Location = {
      path: parent === undefined ? path : [...parent.path, ...path],
      span: [line, column],
      leadingComments: undefined,
      trailingComments: undefined,
      leadingDetachedComments: [],
    };
    this.locations.push(location);
    return location;
  }

  /** Ends a location behind the token taken last. */
  close(location: Location): void {
    if (location.span.length === 2) this.endAt(location, this.previous);
  }

  startAt(location: Location, { line, column }: Position): void {
    location.span = [line, column];
  }

  endAt({ span }: Location, { line, endColumn }: Token): void {
    if (line !== span[0]) span.push(line);
    span.push(endColumn);
  }

  placesOf(node: object): Places {
    let places = this.places.get(node);
    if (places === undefined) {
      places = {};
      this.places.set(node, places);
    }
    return places;
  }

  /** Reads statements until the block ends; one that is broken is skipped. */
  block(what: string, statement: () => void): void {
    while (!this.tryTakeEnd("}")) {
      if (this.atEnd) this.fail(`${what} has no end: "}" is missing`);
      this.recovering(statement);
    }
  }

  /** Runs `statement`; behind one that cannot be read, parsing goes on with the next. */
  recovering(statement: () => void): void {
    try {
      statement();
    } catch (thrown) {
      if (thrown !== broken) throw thrown;
      this.#skipStatement();
    }
  }

  #skipStatement(): void {
    for (; !this.atEnd; this.next()) {
      if (!this.atType("symbol")) continue;
      if (this.tryTakeEnd(";")) return;
      if (this.tryTake("{")) {
        this.#skipBlock();
        return;
      }
      if (this.at("}")) return;
    }
  }

  #skipBlock(): void {
    let depth = 1;
    while (!this.atEnd) {
      if (this.atType("symbol")) {
        if (this.tryTakeEnd("}")) {
          depth--;
          if (depth === 0) return;
          continue;
        }
        if (this.at("{")) depth++;
      }
      this.next();
    }
  }
}
