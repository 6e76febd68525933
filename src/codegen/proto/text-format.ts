import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "../../descriptor/gen/google/protobuf/descriptor.js";
import { floatOf, integerOf, unquote } from "./literals.js";
import { OptionTree, type OptionValue } from "./option-tree.js";
import { enumNumber, integerRange, WrongValue } from "./option-values.js";
import type { FieldSymbol, MessageSymbol } from "./symbols.js";
import { type Token, Tokenizer } from "./tokenizer.js";

/** Finds what names in brackets mean. */
export interface TextFormatNames {
  extension(message: MessageSymbol, name: string): FieldSymbol | undefined;
  /** The type behind `type.googleapis.com/`. */
  anyType(prefix: string, name: string): MessageSymbol | undefined;
}

/** A real message has a few levels; text of the worst kind must not use up the stack. */
const nestingMax = 100;

/** Reads a message in the text format. Throws `WrongValue`. */
export function parseTextFormat(text: string, message: MessageSymbol, names: TextFormatNames): OptionTree {
  const parser = new TextParser(text, names);
  const tree = parser.message(message, undefined, 0);
  requireAll(message, tree);
  return tree;
}

class TextParser {
  readonly #tokens: Tokenizer;
  readonly #names: TextFormatNames;

  constructor(text: string, names: TextFormatNames) {
    this.#names = names;
    this.#tokens = new Tokenizer(
      text,
      (_line, _column, message) => {
        throw new WrongValue(message);
      },
      { textFormat: true },
    );
    this.#tokens.next();
  }

  get #token(): Token {
    return this.#tokens.current;
  }

  #fail(message: string): never {
    throw new WrongValue(message);
  }

  get #shown(): string {
    return this.#token.type === "end" ? "the end of the value" : this.#token.text.slice(0, 40);
  }

  #try(text: string): boolean {
    if (this.#token.text !== text || this.#token.type === "string") return false;
    this.#tokens.next();
    return true;
  }

  #take(text: string): void {
    if (!this.#try(text)) this.#fail(`expected "${text}", not ${this.#shown}`);
  }

  #identifier(): string {
    if (this.#token.type !== "identifier") this.#fail(`expected a name, not ${this.#shown}`);
    const { text } = this.#token;
    this.#tokens.next();
    return text;
  }

  /** The fields up to `end`; up to the end of the text when that is undefined. */
  message(message: MessageSymbol, end: string | undefined, depth: number): OptionTree {
    if (depth > nestingMax) this.#fail(`messages are nested more than ${nestingMax} deep`);
    const tree = new OptionTree();
    while (end === undefined ? this.#token.type !== "end" : !this.#try(end)) {
      if (this.#token.type === "end") this.#fail(`"${end}" is missing`);
      this.#field(message, tree, depth);
    }
    if (message.node.options?.mapEntry === true) completeEntry(message, tree);
    return tree;
  }

  #field(message: MessageSymbol, tree: OptionTree, depth: number): void {
    if (this.#try("[")) {
      const name = this.#bracketedName();
      if (name.includes("/")) {
        this.#any(message, tree, name, depth);
        return;
      }
      const field = this.#names.extension(message, name);
      if (field === undefined || field.container !== message) {
        this.#fail(`${message.fullName} has no extension ${name}`);
      }
      this.#values(field, tree, depth);
      return;
    }
    const name = this.#identifier();
    const field = fieldOf(message, name);
    if (field === undefined) {
      if (!message.node.reservedName.includes(name)) this.#fail(`${message.fullName} has no field ${name}`);
      this.#skipField(depth);
      return;
    }
    this.#values(field, tree, depth);
  }

  #bracketedName(): string {
    let name = "";
    while (!this.#try("]")) {
      const { type, text } = this.#token;
      if (type !== "identifier" && type !== "integer" && !/^[./-]$/.test(text)) {
        this.#fail(`expected "]", not ${this.#shown}`);
      }
      name += text;
      this.#tokens.next();
    }
    return name;
  }

  #values(field: FieldSymbol, tree: OptionTree, depth: number): void {
    const repeated = field.node.label === Label.LABEL_REPEATED;
    if (!repeated && tree.has(field)) this.#fail(`${field.name} is given twice`);
    const taken = field.oneof?.fields.find((other) => tree.has(other));
    if (taken !== undefined) this.#fail(`${field.name} and ${taken.name} belong to one oneof`);
    const colon = this.#try(":");
    if (!colon && field.message === undefined) this.#fail(`expected ":", not ${this.#shown}`);
    if (repeated && this.#try("[")) {
      if (!this.#try("]")) {
        do tree.add(field, this.#value(field, depth));
        while (this.#try(","));
        this.#take("]");
      }
    } else tree.add(field, this.#value(field, depth));
    this.#separator();
  }

  #separator(): void {
    if (!this.#try(";")) this.#try(",");
  }

  #value(field: FieldSymbol, depth: number): OptionValue {
    const { message } = field;
    if (message !== undefined) return this.message(message, this.#opening(), depth + 1);
    const { type } = field.node;
    const range = integerRange(type);
    if (range !== undefined) {
      const value = this.#integer();
      if (value < range.min || value > range.max) {
        this.#fail(`${field.name} takes an integer from ${range.min} to ${range.max}`);
      }
      return value;
    }
    if (type === Type.TYPE_STRING || type === Type.TYPE_BYTES) return this.#string(field);
    if (type === Type.TYPE_BOOL) return this.#bool(field);
    if (type === Type.TYPE_ENUM) return this.#enumValue(field);
    return this.#number(field);
  }

  /** Takes the bracket that begins a message; gives the one that ends it. */
  #opening(): string {
    if (this.#try("<")) return ">";
    this.#take("{");
    return "}";
  }

  #integer(): bigint {
    const negative = this.#try("-");
    const value = this.#token.type === "integer" ? integerOf(this.#token.text) : undefined;
    if (value === undefined) this.#fail(`expected an integer, not ${this.#shown}`);
    this.#tokens.next();
    return negative ? -value : value;
  }

  #string({ name }: FieldSymbol): string {
    if (this.#token.type !== "string") this.#fail(`${name} takes a string in quotes, not ${this.#shown}`);
    let bytes = "";
    for (; this.#token.type === "string"; this.#tokens.next()) bytes += unquote(this.#token.text);
    return bytes;
  }

  #bool({ name }: FieldSymbol): boolean {
    const { type, text } = this.#token;
    const value = type === "integer" ? { 0: false, 1: true }[String(integerOf(text))] : booleans.get(text);
    if (value === undefined) this.#fail(`${name} takes true or false, not ${this.#shown}`);
    this.#tokens.next();
    return value;
  }

  #enumValue(field: FieldSymbol): number {
    if (this.#token.type === "identifier") return enumNumber(field, this.#identifier());
    const number = Number(this.#integer());
    const known = field.enum?.valueByNumber.has(number) ?? false;
    const open = field.enum?.features.enumType === 1;
    if ((!known && !open) || Math.abs(number) > 2 ** 31) {
      this.#fail(`${field.name} takes a value of ${field.enum?.fullName}, which has no ${number}`);
    }
    return number;
  }

  #number({ name }: FieldSymbol): number {
    const negative = this.#try("-");
    const { type, text } = this.#token;
    let value: number | undefined;
    if (type === "float") value = floatOf(text);
    else if (type === "integer" && /^(0$|[1-9])/.test(text)) value = Number(text);
    else if (/^(inf|infinity)$/i.test(text)) value = Number.POSITIVE_INFINITY;
    else if (/^nan$/i.test(text)) value = Number.NaN;
    if (value === undefined) this.#fail(`${name} takes a number, not ${this.#shown}`);
    this.#tokens.next();
    return negative ? -value : value;
  }

  /** `[type.googleapis.com/full.Name] { ... }` within an Any. */
  #any(message: MessageSymbol, tree: OptionTree, url: string, depth: number): void {
    const [typeUrl, value] = [message.fieldByName.get("type_url"), message.fieldByName.get("value")];
    if (message.fullName !== "google.protobuf.Any" || typeUrl === undefined || value === undefined) {
      this.#fail(`[${url}] stands in a google.protobuf.Any only, not in ${message.fullName}`);
    }
    const slash = url.lastIndexOf("/");
    const type = this.#names.anyType(url.slice(0, slash + 1), url.slice(slash + 1));
    if (type === undefined) this.#fail(`there is no type ${url}`);
    this.#try(":");
    const inner = this.message(type, this.#opening(), depth + 1);
    requireAll(type, inner);
    if (tree.has(typeUrl) || tree.has(value)) this.#fail("the value of an Any is given twice");
    tree.add(typeUrl, url);
    tree.add(value, inner.encode().toString("latin1"));
    this.#separator();
  }

  #skipScalar(): void {
    if (this.#token.type === "string") {
      while (this.#token.type === "string") this.#tokens.next();
      return;
    }
    const negative = this.#try("-");
    const { type, text } = this.#token;
    const isNumber = type === "integer" || type === "float" || /^(inf|infinity|nan)$/i.test(text);
    if (!isNumber && (negative || type !== "identifier")) this.#fail(`expected a value, not ${this.#shown}`);
    this.#tokens.next();
  }

  /** A field whose name is reserved may be left in text for older versions of the message. */
  #skipField(depth: number): void {
    const colon = this.#try(":");
    if (!colon && !/^[{<[]$/.test(this.#token.text)) this.#fail(`expected ":", not ${this.#shown}`);
    this.#skipValue(depth + 1);
    this.#separator();
  }

  #skipValue(depth: number): void {
    if (depth > nestingMax) this.#fail(`messages are nested more than ${nestingMax} deep`);
    if (this.#try("[")) {
      if (this.#try("]")) return;
      do this.#skipValue(depth + 1);
      while (this.#try(","));
      this.#take("]");
      return;
    }
    if (this.#token.text !== "{" && this.#token.text !== "<") {
      this.#skipScalar();
      return;
    }
    for (const end = this.#opening(); !this.#try(end); ) {
      if (this.#try("[")) this.#bracketedName();
      else this.#identifier();
      this.#skipField(depth);
    }
  }
}

/** A map's entry always has both its key and its value. */
function completeEntry(message: MessageSymbol, tree: OptionTree): void {
  for (const field of message.fields) {
    if (tree.has(field)) continue;
    const { type } = field.node;
    if (field.message !== undefined) tree.add(field, new OptionTree());
    else if (type === Type.TYPE_STRING || type === Type.TYPE_BYTES) tree.add(field, "");
    else tree.add(field, field.enum?.values[0]?.node.number ?? 0);
  }
}

const booleans = new Map([
  ["true", true],
  ["True", true],
  ["t", true],
  ["false", false],
  ["False", false],
  ["f", false],
]);

/** A group goes by the name of its message. */
function fieldOf(message: MessageSymbol, name: string): FieldSymbol | undefined {
  const found = message.fieldByName.get(name);
  if (found !== undefined) return found;
  const group = message.fieldByName.get(name.toLowerCase());
  return group?.message?.name === name && group.node.type === Type.TYPE_GROUP ? group : undefined;
}

/** Throws when a required field is missing, in messages within too. */
export function requireAll(message: MessageSymbol, tree: OptionTree): void {
  for (const field of message.fields) {
    const required = field.node.label === Label.LABEL_REQUIRED || field.features.fieldPresence === 3;
    if (required && !tree.has(field))
      throw new WrongValue(`${message.fullName} needs the field ${field.name}`);
  }
  for (const { field, values } of tree.entries.values()) {
    if (field.message === undefined) continue;
    for (const value of values) if (value instanceof OptionTree) requireAll(field.message, value);
  }
}
