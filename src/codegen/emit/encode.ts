import { isEnum, isMessage } from "../link.js";
import type { ProtoField, ProtoMessage, ProtoOneof, ScalarType } from "../model.js";
import { typeName } from "../names.js";
import type { ModuleContext } from "./context.js";
import type { Text } from "./text.js";
import { isLong, isOneof, isTimestamp, members } from "./types.js";

const wireTypes: Readonly<Partial<Record<ScalarType, number>>> = {
  double: 1,
  fixed64: 1,
  sfixed64: 1,
  float: 5,
  fixed32: 5,
  sfixed32: 5,
  string: 2,
  bytes: 2,
};

export function wireTypeOf(type: ProtoField["type"]): number {
  if (isMessage(type)) return 2;
  return typeof type === "string" ? (wireTypes[type] ?? 0) : 0;
}

/** The key in front of a value: an unsigned 32-bit number. */
export function tagOf(id: number, wireType: number): number {
  return id * 8 + wireType;
}

/** Whether a repeated field of this type can be packed. */
export function isPackable(type: ProtoField["type"]): boolean {
  return wireTypeOf(type) !== 2;
}

/** Whether messages of this type can hold others without end, so that their depth must be counted. */
export function needsDepth(message: ProtoMessage): boolean {
  return message.recursive || message.fields.some(({ type }) => isMessage(type) && needsDepth(type));
}

export function emitEncode(message: ProtoMessage, context: ModuleContext, text: Text): void {
  const nested = needsDepth(message);
  const empty = message.fields.length === 0;
  const name = JSON.stringify(message.shortName);
  const given = isTimestamp(message) ? "given" : "message";
  const head = empty ? "encode(message) {" : `encode(${given}, writer${nested ? ", depth = 0" : ""}) {`;
  text.block(head, "},", () => {
    if (isTimestamp(message)) text.line(`const message = ${context.codec("timestampGiven")}(given);`);
    const check = `${context.codec("checkMessage")}(message, ${name}, ${context.type(message)});`;
    // Here, where V8 knows the shapes of this one type, the comparison is free; within the function it is not.
    if (empty) text.line(check);
    else text.statements([{ guard: "if (message?.constructor !== Object)", body: check }]);
    if (message.recursive) {
      text.line(`if (depth > ${context.codec("nestingMax")}) throw ${context.codec("tooDeep")}(${name});`);
    }
    for (const member of members(message)) {
      if (isOneof(member)) emitOneof(member, message, context, text);
      else emitField(member, message, context, text);
    }
  });
}

function emitField(field: ProtoField, message: ProtoMessage, context: ModuleContext, text: Text): void {
  const value = `message.${field.localName}`;
  const name = JSON.stringify(`${message.shortName}.${field.name}`);
  const tag = tagOf(field.id, wireTypeOf(field.type));
  switch (field.presence) {
    case "required":
      text.line(`if (${value} == null) throw ${context.codec("missingField")}(${name});`);
      // A block of its own, for the mark of a nested message.
      if (isMessage(field.type))
        text.block("{", "}", () => emitValue(field, { tag, value, name }, context, text));
      else emitValue(field, { tag, value, name }, context, text);
      break;
    case "repeated":
      emitRepeated(field, { value, name }, context, text);
      break;
    case "map":
      emitMap(field, { value, name }, context, text);
      break;
    default:
      text.when(conditions(field, value), () => emitValue(field, { tag, value, name }, context, text));
  }
}

/** When a single field is sent: it is there and, in proto3, no default. */
function conditions(field: ProtoField, value: string): string[] {
  const there = `${value} != null`;
  if (field.presence !== "implicit" || isMessage(field.type)) return [there];
  switch (field.type) {
    case "string":
    case "bytes":
      return [there, `${value}.length !== 0`];
    case "bool":
      return [there, `${value} !== false`];
    case "float":
    case "double":
      return [there, `!Object.is(${value}, 0)`];
    default:
      return isLong(field.type) ? [there, `${value} !== 0n`, `${value} !== 0`] : [there, `${value} !== 0`];
  }
}

