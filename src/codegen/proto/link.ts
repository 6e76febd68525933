import { fieldFeatures, mergeFeatures } from "../../descriptor/features.js";
import { FieldDescriptorProto_Type as Type } from "../../descriptor/gen/google/protobuf/descriptor.js";
import { jsonNameOf } from "./json-name.js";
import { floatText } from "./literals.js";
import { type Found, lookup } from "./lookup.js";
import type { Places } from "./parsed.js";
import type { Reporter } from "./report.js";
import {
  extensionsOf,
  type FieldSymbol,
  type FileScope,
  kindNames,
  type MessageSymbol,
  messagesOf,
  type Pool,
  rangeOf,
  type Symbol_,
} from "./symbols.js";
import { isLocal } from "./visibility-rules.js";

const fieldNumberMax = 536_870_911;

/** Gives every field and method the types it names. */
export function crossLink(pool: Pool, file: FileScope, report: Reporter): void {
  const linker = new Linker(pool, file, report);
  for (const message of messagesOf(file)) {
    for (const field of message.fields) linker.field(field);
    for (const extension of message.extensions) linker.field(extension);
  }
  for (const extension of file.extensions) linker.field(extension);
  for (const service of file.services) {
    for (const { node, fullName } of service.methods) {
      node.inputType = linker.messageOf(node, "input", node.inputType ?? "", fullName);
      node.outputType = linker.messageOf(node, "output", node.outputType ?? "", fullName);
    }
  }
  for (const extension of extensionsOf(file)) linker.extensionNumber(extension);
}

class Linker {
  readonly #pool: Pool;
  readonly #file: FileScope;
  readonly #report: Reporter;

  constructor(pool: Pool, file: FileScope, report: Reporter) {
    this.#pool = pool;
    this.#file = file;
    this.#report = report;
  }

  field(field: FieldSymbol): void {
    const { node, fullName } = field;
    if (node.extendee !== undefined) {
      const found = this.#find(node, "extendee", node.extendee, fullName);
      if (found !== undefined && found.kind !== "message") {
        this.#report.error(node, "extendee", `${node.extendee} is ${kindNames[found.kind]}, not a message`);
      } else if (found !== undefined) {
        field.container = found;
        node.extendee = `.${found.fullName}`;
      }
    }
    node.jsonName ??= jsonNameOf(field.name);
    if (node.typeName !== undefined) this.#fieldType(field, node.typeName);
    if (node.type === Type.TYPE_FLOAT && node.defaultValue !== undefined) {
      node.defaultValue = floatText(Math.fround(floatValue(node.defaultValue)));
    }
  }

  #fieldType(field: FieldSymbol, typeName: string): void {
    const { node, fullName } = field;
    const found = this.#find(node, "type", typeName, fullName, { typesOnly: true });
    if (found === undefined) return;
    if (found.kind === "message") {
      field.message = found;
      node.type ??= Type.TYPE_MESSAGE;
      if (node.defaultValue !== undefined) {
        this.#report.error(node, "defaultValue", `${field.name}: messages have no default value`);
      }
    } else if (found.kind === "enum") {
      field.enum = found;
      node.type ??= Type.TYPE_ENUM;
      const value = node.defaultValue;
      if (value !== undefined && !found.valueByName.has(value)) {
        this.#report.error(node, "defaultValue", `${field.name}: ${found.fullName} has no value ${value}`);
      }
    } else {
      this.#report.error(node, "type", `${typeName} is ${kindNames[found.kind]}, not a message or an enum`);
      return;
    }
    node.typeName = `.${found.fullName}`;
  }

  messageOf(node: object, part: keyof Places, name: string, user: string): string {
    const found = this.#find(node, part, name, user);
    if (found === undefined) return name;
    if (found.kind !== "message") {
      this.#report.error(node, part, `${name} is ${kindNames[found.kind]}, not a message`);
    }
    return `.${found.fullName}`;
  }

  /** An extension's number stands in a range that the extended message declares, and nobody else has it. */
  extensionNumber(field: FieldSymbol): void {
    const { node, container, name } = field;
    const number = node.number ?? 0;
    if (container === undefined) return;
    const inRange = rangeOf(container, number) !== undefined;
    if (!inRange) {
      const tooLarge = number > fieldNumberMax ? `; field numbers end at ${fieldNumberMax}` : "";
      this.#report.error(
        node,
        "number",
        `${name}: ${container.fullName} has no extensions range with ${number}${tooLarge}`,
      );
      return;
    }
    const key = `${container.fullName}#${number}`;
    const before = this.#pool.extensions.get(key);
    if (before === undefined) this.#pool.extensions.set(key, field);
    else {
      const where = before.file === this.#file ? "" : ` in ${before.file.path}`;
      this.#report.error(
        node,
        "number",
        `${name}: ${before.fullName}${where} has number ${number} of ${container.fullName} already`,
      );
    }
  }

  #find(
    node: object,
    part: keyof Places,
    name: string,
    user: string,
    options: { typesOnly?: boolean } = {},
  ): Symbol_ | undefined {
    const found = lookup(this.#pool, this.#file, name, user, options);
    if (found.symbol === undefined) this.#report.error(node, part, notFound(name, found, this.#file));
    else if (isLocal(found.symbol, this.#file)) {
      const { fullName, file } = found.symbol;
      this.#report.error(node, part, `${fullName} is local to ${file.path}`);
    }
    return found.symbol;
  }
}

export function notFound(name: string, { hidden, resolved }: Found, file: FileScope): string {
  if (hidden !== undefined) {
    return `${name} is declared in ${hidden.file.name}, which ${file.name} does not import`;
  }
  if (resolved !== undefined) {
    const [first = ""] = name.split(".");
    const found = resolved.slice(0, resolved.length - name.length) + first;
    const hint = found === first ? "" : "; a dot in front names a type in full";
    return `there is no ${name}: ${found} has no ${name.slice(first.length + 1)}${hint}`;
  }
  return `there is no type ${name}`;
}

export function floatValue(text: string): number {
  if (text === "inf") return Number.POSITIVE_INFINITY;
  if (text === "-inf") return Number.NEGATIVE_INFINITY;
  return Number(text === "-nan" ? "nan" : text);
}

/** Gives every declaration its features, once options are known. */
export function resolveFeatures(file: FileScope, base: FileScope["features"]): void {
  file.features = mergeFeatures(base, file.node.options?.features);
  const { edition } = file;
  const visit = (message: MessageSymbol): void => {
    message.features = mergeFeatures((message.parent ?? file).features, message.node.options?.features);
    for (const oneof of message.oneofs) {
      oneof.features = mergeFeatures(message.features, oneof.node.options?.features);
    }
    for (const field of message.fields) {
      field.features = fieldFeatures(edition, (field.oneof ?? message).features, field.node);
    }
    for (const field of message.extensions)
      field.features = fieldFeatures(edition, message.features, field.node);
    for (const inner of message.messages) visit(inner);
    for (const inner of message.enums) {
      inner.features = mergeFeatures(message.features, inner.node.options?.features);
    }
  };
  for (const message of file.messages) visit(message);
  for (const type of file.enums) type.features = mergeFeatures(file.features, type.node.options?.features);
  for (const field of file.extensions) field.features = fieldFeatures(edition, file.features, field.node);
}
