import { isEnum, isMessage } from "../link.js";
import type { ProtoEnum, ProtoField, ProtoMessage, ScalarType } from "../model.js";
import { propertyKey } from "../names.js";
import type { ModuleContext } from "./context.js";
import { defaultOf, elementDefault } from "./create.js";
import { isPackable, needsDepth, tagOf, wireTypeOf } from "./encode.js";
import type { Statement, Text } from "./text.js";
import { elementOut, isLong, isOneof, members } from "./types.js";

export function emitDecode(message: ProtoMessage, context: ModuleContext, text: Text): void {
  const all = members(message);
  const name = JSON.stringify(message.shortName);
  const depth = needsDepth(message) ? "depth = 0" : "_depth";
  const type = context.typeOnly(message);
  text.block(`decode(reader, end, ${depth}, into) {`, "},", () => {
    if (message.recursive) {
      text.line(`if (depth > ${context.codec("nestingMax")}) throw ${context.codec("tooDeep")}(${name});`);
    }
    if (all.length === 0) text.line(`const message: ${type} = into ?? {};`);
    else {
      text.block(`const message: ${type} = into ?? {`, "};", () => {
        for (const member of all) {
          const value = isOneof(member) ? "undefined" : defaultOf(member, context);
          text.line(`${propertyKey(member.localName)}: ${value},`);
        }
      });
    }
    const required = message.fields.filter(({ presence }) => presence === "required");
    required.forEach((_, i) => {
      text.line(`let has${i + 1} = into !== undefined;`);
    });
    text.block("while (reader.pos < end) {", "}", () => emitFields(message, required, context, text));
    text.line("reader.finish(end);");
    required.forEach((field, i) => {
      const fieldName = JSON.stringify(`${message.shortName}.${field.name}`);
      text.line(`if (!has${i + 1}) throw ${context.codec("missingField")}(${fieldName});`);
    });
    text.line("return message;");
  });
}

function emitFields(
  message: ProtoMessage,
  required: readonly ProtoField[],
  context: ModuleContext,
  text: Text,
): void {
  if (message.fields.length === 0) {
    text.line("reader.skipField(reader.tag());");
    return;
  }
  text.line("const tag = reader.tag();");
  text.block("switch (tag) {", "}", () => {
    for (const field of message.fields) {
      emitField(field, context, text, message, required.indexOf(field) + 1);
    }
    text.line("default:");
    text.indented(() => text.line("reader.skipField(tag);"));
  });
}

/** The expression that reads one value. `into` is what a message is merged into. */
function read(field: ProtoField, context: ModuleContext, end: string, into?: string): string {
  const { type } = field;
  if (isMessage(type)) {
    const depth = needsDepth(type) ? "depth + 1" : into === undefined ? "" : "0";
    const rest = [depth, into].filter((part) => part !== undefined && part !== "");
    const args = ["reader", `reader.nested(${end})`, ...rest];
    return `${context.type(type)}.decode(${args.join(", ")})`;
  }
  return `reader.${readerMethod(type, context)}()`;
}

function readerMethod(type: Exclude<ProtoField["type"], ProtoMessage>, context: ModuleContext): string {
  if (isEnum(type)) return "int32";
  // proto2 lets a string hold any bytes; proto3 asks for UTF-8.
  if (type === "string") return context.file.syntax === "proto3" ? "stringVerify" : "string";
  return isLong(type) ? `${type as string}n` : (type as string);
}

function emitField(
  field: ProtoField,
  context: ModuleContext,
  text: Text,
  message: ProtoMessage,
  required: number,
): void {
  const target = `message.${field.localName}`;
  const tag = tagOf(field.id, wireTypeOf(field.type));
  if (field.presence === "map") {
    emitMap(field, context, text);
    return;
  }
  if (field.presence === "oneof") {
    emitOneofField(field, context, text, message);
    return;
  }
  if (field.presence === "repeated") {
    emitCase(tag, text, (body) => store(field, context, body, (value) => `${target}.push(${value});`));
    if (isPackable(field.type)) emitPacked(field, context, text);
    return;
  }
  emitCase(tag, text, (body) => {
    const into = isMessage(field.type)
      ? required > 0
        ? `has${required} ? ${target} : undefined`
        : target
      : undefined;
    store(field, context, body, (value) => `${target} = ${value};`, into);
    if (required > 0) body.push(`has${required} = true;`);
  });
}

