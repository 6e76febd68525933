import { type FieldModel, isEnum, isMessage, type MessageModel, type OneofModel } from "../model.js";
import { typeName } from "../names.js";
import type { ModuleContext } from "./context.js";
import type { Text } from "./text.js";
import { isOneof, isTimestamp, members } from "./types.js";
import { entryField, isLong, isPackable, partTagOf, tagOf } from "./wire.js";

export function emitEncode(message: MessageModel, context: ModuleContext, text: Text): void {
  const nested = message.countsDepth;
  const name = JSON.stringify(message.shortName);
  const given = isTimestamp(message) ? "given" : "message";
  text.block(`encode(${given}, writer${nested ? ", depth = 0" : ""}) {`, "},", () => {
    if (isTimestamp(message)) text.line(`const message = ${context.codec("timestampGiven")}(given);`);
    const check = `${context.codec("checkMessage")}(message, ${name}, ${context.type(message)});`;
    // Here, where V8 knows the shapes of this one type, the comparison is free; within the function it is not.
    if (message.fields.length === 0) text.line(check);
    else text.statements([{ guard: "if (message?.constructor !== Object)", body: check }]);
    if (message.recursive) {
      text.line(`if (depth > ${context.codec("nestingMax")}) throw ${context.codec("tooDeep")}(${name});`);
    }
    emitEncodedFields(message, context, text);
    text.line(`if (${context.codec("unknownFields")} in message) writer.unknown(message);`);
  });
}

/** By number, as every other implementation writes them: what was decoded from its bytes gives those bytes again. */
export function emitEncodedFields(message: MessageModel, context: ModuleContext, text: Text): void {
  const first = (member: FieldModel | OneofModel): number =>
    isOneof(member) ? Math.min(...member.fields.map(({ number }) => number)) : member.number;
  for (const member of members(message).sort((a, b) => first(a) - first(b))) {
    if (isOneof(member)) emitOneof(member, message, context, text);
    else emitField(member, context, text);
  }
}

function emitField(field: FieldModel, context: ModuleContext, text: Text): void {
  const value = `message.${field.localName}`;
  switch (field.presence) {
    case "required": {
      const name = JSON.stringify(field.errorName);
      text.line(`if (${value} == null) throw ${context.codec("missingField")}(${name});`);
      // A block of its own, for the mark of a nested message.
      if (isMessage(field.type)) text.block("{", "}", () => emitValue(field, value, context, text));
      else emitValue(field, value, context, text);
      break;
    }
    case "repeated":
      emitRepeated(field, value, context, text);
      break;
    case "map":
      emitMap(field, value, context, text);
      break;
    default:
      text.when(conditions(field, value), () => emitValue(field, value, context, text));
  }
}

/** When a single field is sent: it is there and, where presence is implicit, no default. */
function conditions(field: FieldModel, value: string): string[] {
  const there = `${value} != null`;
  if (field.presence !== "implicit") return [there];
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
      if (!isLong(field.type)) return [there, `${value} !== 0`];
      return [
        there,
        `${value} !== 0n`,
        `${value} !== 0`,
        ...(field.longs === "string" ? [`${value} !== "0"`] : []),
      ];
  }
}

/** The statements that write one value. `tag` 0 is an element of a packed list. */
function emitValue(
  field: FieldModel,
  value: string,
  context: ModuleContext,
  text: Text,
  tag = tagOf(field),
): void {
  const { type } = field;
  const name = JSON.stringify(field.errorName);
  if (isMessage(type)) {
    const encode = `${context.type(type)}.encode(${value}, writer${type.countsDepth ? ", depth + 1" : ""});`;
    if (field.delimited) {
      text.list("writer.groupField(", [String(tag), value, name], ");");
      text.line(encode);
      text.line(`writer.uint32(${tag + 1});`);
    } else {
      text.list("const mark = writer.messageField(", [String(tag), value, name], ");");
      text.line(encode);
      text.line("writer.end(mark);");
    }
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
  const given = isLong(type) && field.longs === "string" ? `${context.codec("longOf")}(${value})` : value;
  text.list(`writer.${type}Field(`, [String(tag), given, name], ");");
}

function emitRepeated(field: FieldModel, value: string, context: ModuleContext, text: Text): void {
  const name = JSON.stringify(field.errorName);
  const each = `for (const value of ${context.codec("listOf")}(${value}, ${name})) {`;
  if (!field.packed || !isPackable(field.type)) {
    text.block(each, "}", () => emitValue(field, "value", context, text));
    return;
  }
  text.when([`${value} != null`, `${value}.length !== 0`], () => {
    text.line(`const mark = writer.partField(${partTagOf(field)});`);
    // The commonest kind has a loop of its own, where a call for each element would cost as much as the element.
    if (field.type === "int32") {
      text.line(`writer.packedInt32(${context.codec("listOf")}(${value}, ${name}), ${name});`);
    } else text.block(each, "}", () => emitValue(field, "value", context, text, 0));
    text.line("writer.end(mark);");
  });
}

function emitMap(field: FieldModel, value: string, context: ModuleContext, text: Text): void {
  const name = JSON.stringify(field.errorName);
  text.block(`for (const [key, value] of ${context.codec("entriesOf")}(${value}, ${name})) {`, "}", () => {
    text.line(`const entry = writer.partField(${partTagOf(field)});`);
    emitValue(entryField(field, "key"), "key", context, text);
    emitValue(entryField(field, "value"), "value", context, text);
    text.line("writer.end(entry);");
  });
}

function emitOneof(oneof: OneofModel, message: MessageModel, context: ModuleContext, text: Text): void {
  const value = `message.${oneof.localName}`;
  text.when([`${value} != null`], () => {
    text.block(`switch (${value}.case) {`, "}", () => {
      for (const field of oneof.fields) emitOneofCase(field, value, context, text);
      text.line("default:");
      const cases = oneof.fields.map((field) => JSON.stringify(field.localName));
      const name = JSON.stringify(`${message.shortName}.${oneof.name}`);
      text.indented(() => text.list(`throw ${context.codec("unknownCase")}(`, [value, name, ...cases], ");"));
    });
  });
}

function emitOneofCase(field: FieldModel, value: string, context: ModuleContext, text: Text): void {
  const braces = isMessage(field.type) && !field.delimited;
  text.line(`case ${JSON.stringify(field.localName)}:${braces ? " {" : ""}`);
  text.indented(() => {
    emitValue(field, `${value}.value`, context, text);
    text.line("break;");
  });
  if (braces) text.line("}");
}