interface Value {
  readonly tag: number;
  /** The expression. */
  readonly value: string;
  /** What errors call it, quoted. */
  readonly name: string;
}

function emitValue(field: ProtoField, { tag, value, name }: Value, context: ModuleContext, text: Text): void {
  const { type } = field;
  if (isMessage(type)) {
    text.list("const mark = writer.messageField(", [String(tag), value, name], ");");
    text.line(`${context.type(type)}.encode(${value}, writer${needsDepth(type) ? ", depth + 1" : ""});`);
    text.line("writer.end(mark);");
    return;
  }
  if (isEnum(type) && type.closed) {
    text.list(`${context.codec("checkEnum")}(`, [context.type(type), value, name], ");");
  }
  if (isEnum(type)) {
    const enumName = JSON.stringify(typeName(type.shortName));
    text.list("writer.enumField(", [String(tag), value, name, enumName, context.type(type)], ");");
    return;
  }
  text.list(`writer.${type}Field(`, [String(tag), value, name], ");");
}

function emitRepeated(
  field: ProtoField,
  { value, name }: Omit<Value, "tag">,
  context: ModuleContext,
  text: Text,
): void {
  const each = `for (const value of ${context.codec("listOf")}(${value}, ${name})) {`;
  if (!field.packed || !isPackable(field.type)) {
    const tag = tagOf(field.id, wireTypeOf(field.type));
    text.block(each, "}", () => emitValue(field, { tag, value: "value", name }, context, text));
    return;
  }
  text.when([`${value} != null`, `${value}.length !== 0`], () => {
    text.line(`const mark = writer.partField(${tagOf(field.id, 2)});`);
    text.block(each, "}", () => emitValue(field, { tag: 0, value: "value", name }, context, text));
    text.line("writer.end(mark);");
  });
}

function emitMap(
  field: ProtoField,
  { value, name }: Omit<Value, "tag">,
  context: ModuleContext,
  text: Text,
): void {
  const key = { ...field, type: field.mapKey as ScalarType };
  const named = (part: string): string => JSON.stringify(`${JSON.parse(name)} ${part}`);
  text.block(`for (const [key, value] of ${context.codec("entriesOf")}(${value}, ${name})) {`, "}", () => {
    text.line(`const entry = writer.partField(${tagOf(field.id, 2)});`);
    emitValue(key, { tag: tagOf(1, wireTypeOf(key.type)), value: "key", name: named("key") }, context, text);
    emitValue(
      field,
      { tag: tagOf(2, wireTypeOf(field.type)), value: "value", name: named("value") },
      context,
      text,
    );
    text.line("writer.end(entry);");
  });
}

function emitOneof(oneof: ProtoOneof, message: ProtoMessage, context: ModuleContext, text: Text): void {
  const value = `message.${oneof.localName}`;
  text.when([`${value} != null`], () => {
    text.block(`switch (${value}.case) {`, "}", () => {
      for (const field of oneof.fields) emitOneofCase(field, value, message, context, text);
      text.line("default:");
      const cases = oneof.fields.map((field) => JSON.stringify(field.localName));
      const name = JSON.stringify(`${message.shortName}.${oneof.name}`);
      text.indented(() => text.list(`throw ${context.codec("unknownCase")}(`, [value, name, ...cases], ");"));
    });
  });
}

function emitOneofCase(
  field: ProtoField,
  value: string,
  message: ProtoMessage,
  context: ModuleContext,
  text: Text,
): void {
  const name = JSON.stringify(`${message.shortName}.${field.name}`);
  const tag = tagOf(field.id, wireTypeOf(field.type));
  const braces = isMessage(field.type);
  text.line(`case ${JSON.stringify(field.localName)}:${braces ? " {" : ""}`);
  text.indented(() => {
    emitValue(field, { tag, value: `${value}.value`, name }, context, text);
    text.line("break;");
  });
  if (braces) text.line("}");
}
