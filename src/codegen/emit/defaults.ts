import { type FieldModel, isEnum, isMessage, type LongForm, type ScalarType } from "../model.js";
import type { ModuleContext } from "./context.js";
import { isLong } from "./wire.js";

/** A 64-bit integer as a literal of its form. */
function long(text: string, form: LongForm): string {
  if (form === "bigint") return `${BigInt(text)}n`;
  return form === "string" ? JSON.stringify(text) : numberLiteral(text);
}

/** A number literal that reads the same; those beyond 2^53 lose what a number loses. */
function numberLiteral(text: string): string {
  const value = Number(text);
  return Object.is(value, -0) ? "-0" : String(value);
}

function floating(text: string): string {
  if (text === "nan" || text === "-nan") return "Number.NaN";
  if (text === "inf") return "Number.POSITIVE_INFINITY";
  return text === "-inf" ? "Number.NEGATIVE_INFINITY" : numberLiteral(text);
}

/** The value an absent field of implicit presence, or an absent key or value of a map, reads as. */
export function zeroOf({ type, longs }: FieldModel, context: ModuleContext): string {
  if (isMessage(type)) return `${context.type(type)}.create()`;
  if (isEnum(type)) return String(type.values[0]?.number ?? 0);
  if (isLong(type)) return long("0", longs);
  const zeros: Partial<Record<ScalarType, string>> = { bool: "false", string: '""' };
  return type === "bytes" ? context.codec("emptyBytes") : (zeros[type] ?? "0");
}

/** A field's `[default = ...]`, whose text is in the form of FieldDescriptorProto. */
export function declaredDefault(field: FieldModel, text: string, context: ModuleContext): string {
  const { type, longs } = field;
  if (isMessage(type)) return "undefined";
  if (isEnum(type)) return String(type.values.find(({ name }) => name === text)?.number ?? 0);
  if (type === "bool") return text;
  if (type === "string") return quoted(text);
  if (type === "bytes") {
    const bytes = unescaped(text);
    if (bytes === "") return context.codec("emptyBytes");
    if (/^[ -~]+$/.test(bytes)) return `Buffer.from(${quoted(bytes)}, "latin1")`;
    return `Buffer.from("${Buffer.from(bytes, "latin1").toString("base64")}", "base64")`;
  }
  if (isLong(type)) return long(text, longs);
  return type === "float" || type === "double" ? floating(text) : numberLiteral(text);
}

const simpleEscapes: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };

/** protoc's C escapes undone, one character a byte. */
function unescaped(text: string): string {
  return text.replace(/\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.))/gs, (_, octal, hex, char: string) => {
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8));
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    return simpleEscapes[char] ?? char;
  });
}

/** A string literal with the quotes that need fewer escapes. */
function quoted(text: string): string {
  const double = JSON.stringify(text);
  if (!text.includes('"') || text.includes("'")) return double;
  return `'${double.slice(1, -1).replaceAll('\\"', '"')}'`;
}
