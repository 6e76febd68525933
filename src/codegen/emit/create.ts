import { isEnum, isMessage } from "../link.js";
import type { ProtoField, ProtoMessage, ProtoOneof } from "../model.js";
import { propertyKey } from "../names.js";
import type { ModuleContext } from "./context.js";
import type { Text } from "./text.js";
import { isLong, isOneof, isOptional, members } from "./types.js";

/** The value an absent field reads as, in TypeScript. */
export function defaultOf(field: ProtoField, context: ModuleContext): string {
  if (field.presence === "repeated") return "[]";
  if (field.presence === "map") return "new Map()";
  return isOptional(field) ? "undefined" : elementDefault(field, context);
}

/** The default of one value: the declared one or the type's. */
export function elementDefault(field: ProtoField, context: ModuleContext): string {
  const { type, defaultText } = field;
  if (isMessage(type)) return `${context.type(type)}.create()`;
  if (isEnum(type)) {
    const number =
      type.values.find(({ name }) => name === defaultText)?.number ?? type.values[0]?.number ?? 0;
    return String(number);
  }
  if (type === "bool") return defaultText === "true" ? "true" : "false";
  if (type === "string") return JSON.stringify(defaultText ?? "");
  if (type === "bytes") {
    return defaultText
      ? `Buffer.from(${JSON.stringify(defaultText)}, "latin1")`
      : context.codec("emptyBytes");
  }
  if (isLong(type)) return `${BigInt.asIntN(65, integer(defaultText))}n`;
  if (type === "float" || type === "double") return floating(defaultText);
  return String(integer(defaultText));
}

/** Decimal, hexadecimal and octal, as a .proto writes them. */
function integer(text: string | undefined): bigint {
  if (text === undefined) return 0n;
  const negative = text.startsWith("-");
  const digits = negative ? text.slice(1) : text;
  const value = BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits);
  return negative ? -value : value;
}

function floating(text: string | undefined): string {
  if (text === undefined) return "0";
  if (/^nan$/i.test(text)) return "Number.NaN";
  const infinite = /^(-?)inf$/i.exec(text);
  if (infinite !== null) return `${infinite[1]}Number.POSITIVE_INFINITY`;
  const value = Number(text);
  return Object.is(value, -0) ? "-0" : String(value);
}

/** Turns one value as given into one as decoded; the expression itself when they are alike. */
function converted(field: ProtoField, value: string, context: ModuleContext): string {
  if (isMessage(field.type)) return `${context.type(field.type)}.create(${value})`;
  if (field.type === "bytes") return `${context.codec("toBuffer")}(${value})`;
  return isLong(field.type) ? `BigInt(${value})` : value;
}

function created(field: ProtoField, message: ProtoMessage, context: ModuleContext): string {
  const value = `input?.${field.localName}`;
  const name = JSON.stringify(`${message.shortName}.${field.name}`);
  if (field.presence === "repeated") {
    const list = `${context.codec("listOf")}(${value}, ${name})`;
    const element = converted(field, "value", context);
    return element === "value" ? `[...${list}]` : `${list}.map((value) => ${element})`;
  }
  if (field.presence === "map") {
    const pairs = `${context.codec("entriesOf")}(${value}, ${name})`;
    const key = isLong(field.mapKey) ? "BigInt(key)" : "key";
    const element = converted(field, "value", context);
    if (key === "key" && element === "value") return `new Map(${pairs})`;
    return `new Map(Array.from(${pairs}, ([key, value]) => [${key}, ${element}]))`;
  }
  if (isOptional(field)) {
    const element = converted(field, `input.${field.localName}`, context);
    return element === `input.${field.localName}` ? value : `${value} == null ? undefined : ${element}`;
  }
  const fallback = elementDefault(field, context);
  if (isMessage(field.type)) return converted(field, value, context);
  // A default of the right type already needs no conversion, but one expression reads better than two.
  return converted(field, `${value} ?? ${fallback}`, context);
}

/** `create` of a message, and, before it, one function for each of its oneofs. */
export function emitCreate(
  message: ProtoMessage,
  helpers: ReadonlyMap<ProtoOneof, string>,
  context: ModuleContext,
  text: Text,
): void {
  const all = members(message);
  if (all.length === 0) {
    text.block("create() {", "},", () => text.line("return {};"));
    return;
  }
  text.block("create(input) {", "},", () => {
    text.block("return {", "};", () => {
      for (const member of all) {
        const key = propertyKey(member.localName);
        if (isOneof(member)) text.line(`${key}: ${helpers.get(member)}(input?.${member.localName}),`);
        else text.assign(`${key}:`, created(member, message, context), ",");
      }
    });
  });
}

export function emitOneofHelpers(
  message: ProtoMessage,
  context: ModuleContext,
  text: Text,
): Map<ProtoOneof, string> {
  const helpers = new Map<ProtoOneof, string>();
  const type = context.typeOnly(message);
  for (const oneof of message.oneofs) {
    const helper = context.local(`create${type}_${oneof.localName}`);
    helpers.set(oneof, helper);
    const key = JSON.stringify(oneof.localName);
    const name = JSON.stringify(`${message.shortName}.${oneof.name}`);
    text.list(`function ${helper}(`, [`oneof: ${context.input(message)}[${key}]`], `): ${type}[${key}] {`);
    text.indented(() => {
      text.block("switch (oneof?.case) {", "}", () => {
        text.line("case undefined:");
        text.indented(() => text.line("return undefined;"));
        for (const field of oneof.fields) {
          const label = JSON.stringify(field.localName);
          const value = converted(field, "oneof.value", context);
          text.line(`case ${label}:`);
          text.indented(() =>
            value === "oneof.value"
              ? text.line("return oneof;")
              : text.list("return {", [`case: ${label}`, `value: ${value}`], "};", true),
          );
        }
        text.line("default:");
        const cases = `[${oneof.fields.map((field) => JSON.stringify(field.localName)).join(", ")}]`;
        text.indented(() =>
          text.list(`throw ${context.codec("unknownCase")}(`, ["oneof", name, cases], ");"),
        );
      });
    });
    text.line("}");
    text.line();
  }
  return helpers;
}