/** `case tag:` with braces when the body declares something. */
function emitCase(tag: number, text: Text, fill: (body: Statement[]) => void): void {
  const body: Statement[] = [];
  fill(body);
  const braces = body.some((one) => typeof one === "string" && one.startsWith("const "));
  text.line(`case ${tag}:${braces ? " {" : ""}`);
  text.indented(() => {
    text.statements(body);
    text.line("break;");
  });
  if (braces) text.line("}");
}

/** Reads a value and stores it; an unknown number of a closed enum is passed over, as an unknown field is. */
function store(
  field: ProtoField,
  context: ModuleContext,
  body: Statement[],
  statement: (value: string) => string,
  into?: string,
): void {
  const value = read(field, context, "end", into);
  if (isEnum(field.type) && field.type.closed) {
    body.push(`const value = ${value};`);
    body.push({ guard: isKnown(field.type, context), body: statement("value") });
  } else {
    body.push(statement(value));
  }
}

function emitPacked(field: ProtoField, context: ModuleContext, text: Text): void {
  const target = `message.${field.localName}`;
  text.block(`case ${tagOf(field.id, 2)}: {`, "}", () => {
    text.line("const stop = reader.nested(end);");
    const body: Statement[] = [];
    store(field, context, body, (value) => `${target}.push(${value});`);
    const [only] = body;
    if (body.length === 1 && typeof only === "string") {
      text.statements([{ guard: "while (reader.pos < stop)", body: only }]);
    } else text.block("while (reader.pos < stop) {", "}", () => text.statements(body));
    text.line("reader.finish(stop);");
    text.line("break;");
  });
}

function emitOneofField(field: ProtoField, context: ModuleContext, text: Text, message: ProtoMessage): void {
  const oneof = message.oneofs.find(({ fields }) => fields.includes(field));
  const target = `message.${oneof?.localName}`;
  const label = JSON.stringify(field.localName);
  emitCase(tagOf(field.id, wireTypeOf(field.type)), text, (body) => {
    let into: string | undefined;
    if (isMessage(field.type)) {
      body.push(`const before = ${target}?.case === ${label} ? ${target}.value : undefined;`);
      into = "before";
    }
    if (isEnum(field.type) && field.type.closed) {
      store(field, context, body, () => `${target} = { case: ${label}, value };`);
    } else {
      body.push(`const value = ${read(field, context, "end", into)};`);
      body.push(`${target} = { case: ${label}, value };`);
    }
  });
}

function isKnown(type: ProtoEnum, context: ModuleContext): string {
  return `if (${context.codec("isEnumValue")}(${context.type(type)}, value))`;
}

function emitMap(field: ProtoField, context: ModuleContext, text: Text): void {
  const key = { ...field, type: field.mapKey as ScalarType, defaultText: undefined };
  const value = { ...field, defaultText: undefined };
  const valueType = elementOut(field, context);
  text.block(`case ${tagOf(field.id, 2)}: {`, "}", () => {
    text.line("const stop = reader.nested(end);");
    text.line(`let key = ${elementDefault(key, context)};`);
    if (isMessage(field.type)) text.line(`let value: ${valueType} | undefined;`);
    else text.line(`let value${isEnum(field.type) ? ": number" : ""} = ${elementDefault(value, context)};`);
    text.block("while (reader.pos < stop) {", "}", () => emitMapParts(key, value, context, text));
    text.line("reader.finish(stop);");
    const stored = isMessage(field.type) ? `value ?? ${elementDefault(value, context)}` : "value";
    const set = `message.${field.localName}.set(key, ${stored});`;
    const closed = isEnum(field.type) && field.type.closed;
    text.statements([closed ? { guard: isKnown(field.type as ProtoEnum, context), body: set } : set]);
    text.line("break;");
  });
}

function emitMapParts(key: ProtoField, value: ProtoField, context: ModuleContext, text: Text): void {
  const into = isMessage(value.type) ? "value" : undefined;
  const heads = [
    `if (part === ${tagOf(1, wireTypeOf(key.type))})`,
    `else if (part === ${tagOf(2, wireTypeOf(value.type))})`,
    "else",
  ] as const;
  const bodies = [
    `key = ${read(key, context, "stop")};`,
    `value = ${read(value, context, "stop", into)};`,
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
