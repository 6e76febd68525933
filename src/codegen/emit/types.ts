import {
  type EnumModel,
  type FieldModel,
  isMessage,
  type LongForm,
  type MessageModel,
  type OneofModel,
  type ScalarType,
} from "../model.js";
import { propertyKey } from "../names.js";
import type { ModuleContext } from "./context.js";
import { declaredDefault } from "./defaults.js";
import type { Text } from "./text.js";
import { isLong } from "./wire.js";

function scalarOut(type: ScalarType, longs: LongForm): string {
  if (isLong(type)) return longs;
  if (type === "bool") return "boolean";
  if (type === "string") return "string";
  return type === "bytes" ? "Buffer" : "number";
}

function scalarIn(type: ScalarType, longs: LongForm): string {
  if (isLong(type)) return longs === "string" ? "bigint | number | string" : "bigint | number";
  return type === "bytes" ? "Uint8Array | string" : scalarOut(type, longs);
}

/** What one value of the field is when decoded. */
export function elementOut({ type, longs }: FieldModel, context: ModuleContext): string {
  return typeof type === "string" ? scalarOut(type, longs) : context.typeOnly(type);
}

/** What one value of the field may be when encoded. */
function elementIn({ type, longs }: FieldModel, context: ModuleContext): string {
  if (typeof type === "string") return scalarIn(type, longs);
  return isMessage(type) ? context.input(type) : context.typeOnly(type);
}

export function fieldOut(field: FieldModel, context: ModuleContext): string {
  const element = elementOut(field, context);
  if (field.presence === "repeated") return `${element}[]`;
  if (field.mapKey !== undefined) return `Map<${scalarOut(field.mapKey, field.longs)}, ${element}>`;
  return field.presence === "explicit" ? `${element} | undefined` : element;
}

export function fieldIn(field: FieldModel, context: ModuleContext): string {
  const element = elementIn(field, context);
  if (field.presence === "repeated") {
    return element.includes("|") ? `ReadonlyArray<${element}>` : `readonly ${element}[]`;
  }
  if (field.mapKey !== undefined) {
    return `${context.codecType("MapInput")}<${scalarIn(field.mapKey, field.longs)}, ${element}>`;
  }
  return element;
}

/** The fields of a message that are not part of a oneof, and its oneofs, in the order of the .proto. */
export function members(message: MessageModel): Array<FieldModel | OneofModel> {
  const result: Array<FieldModel | OneofModel> = [];
  for (const field of message.fields) {
    const { oneof } = field;
    if (oneof === undefined) result.push(field);
    else if (oneof.fields[0] === field) result.push(oneof);
  }
  return result;
}

export function isOneof(member: FieldModel | OneofModel): member is OneofModel {
  return "fields" in member;
}

/** Whose input may be a Date as well. */
export function isTimestamp(message: MessageModel): boolean {
  return message.fullName === "google.protobuf.Timestamp";
}

function deprecation(declared: { readonly deprecated: boolean }): string | undefined {
  return declared.deprecated ? "@deprecated" : undefined;
}

/** Comments of a oneof's fields have no place of their own in a union: they are listed with the oneof's. */
function oneofComment(oneof: OneofModel): Array<string | undefined> {
  const fields = oneof.fields
    .filter(({ comment }) => comment !== undefined)
    .map(({ localName, comment }) => `- \`${localName}\`: ${comment?.replaceAll("\n", " ")}`);
  return [oneof.comment, ...fields];
}

export function emitInterfaces(message: MessageModel, context: ModuleContext, text: Text): void {
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

/** The values of `[default = ...]`: an absent field reads as undefined, and these are what to use for it. */
export function emitDefaults(message: MessageModel, context: ModuleContext, text: Text): void {
  const name = context.names.defaults.get(message);
  if (name === undefined) return;
  text.comment([`What the fields of {@link ${context.typeOnly(message)}} that are not set stand for.`]);
  text.block(`export const ${name} = {`, "} as const;", () => {
    for (const field of message.fields) {
      if (field.defaultValue === undefined) continue;
      const value = declaredDefault(field, field.defaultValue, context);
      text.assign(`${propertyKey(field.localName)}:`, value, ",");
    }
  });
  text.line();
}

function oneofCase(field: FieldModel, value: string): string {
  return `{ readonly case: ${JSON.stringify(field.localName)}; readonly value: ${value} }`;
}

export function emitEnum(type: EnumModel, context: ModuleContext, text: Text): void {
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
