import { parseInteger } from "../defaults.js";
import { isEnum, isMessage } from "../link.js";
import type { ProtoField, ProtoMessage, ProtoOneof } from "../model.js";
import { propertyKey } from "../names.js";
import type { ModuleContext } from "./context.js";
import type { Text } from "./text.js";
import { isLong, isOneof, isOptional, isTimestamp, members } from "./types.js";

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
  if (type === "string") return quoted(defaultText ?? "");
  if (type === "bytes") {
    return defaultText ? `Buffer.from(${quoted(defaultText)}, "latin1")` : context.codec("emptyBytes");
  }
  if (isLong(type)) return `${parseInteger(defaultText ?? "0")}n`;
  if (type === "float" || type === "double") return floating(defaultText);
  return String(parseInteger(defaultText ?? "0"));
}

function floating(text: string | undefined): string {
  if (text === undefined) return "0";
  if (/^nan$/i.test(text)) return "Number.NaN";
  const infinite = /^(-?)inf$/i.exec(text);
  if (infinite !== null) return `${infinite[1]}Number.POSITIVE_INFINITY`;
  const value = Number(text);
  return Object.is(value, -0) ? "-0" : String(value);
}

/** What turns one value as given into one as decoded: a function of one argument; undefined when they are alike. */
function converter(field: ProtoField, context: ModuleContext): string | undefined {
  if (isMessage(field.type)) return `${context.type(field.type)}.create`;
  if (field.type === "bytes") return context.codec("toBuffer");
  return isLong(field.type) ? "BigInt" : undefined;
}

/** The expression for a field in the object `create` returns: `open`, arguments, `)`; or all of it in `open`. */
function created(
  field: ProtoField,
  message: ProtoMessage,
  context: ModuleContext,
): [open: string, ...args: string[]] {
  const value = `input?.${field.localName}`;
  const name = JSON.stringify(`${message.shortName}.${field.name}`);
  const convert = converter(field, context);
  if (field.presence === "repeated") {
    if (convert === undefined) return [`[...${context.codec("listOf")}(${value}, ${name})]`];
    return [context.codec("arrayOf"), value, name, convert];
  }
  if (field.presence === "map") {
    const build = context.codec(isLong(field.mapKey) ? "longMapOf" : "mapOf");
    return [build, value, name, convert ?? context.codec("same")];
  }
  if (isOptional(field)) {
    return convert === undefined ? [value] : [context.codec("optional"), value, convert];
  }
  if (isMessage(field.type)) return [`${convert}(${value})`];
  const given = `${value} ?? ${elementDefault(field, context)}`;
  return [convert === undefined ? given : `${convert}(${given})`];
}

/** A string literal with the quotes that need fewer escapes. */
function quoted(text: string): string {
  const double = JSON.stringify(text);
  if (!text.includes('"') || text.includes("'")) return double;
  return `'${double.slice(1, -1).replaceAll('\\"', '"')}'`;
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
  text.block(`create(${isTimestamp(message) ? "given" : "input"}) {`, "},", () => {
    if (isTimestamp(message)) {
      text.line(`const input = given && ${context.codec("timestampGiven")}(given);`);
    }
    text.block("return {", "};", () => {
      for (const member of all) {
        const key = propertyKey(member.localName);
        if (isOneof(member)) text.line(`${key}: ${helpers.get(member)}(input?.${member.localName}),`);
        else {
          const [open, ...args] = created(member, message, context);
          if (args.length === 0) text.assign(`${key}:`, open, ",");
          else text.list(`${key}: ${open}(`, args, "),");
        }
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
          const convert = converter(field, context);
          text.line(`case ${label}:`);
          text.indented(() =>
            convert === undefined
              ? text.line("return oneof;")
              : text.list("return {", [`case: ${label}`, `value: ${convert}(oneof.value)`], "};", true),
          );
        }
        text.line("default:");
        const cases = oneof.fields.map((field) => JSON.stringify(field.localName));
        text.indented(() =>
          text.list(`throw ${context.codec("unknownCase")}(`, ["oneof", name, ...cases], ");"),
        );
      });
    });
    text.line("}");
    text.line();
  }
  return helpers;
}
