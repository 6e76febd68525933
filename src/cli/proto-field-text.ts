import descriptor from "protobufjs/ext/descriptor.js";
import protobuf from "protobufjs/light.js";
import type { FieldProto, MessageProto, Options } from "./proto-shapes.js";

/** Fields, oneofs, maps and groups as a .proto has them. */
export class FieldText {
  readonly #messageOf: (fullName: string) => MessageProto | undefined;

  constructor(messageOf: (fullName: string) => MessageProto | undefined) {
    this.#messageOf = messageOf;
  }

  /** The lines of a message's fields, its oneofs around theirs. */
  body(message: MessageProto, proto2: boolean): string[] {
    const lines: string[] = [];
    const written = new Set<number>();
    for (const field of message.field) {
      const { oneofIndex } = field;
      if (oneofIndex === undefined || field.proto3Optional === true) {
        lines.push(...this.lines(field, proto2));
      } else if (!written.has(oneofIndex)) {
        written.add(oneofIndex);
        const members = message.field.filter((one) => one.oneofIndex === oneofIndex);
        const { name, options } = message.oneofDecl[oneofIndex] ?? { name: "" };
        const own = optionsOf(options, "OneofOptions").map((one) => `option ${one};`);
        const inner = [...own, ...members.flatMap((one) => this.lines(one, false))];
        lines.push(`oneof ${name} {`, ...inner.map((one) => `  ${one}`), "}");
      }
    }
    return lines;
  }

  lines(field: FieldProto, proto2: boolean): string[] {
    const { name, number } = field;
    const options = fieldOptions(field);
    const tail = `= ${number}${options.length === 0 ? "" : ` [${options.join(", ")}]`}`;
    const entry = this.#entryOf(field);
    if (entry !== undefined) {
      const [key, value] = [1, 2].map((one) => entry.field.find((half) => half.number === one));
      return [`map<${typeText(key)}, ${typeText(value)}> ${name} ${tail};`];
    }
    const label = labelOf(field, proto2);
    const group = field.type === "TYPE_GROUP" ? this.#messageOf(bare(field.typeName)) : undefined;
    if (group === undefined) return [`${label}${typeText(field)} ${name} ${tail};`];
    return [`${label}group ${group.name} ${tail} {`, ...this.body(group, true).map((one) => `  ${one}`), "}"];
  }

  /** Full names of the types that a reader of the field looks up. */
  typesOf(field: FieldProto): string[] {
    const inside = this.#entryOf(field);
    const group = field.type === "TYPE_GROUP" ? this.#messageOf(bare(field.typeName)) : undefined;
    const behind = inside ?? group;
    if (behind !== undefined) return behind.field.flatMap((one) => this.typesOf(one));
    return field.typeName === undefined ? [] : [bare(field.typeName)];
  }

  /** The message that stands for a map's entries. */
  #entryOf({ type, typeName }: FieldProto): MessageProto | undefined {
    const message = type === "TYPE_MESSAGE" ? this.#messageOf(bare(typeName)) : undefined;
    return message?.options?.mapEntry === true ? message : undefined;
  }
}

function bare(type = ""): string {
  return type.replace(/^\./, "");
}

function typeText(field: FieldProto | undefined): string {
  return bare(field?.typeName) || (field?.type.replace(/^TYPE_/, "").toLowerCase() ?? "");
}

function labelOf({ label, proto3Optional }: FieldProto, proto2: boolean): string {
  if (label === "LABEL_REPEATED") return "repeated ";
  if (label === "LABEL_REQUIRED") return "required ";
  return proto2 || proto3Optional === true ? "optional " : "";
}

function fieldOptions(field: FieldProto): string[] {
  const { name, jsonName, defaultValue, type } = field;
  const options = optionsOf(field.options, "FieldOptions");
  if (defaultValue !== undefined) {
    const quoted = type === "TYPE_STRING" || type === "TYPE_BYTES";
    // Of bytes the descriptor has the escapes already.
    const text = type === "TYPE_BYTES" ? `"${defaultValue}"` : JSON.stringify(defaultValue);
    options.unshift(`default = ${quoted ? text : defaultValue}`);
  }
  const usual = protobuf.util.jsonName(name.slice(name.lastIndexOf(".") + 1));
  if (jsonName !== undefined && jsonName !== usual && field.extendee === undefined) {
    options.push(`json_name = ${JSON.stringify(jsonName)}`);
  }
  return options;
}

/** `deprecated = true`, `features.field_presence = IMPLICIT`: what descriptor.proto itself declares. */
export function optionsOf(options: Options | undefined, type: string): string[] {
  const found: unknown = (descriptor as unknown as Record<string, unknown>)[type];
  return options !== undefined && found instanceof protobuf.Type ? assignments(options, found, "") : [];
}

function assignments(options: Options, type: protobuf.Type, prefix: string): string[] {
  return Object.entries(options).flatMap(([key, value]) => {
    const field = type.fields[key]?.resolve();
    if (field === undefined || value === undefined || key === "mapEntry" || key === "uninterpretedOption")
      return [];
    const name = prefix + field.name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const { resolvedType } = field;
    return (Array.isArray(value) ? value : [value]).flatMap((one: unknown) => {
      if (resolvedType instanceof protobuf.Type) return assignments(one as Options, resolvedType, `${name}.`);
      const bareWord = resolvedType instanceof protobuf.Enum || typeof one !== "string";
      return [`${name} = ${bareWord ? String(one) : JSON.stringify(one)}`];
    });
  });
}
