import { type FieldModel, isMessage, type MessageModel, type OneofModel } from "../model.js";
import { propertyKey } from "../names.js";
import type { ModuleContext } from "./context.js";
import { zeroOf } from "./defaults.js";
import type { Text } from "./text.js";
import { isOneof, isTimestamp, members } from "./types.js";
import { isLong } from "./wire.js";

/** What a field reads as before anything is set or decoded. */
export function absentValue(field: FieldModel, context: ModuleContext): string {
  if (field.presence === "repeated") return "[]";
  if (field.presence === "map") return "new Map()";
  return field.presence === "explicit" ? "undefined" : zeroOf(field, context);
}

/** What turns a 64-bit integer as given into its form; `toSafeNumber` refuses what a number cannot hold. */
function longConverter({ longs }: FieldModel, context: ModuleContext): string {
  if (longs === "number") return context.codec("toSafeNumber");
  return longs === "bigint" ? "BigInt" : "String";
}

/** What turns one value as given into one as decoded: a function of one argument; undefined when they are alike. */
function converter(field: FieldModel, context: ModuleContext): string | undefined {
  if (isMessage(field.type)) return `${context.type(field.type)}.create`;
  if (field.type === "bytes") return context.codec("toBuffer");
  return isLong(field.type) ? longConverter(field, context) : undefined;
}

/** The expression for a field in the object `create` returns: `open`, arguments, `)`; or all of it in `open`. */
function created(field: FieldModel, context: ModuleContext): [open: string, ...args: string[]] {
  const value = `input?.${field.localName}`;
  const name = JSON.stringify(field.errorName);
  const convert = converter(field, context);
  switch (field.presence) {
    case "repeated":
      if (convert === undefined) return [`[...${context.codec("listOf")}(${value}, ${name})]`];
      return [context.codec("arrayOf"), value, name, convert];
    case "map": {
      const rest = convert ?? context.codec("same");
      if (!isLong(field.mapKey)) return [context.codec("mapOf"), value, name, rest];
      return [context.codec("keyedMapOf"), value, name, longConverter(field, context), rest];
    }
    case "explicit":
      return convert === undefined ? [value] : [context.codec("optional"), value, convert];
    default: {
      // A required message is asked for, not made up: one that requires its own kind could never be finished.
      if (isMessage(field.type)) return [context.codec("required"), value, name, `${convert}`];
      const given = `${value} ?? ${zeroOf(field, context)}`;
      return [convert === undefined ? given : `${convert}(${given})`];
    }
  }
}

/** `create` of a message of `type`, whose oneofs have functions of their own, made by `emitOneofHelpers`. */
export function emitCreate(
  message: MessageModel,
  type: string,
  helpers: ReadonlyMap<OneofModel, string>,
  context: ModuleContext,
  text: Text,
): void {
  const all = members(message);
  text.block(`create(${isTimestamp(message) ? "given" : "input"}) {`, "},", () => {
    if (isTimestamp(message)) {
      text.line(`const input = given && ${context.codec("timestampGiven")}(given);`);
    }
    const keep = context.codec("withUnknown");
    if (all.length === 0) {
      text.line(`return ${keep}({}, input);`);
      return;
    }
    text.block(`const message: ${type} = {`, "};", () => {
      for (const member of all) emitMember(member, helpers, context, text);
    });
    text.line(`return ${keep}(message, input);`);
  });
}

function emitMember(
  member: FieldModel | OneofModel,
  helpers: ReadonlyMap<OneofModel, string>,
  context: ModuleContext,
  text: Text,
): void {
  const key = propertyKey(member.localName);
  if (isOneof(member)) {
    text.line(`${key}: ${helpers.get(member)}(input?.${member.localName}),`);
    return;
  }
  const [open, ...args] = created(member, context);
  if (args.length === 0) text.assign(`${key}:`, open, ",");
  else text.list(`${key}: ${open}(`, args, "),");
}

export function emitOneofHelpers(
  message: MessageModel,
  context: ModuleContext,
  text: Text,
): Map<OneofModel, string> {
  const helpers = new Map<OneofModel, string>();
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
