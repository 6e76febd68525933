import {
  type EnumModel,
  type FieldModel,
  isEnum,
  isMessage,
  type MessageModel,
  type OneofModel,
} from "../model.js";
import { propertyKey } from "../names.js";
import type { ModuleContext } from "./context.js";
import { absentValue } from "./create.js";
import { zeroOf } from "./defaults.js";
import type { Statement, Text } from "./text.js";
import { elementOut, isOneof, members } from "./types.js";
import { entryField, isLong, isPackable, partTagOf, tagOf } from "./wire.js";

/** `type` is what it gives, in TypeScript. */
export function emitDecode(message: MessageModel, type: string, context: ModuleContext, text: Text): void {
  const all = members(message);
  const name = JSON.stringify(message.shortName);
  const depth = message.countsDepth ? "depth = 0" : "_depth";
  text.block(`decode(reader, end, ${depth}, into) {`, "},", () => {
    if (message.recursive) {
      text.line(`if (depth > ${context.codec("nestingMax")}) throw ${context.codec("tooDeep")}(${name});`);
    }
    const required = message.fields.filter(({ presence }) => presence === "required");
    if (all.length === 0) text.line(`const message: ${type} = into ?? {};`);
    else {
      text.block(`const message: ${type} = into ?? {`, "};", () => {
        for (const member of all) text.line(`${propertyKey(member.localName)}: ${initial(member, context)},`);
      });
    }
    required.forEach((_, i) => {
      text.line(`let has${i + 1} = into !== undefined;`);
    });
    text.block("while (reader.pos < end) {", "}", () => emitFields(message, required, context, text));
    text.line("reader.finish(end);");
    required.forEach((field, i) => {
      text.line(
        `if (!has${i + 1}) throw ${context.codec("missingField")}(${JSON.stringify(field.errorName)});`,
      );
    });
    text.line("return message;");
  });
}

function initial(member: FieldModel | OneofModel, context: ModuleContext): string {
  if (isOneof(member)) return "undefined";
  // It is set, or decoding throws.
  if (member.presence === "required" && isMessage(member.type)) return "undefined as never";
  return absentValue(member, context);
}

function emitFields(
  message: MessageModel,
  required: readonly FieldModel[],
  context: ModuleContext,
  text: Text,
): void {
  if (message.fields.length === 0) {
    text.line("reader.keepUnknown(message, reader.tag());");
    return;
  }
  text.line("const tag = reader.tag();");
  text.block("switch (tag) {", "}", () => {
    for (const field of message.fields) emitField(field, context, text, required.indexOf(field) + 1);
    text.line("default:");
    text.indented(() => text.line("reader.keepUnknown(message, tag);"));
  });
}

/** The expression that reads one value that ends at `end`. `into` is what a message is merged into. */
function read(field: FieldModel, context: ModuleContext, end: string, into?: string): string {
  const { type } = field;
  if (!isMessage(type)) return `reader.${readerCall(field, type)}`;
  const depth = type.countsDepth ? "depth + 1" : into === undefined ? "" : "0";
  const stop = field.delimited ? "stop" : `reader.nested(${end})`;
  const args = ["reader", stop, depth, into ?? ""].filter((part) => part !== "");
  return `${context.type(type)}.decode(${args.join(", ")})`;
}

function readerCall(field: FieldModel, type: Exclude<FieldModel["type"], MessageModel>): string {
  if (isEnum(type)) return "int32()";
  if (type === "string") return field.verifyUtf8 ? "stringVerify()" : "string()";
  if (!isLong(type)) return `${type}()`;
  return field.longs === "number" ? `${type}Number(${JSON.stringify(field.errorName)})` : `${type}n()`;
}

/** As `read`, in the form the field has in TypeScript. */
function readValue(field: FieldModel, context: ModuleContext, end: string, into?: string): string {
  const value = read(field, context, end, into);
  return isLong(field.type) && field.longs === "string" ? `String(${value})` : value;
}

function emitField(field: FieldModel, context: ModuleContext, text: Text, required: number): void {
  const target = `message.${field.localName}`;
  switch (field.presence) {
    case "map":
      emitMap(field, context, text);
      return;
    case "oneof":
      emitOneofField(field, context, text);
      return;
    case "repeated":
      emitCase(field, text, (body) => store(field, context, body, (value) => `${target}.push(${value});`));
      if (isPackable(field.type)) emitPacked(field, context, text);
      return;
    default:
      emitCase(field, text, (body) => {
        const merged = required > 0 ? `has${required} ? ${target} : undefined` : target;
        const into = isMessage(field.type) ? merged : undefined;
        const closed = isEnum(field.type) && field.type.closed;
        const found = `has${required} = true;`;
        // A number that the enum does not have sets nothing: both statements are behind the `if`.
        const behind = required > 0 && closed ? ` ${found}` : "";
        store(field, context, body, (value) => `${target} = ${value};${behind}`, into);
        if (required > 0 && !closed) body.push(found);
      });
  }
}

