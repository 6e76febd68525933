import type { ScalarType } from "./model.js";

/** A whole number as a .proto writes it: decimal, hexadecimal or octal. Undefined for anything else. */
export function parseInteger(text: string): bigint | undefined {
  const match = /^(-?)(0x[0-9a-f]+|0[0-7]+|0|[1-9][0-9]*)$/i.exec(text);
  if (match === null) return undefined;
  const [, sign, digits = ""] = match;
  const value = BigInt(/^0[0-7]/.test(digits) ? `0o${digits.slice(1)}` : digits);
  return sign === "-" ? -value : value;
}

/** Whether `[default = text]` fits a field of this type. */
export function isDefault(type: ScalarType, text: string): boolean {
  switch (type) {
    case "string":
    case "bytes":
      return true;
    case "bool":
      return text === "true" || text === "false";
    case "float":
    case "double":
      return /^-?(inf|nan)$/i.test(text) || (text !== "" && !Number.isNaN(Number(text)));
    default: {
      const value = parseInteger(text);
      if (value === undefined) return false;
      const bits = type.endsWith("64") ? 64 : 32;
      const unsigned = type.startsWith("u") || type.startsWith("fixed");
      return (unsigned ? BigInt.asUintN(bits, value) : BigInt.asIntN(bits, value)) === value;
    }
  }
}
