import { isMessage } from "../link.js";
import type { ProtoEnum, ProtoField, ProtoMessage, ProtoOneof, ScalarType } from "../model.js";
import { propertyKey } from "../names.js";
import type { ModuleContext } from "./context.js";
import type { Text } from "./text.js";

const longTypes: ReadonlySet<string> = new Set(["int64", "uint64", "sint64", "fixed64", "sfixed64"]);

export function isLong(type: unknown): boolean {
  return typeof type === "string" && longTypes.has(type);
}

function scalarOut(type: ScalarType): string {
  if (isLong(type)) return "bigint";
  if (type === "bool") return "boolean";
  if (type === "string") return "string";
  return type === "bytes" ? "Buffer" : "number";
}

function scalarIn(type: ScalarType): string {
  if (isLong(type)) return "bigint | number";
  return type === "bytes" ? "Uint8Array | string" : scalarOut(type);
}

/** What one value of the field is when decoded. */
export function elementOut(field: ProtoField, context: ModuleContext): string {
  return typeof field.type === "string" ? scalarOut(field.type) : context.typeOnly(field.type);
}

/** What one value of the field may be when encoded. */
export function elementIn(field: ProtoField, context: ModuleContext): string {
  if (typeof field.type === "string") return scalarIn(field.type);
  return isMessage(field.type) ? context.input(field.type) : context.typeOnly(field.type);
}

/** Whether an absent field reads as undefined. */
export function isOptional(field: ProtoField): boolean {
  if (field.presence === "implicit") return isMessage(field.type);
  return field.presence === "explicit" && field.defaultText === undefined;
}

function fieldOut(field: ProtoField, context: ModuleContext): string {
  const element = elementOut(field, context);
  if (field.presence === "repeated") return `${element}[]`;
  if (field.mapKey !== undefined) return `Map<${scalarOut(field.mapKey)}, ${element}>`;
  return isOptional(field) ? `${element} | undefined` : element;
}

function fieldIn(field: ProtoField, context: ModuleContext): string {
  const element = elementIn(field, context);
  if (field.presence === "repeated") {
    return element.includes("|") ? `ReadonlyArray<${element}>` : `readonly ${element}[]`;
  }
  if (field.mapKey !== undefined) {
    return `${context.codecType("MapInput")}<${scalarIn(field.mapKey)}, ${element}>`;
  }
  return element;
}

/** The fields of a message that are not part of a oneof, and its oneofs, in the order of the .proto. */
export function members(message: ProtoMessage): Array<ProtoField | ProtoOneof> {
  const result: Array<ProtoField | ProtoOneof> = [];
  for (const field of message.fields) {
    const oneof = message.oneofs.find(({ fields }) => fields.includes(field));
    if (oneof === undefined) result.push(field);
    else if (oneof.fields[0] === field) result.push(oneof);
  }
  return result;
}

export function isOneof(member: ProtoField | ProtoOneof): member is ProtoOneof {
  return "fields" in member;
}

/** Whose input may be a Date as well. */
export function isTimestamp(message: ProtoMessage): boolean {
  return message.fullName === "google.protobuf.Timestamp";
}

function deprecation(declared: { readonly deprecated: boolean }): string | undefined {
  return declared.deprecated ? "@deprecated" : undefined;
}

/** Comments of a oneof's fields have no place of their own in a union: they are listed with the oneof's. */
function oneofComment(oneof: ProtoOneof): Array<string | undefined> {
  const fields = oneof.fields
    .filter(({ comment }) => comment !== undefined)
    .map(({ localName, comment }) => `- \`${localName}\`: ${comment?.replaceAll("\n", " ")}`);
  return [oneof.comment, ...fields];
}

export function emitInterfaces(message: ProtoMessage, context: ModuleContext, text: Text): void {
  const name = context.typeOnly(message);
  const all = members(message);
  const empty = all.length === 0;
  text.comment([message.comment, deprecation(message)]);
  // An empty interface would take any value; this one takes objects without keys.
  if (empty) text.line(`export type ${name} = Readonly<Record<string, never>>;`);
  else
    text.block(`export interface ${name} {`, "}", () => {
      for (const member of all) {
        if (isOneof(member)) {
          text.comment(oneofComment(member));
          const cases = member.fields.map((field) => oneofCase(field, elementOut(field, context)));
          text.union(`${propertyKey(member.localName)}:`, [...cases, "undefined"], ";");
        } else {
          text.comment([member.comment, deprecation(member)]);
          text.line(`${propertyKey(member.localName)}: ${fieldOut(member, context)};`);
        }
      }
    });
  text.line();
  const inputName = context.input(message);
  text.comment([`{@link ${name}} as it is given for encoding: what is left out is not sent.`]);
  if (isTimestamp(message)) {
    text.line(`export type ${inputName} = Date | ${context.codecType("TimestampParts")};`);
  } else if (empty) text.line(`export type ${inputName} = Readonly<Record<string, never>>;`);
  else
    text.block(`export interface ${inputName} {`, "}", () => {
      for (const member of all) {
        if (isOneof(member)) {
          const cases = member.fields.map((field) => oneofCase(field, elementIn(field, context)));
          text.union(`readonly ${propertyKey(member.localName)}?:`, [...cases, "undefined"], ";");
        } else {
          const mark = member.presence === "required" ? "" : "?";
          const rest = member.presence === "required" ? "" : " | undefined";
          text.line(`readonly ${propertyKey(member.localName)}${mark}: ${fieldIn(member, context)}${rest};`);
        }
      }
    });
  text.line();
}

function oneofCase(field: ProtoField, value: string): string {
  return `{ readonly case: ${JSON.stringify(field.localName)}; readonly value: ${value} }`;
}

export function emitEnum(type: ProtoEnum, context: ModuleContext, text: Text): void {
  const name = context.typeOnly(type);
  text.comment([type.comment, deprecation(type)]);
  text.block(`export const ${name} = {`, "} as const;", () => {
    for (const value of type.values) {
      text.comment([value.comment, deprecation(value)]);
      text.line(`${propertyKey(value.name)}: ${value.number},`);
    }
  });
  text.line();
  const known = `(typeof ${name})[keyof typeof ${name}]`;
  if (!type.closed) text.comment(["A number this program does not know is kept."]);
  text.assign(`export type ${name} =`, type.closed ? known : `${known} | (number & {})`, ";");
  text.line();
}
