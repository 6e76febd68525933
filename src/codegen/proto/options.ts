import type { SourceCodeInfo_Location } from "../../descriptor/gen/google/protobuf/descriptor.js";
import { FieldDescriptorProto_Label as Label } from "../../descriptor/gen/google/protobuf/descriptor.js";
import { notFound } from "./link.js";
import { type Found, lookup } from "./lookup.js";
import { OptionTree } from "./option-tree.js";
import { scalarValue, WrongValue } from "./option-values.js";
import { type OptionNamePart, optionName, type RawOption } from "./parsed.js";
import type { Reporter } from "./report.js";
import { type FieldSymbol, type FileScope, kindNames, type MessageSymbol, type Pool } from "./symbols.js";
import { parseTextFormat, type TextFormatNames } from "./text-format.js";

const anyPrefixes: ReadonlySet<string> = new Set(["type.googleapis.com/", "type.googleprod.com/"]);

/** Looks up the options of one file's declarations, and makes them values. */
export class OptionInterpreter {
  readonly #pool: Pool;
  readonly #file: FileScope;
  readonly #report: Reporter;
  readonly #types: ReadonlyMap<string, MessageSymbol>;
  /** How often a repeated option was given, by the path of its location. */
  readonly #counts = new Map<string, number>();

  /** `types`: the messages of descriptor.proto by full name. */
  constructor(pool: Pool, file: FileScope, report: Reporter, types: ReadonlyMap<string, MessageSymbol>) {
    this.#pool = pool;
    this.#file = file;
    this.#report = report;
    this.#types = types;
  }

  /** The options of `owner`; `user` is the full name whose scope names are searched from. Undefined when there are none. */
  interpret(owner: object, optionsType: string, user: string): OptionTree | undefined {
    const raw = this.#file.parsed.options.get(owner);
    if (raw === undefined) return undefined;
    const type = this.#types.get(optionsType);
    if (type === undefined) throw new Error(`${optionsType} is missing in descriptor.proto`);
    const tree = new OptionTree();
    for (const one of raw) {
      try {
        this.#one(type, tree, one, user);
      } catch (thrown) {
        if (!(thrown instanceof WrongValue)) throw thrown;
        this.#report.errorAt(one.valueAt, `option ${optionName(one.name)} ${thrown.message}`);
      }
    }
    return tree;
  }

  #one(type: MessageSymbol, tree: OptionTree, raw: RawOption, user: string): void {
    const fields = this.#path(type, raw, user);
    const last = fields?.at(-1);
    if (fields === undefined || last === undefined) return;
    let target = tree;
    for (const field of fields.slice(0, -1)) {
      const inner = target.get(field);
      if (inner instanceof OptionTree) target = inner;
      else {
        const made = new OptionTree();
        target.add(field, made);
        target = made;
      }
    }
    const repeated = last.node.label === Label.LABEL_REPEATED;
    if (!repeated && target.has(last)) {
      this.#report.errorAt(raw.nameAt, `option ${optionName(raw.name)} is set twice`);
      return;
    }
    target.add(last, this.#value(last, raw));
    if (raw.location !== undefined) this.#moveLocation(raw.location, fields, repeated);
  }

  /** The fields that a name goes through. */
  #path(type: MessageSymbol, raw: RawOption, user: string): FieldSymbol[] | undefined {
    const fields: FieldSymbol[] = [];
    let message: MessageSymbol = type;
    const [first] = raw.name;
    const complain = (text: string) => {
      this.#report.errorAt(raw.nameAt, text);
      return undefined;
    };
    if (first?.part === "uninterpreted_option" && !first.extension) {
      return complain("the option uninterpreted_option is for protoc itself");
    }
    for (const [i, part] of raw.name.entries()) {
      const name = optionName(raw.name.slice(0, i + 1));
      const field = this.#fieldOf(message, part, user, complain);
      if (field === undefined) return undefined;
      fields.push(field);
      if (i === raw.name.length - 1) break;
      if (field.message === undefined) return complain(`option ${name} is no message and has no fields`);
      if (field.node.label === Label.LABEL_REPEATED) {
        return complain(`option ${name} is repeated: give each of its messages as a whole, { field: value }`);
      }
      message = field.message;
    }
    return fields;
  }

  #fieldOf(
    message: MessageSymbol,
    { part, extension }: OptionNamePart,
    user: string,
    complain: (text: string) => undefined,
  ): FieldSymbol | undefined {
    if (!extension) {
      return message.fieldByName.get(part) ?? complain(`${shortName(message)} has no option ${part}`);
    }
    const found: Found = lookup(this.#pool, this.#file, part, user, { inOptions: true });
    const { symbol } = found;
    if (symbol === undefined) {
      const text = notFound(part, found, this.#file).replace("there is no type", "there is no option");
      return complain(text);
    }
    if (symbol.kind !== "field" || !symbol.extension) {
      return complain(`(${part}) is ${kindNames[symbol.kind]}, not an extension`);
    }
    if (symbol.container?.fullName !== message.fullName) {
      return complain(`(${part}) extends ${symbol.container?.fullName}, not ${message.fullName}`);
    }
    return symbol;
  }

  #value(field: FieldSymbol, { value }: RawOption) {
    const { message } = field;
    if (message === undefined) return scalarValue(field, value);
    if (value.kind !== "aggregate") throw new WrongValue("takes a message: { field: value }");
    return parseTextFormat(value.text, message, this.#names);
  }

  readonly #names: TextFormatNames = {
    extension: (message, name) => {
      const { symbol } = lookup(this.#pool, this.#file, name, message.fullName, { inOptions: true });
      if (symbol?.kind === "field" && symbol.extension) return symbol;
      if (symbol?.kind !== "message" || message.node.options?.messageSetWireFormat !== true) return undefined;
      // An item of a message set may go by the name of its type.
      return symbol.extensions.find(
        (one) =>
          one.container === message && one.message === symbol && one.node.label === Label.LABEL_OPTIONAL,
      );
    },
    anyType: (prefix, name) => {
      if (!anyPrefixes.has(prefix)) return undefined;
      const { symbol } = lookup(this.#pool, this.#file, `.${name}`, "", { inOptions: true });
      return symbol?.kind === "message" ? symbol : undefined;
    },
  };

  /** From the option as it was written to the field that it sets. */
  #moveLocation(location: SourceCodeInfo_Location, fields: readonly FieldSymbol[], repeated: boolean): void {
    const path = [...location.path.slice(0, -2), ...fields.map(({ node }) => node.number ?? 0)];
    if (repeated) {
      const key = path.join(".");
      const count = this.#counts.get(key) ?? 0;
      this.#counts.set(key, count + 1);
      path.push(count);
    }
    location.path = path;
  }
}

function shortName({ fullName }: MessageSymbol): string {
  return fullName.replace(/^google\.protobuf\./, "");
}