/** `case tag:` with braces when the body declares something; around a group's fields its end is looked for and read. */
function emitCase(field: FieldModel, text: Text, fill: (body: Statement[]) => void): void {
  const body: Statement[] = [];
  const group = isMessage(field.type) && field.delimited;
  if (group) body.push("const stop = reader.group(tag, end);");
  fill(body);
  if (group) body.push("reader.tag();");
  const braces = body.some((one) => typeof one === "string" && one.startsWith("const "));
  text.line(`case ${tagOf(field)}:${braces ? " {" : ""}`);
  text.indented(() => {
    text.statements(body);
    text.line("break;");
  });
  if (braces) text.line("}");
}

/** Reads a value and stores it; a number that its closed enum does not have is kept as an unknown field. */
function store(
  field: FieldModel,
  context: ModuleContext,
  body: Statement[],
  statement: (value: string) => string,
  into?: string,
): void {
  const { type } = field;
  if (isEnum(type) && type.closed) {
    body.push("const start = reader.pos;", `const value = ${read(field, context, "end")};`);
    const otherwise = "reader.keepField(message, tag, start);";
    body.push({ guard: isKnown(type, context), body: statement("value"), otherwise });
  } else {
    body.push(statement(readValue(field, context, "end", into)));
  }
}

function emitPacked(field: FieldModel, context: ModuleContext, text: Text): void {
  const target = `message.${field.localName}`;
  const { type } = field;
  text.block(`case ${partTagOf(field)}: {`, "}", () => {
    text.line("const stop = reader.nested(end);");
    if (isEnum(type) && type.closed) {
      text.block("while (reader.pos < stop) {", "}", () => {
        text.line(`const value = ${read(field, context, "stop")};`);
        const otherwise = `reader.keepEnum(message, ${tagOf(field)}, value);`;
        text.statements([{ guard: isKnown(type, context), body: `${target}.push(value);`, otherwise }]);
      });
    } else if (type === "int32" || type === "double") {
      // The commonest kinds have loops of their own, where a call for each element would cost as much as the element.
      text.line(`reader.${type === "int32" ? "packedInt32" : "packedDouble"}(stop, ${target});`);
    } else {
      const push = `${target}.push(${readValue(field, context, "stop")});`;
      text.statements([{ guard: "while (reader.pos < stop)", body: push }]);
    }
    text.line("reader.finish(stop);");
    text.line("break;");
  });
}

function emitOneofField(field: FieldModel, context: ModuleContext, text: Text): void {
  const target = `message.${field.oneof?.localName}`;
  const label = JSON.stringify(field.localName);
  emitCase(field, text, (body) => {
    if (isEnum(field.type) && field.type.closed) {
      store(field, context, body, () => `${target} = { case: ${label}, value };`);
      return;
    }
    let into: string | undefined;
    if (isMessage(field.type)) {
      body.push(`const before = ${target}?.case === ${label} ? ${target}.value : undefined;`);
      into = "before";
    }
    body.push(`const value = ${readValue(field, context, "end", into)};`);
    body.push(`${target} = { case: ${label}, value };`);
  });
}

function isKnown(type: EnumModel, context: ModuleContext): string {
  return `if (${context.codec("isEnumValue")}(${context.type(type)}, value))`;
}

function emitMap(field: FieldModel, context: ModuleContext, text: Text): void {
  const key = entryField(field, "key");
  const value = entryField(field, "value");
  const { type } = field;
  const closed = isEnum(type) && type.closed;
  text.block(`case ${partTagOf(field)}: {`, "}", () => {
    if (closed) text.line("const start = reader.pos;");
    text.line("const stop = reader.nested(end);");
    text.line(`let key = ${zeroOf(key, context)};`);
    if (isMessage(type)) text.line(`let value: ${elementOut(field, context)} | undefined;`);
    else text.line(`let value${isEnum(type) ? ": number" : ""} = ${zeroOf(value, context)};`);
    text.block("while (reader.pos < stop) {", "}", () => emitMapParts(key, value, context, text));
    text.line("reader.finish(stop);");
    const stored = isMessage(type) ? `value ?? ${zeroOf(value, context)}` : "value";
    const set = `message.${field.localName}.set(key, ${stored});`;
    const otherwise = "reader.keepField(message, tag, start);";
    text.statements([closed ? { guard: isKnown(type, context), body: set, otherwise } : set]);
    text.line("break;");
  });
}

function emitMapParts(key: FieldModel, value: FieldModel, context: ModuleContext, text: Text): void {
  const into = isMessage(value.type) ? "value" : undefined;
  const heads = [`if (part === ${tagOf(key)})`, `else if (part === ${tagOf(value)})`, "else"] as const;
  const bodies = [
    `key = ${readValue(key, context, "stop")};`,
    `value = ${readValue(value, context, "stop", into)};`,
    "reader.skipField(part);",
  ] as const;
  text.line("const part = reader.tag();");
  if (heads.every((head, i) => text.fits(`${head} ${bodies[i]}`))) {
    text.lines(heads.map((head, i) => `${head} ${bodies[i]}`));
    return;
  }
  heads.forEach((head, i) => {
    text.line(i === 0 ? `${head} {` : `} ${head} {`);
    text.indented(() => text.statements([bodies[i] ?? ""]));
  });
  text.line("}");
}
