/** Everything here works on strings of bytes: one character, from 0 to 255, is one byte. */

const notAscii = /[\x80-\xff]/;

/** Bytes as the text they are in UTF-8; what is no UTF-8 becomes U+FFFD. */
export function textOf(bytes: string): string {
  return notAscii.test(bytes) ? Buffer.from(bytes, "latin1").toString("utf8") : bytes;
}

export function bytesOf(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

const simpleEscapes: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

const escapes =
  /\\(?:([0-7]{1,3})|[xX]([0-9A-Fa-f]{1,2})|((?:u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2})|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})|([\s\S])|$)/g;

/** The bytes that a string token stands for, given with its quotes. */
export function unquote(token: string): string {
  const quote = token[0];
  const closed = token.length > 1 && token.endsWith(quote ?? "");
  const inner = token.slice(1, closed ? -1 : undefined);
  if (!inner.includes("\\")) return inner;
  return inner.replace(
    escapes,
    (_all, octal?: string, hex?: string, unicode?: string, one: string = "\\") => {
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 255);
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
      if (unicode !== undefined) return codePointBytes(unicode);
      return simpleEscapes[one] ?? one;
    },
  );
}

/** `u00e9`, `U0001f600` or a pair of surrogates as UTF-8; a lone surrogate gives three bytes as protoc does. */
function codePointBytes(text: string): string {
  const first = Number.parseInt(text.slice(1).split("\\")[0] ?? "", 16);
  const second = text.split("\\u")[1];
  const code =
    second === undefined ? first : 0x10000 + ((first & 0x3ff) << 10) + (Number.parseInt(second, 16) & 0x3ff);
  const tail = (shift: number): number => 0x80 | ((code >> shift) & 0x3f);
  if (code < 0x80) return String.fromCharCode(code);
  if (code < 0x800) return String.fromCharCode(0xc0 | (code >> 6), tail(0));
  if (code < 0x10000) return String.fromCharCode(0xe0 | (code >> 12), tail(6), tail(0));
  return String.fromCharCode((0xf0 | (code >> 18)) & 255, tail(12), tail(6), tail(0));
}

/** An integer token's value; undefined when it has no digits or digits that its base does not have. */
export function integerOf(text: string): bigint | undefined {
  if (/^0[xX]/.test(text)) return text.length > 2 ? BigInt(text) : undefined;
  if (/^0[0-9]/.test(text)) return /^[0-7]+$/.test(text) ? BigInt(`0o${text}`) : undefined;
  return /^[0-9]+$/.test(text) ? BigInt(text) : undefined;
}

/** A float token's value: `1.5`, `1e3`, `.5f`; digits that are missing count as nothing. */
export function floatOf(text: string): number {
  return Number.parseFloat(text);
}

const printable = /[\x20-\x7e]/;
const shortEscapes: Readonly<Record<string, string>> = {
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  '"': '\\"',
  "'": "\\'",
  "\\": "\\\\",
};

/** Bytes as a default value of type `bytes` writes them: what is not printable ASCII becomes three octal digits. */
export function escapeBytes(bytes: string): string {
  let text = "";
  for (const one of bytes) {
    text +=
      shortEscapes[one] ??
      (printable.test(one) ? one : `\\${one.charCodeAt(0).toString(8).padStart(3, "0")}`);
  }
  return text;
}

/** A double in the fewest of 15 or 17 digits that read back as the same value. */
export function doubleText(value: number): string {
  const short = generalFormat(value, 15);
  return Number.isNaN(value) || Number(short) === value ? short : generalFormat(value, 17);
}

/** A float in the fewest of 6 or 9 digits that read back as the same value. */
export function floatText(value: number): string {
  const short = generalFormat(value, 6);
  return Number.isNaN(value) || Math.fround(Number(short)) === value ? short : generalFormat(value, 9);
}

/** C's `%.<digits>g`. */
function generalFormat(value: number, digits: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const [mantissa = "", exponentText = "0"] = value.toExponential(digits - 1).split("e");
  const exponent = Number(exponentText);
  if (exponent >= -4 && exponent < digits) return withoutZeros(value.toFixed(digits - 1 - exponent));
  const sign = exponent < 0 ? "-" : "+";
  return `${withoutZeros(mantissa)}e${sign}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

function withoutZeros(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}
