/** `grpc-message`: UTF-8 whose bytes outside of printable ASCII, and `%`, are percent-encoded. */
export function encodeStatusMessage(text: string): string {
  for (let i = 0; i < text.length; i++) if (!isPlain(text.charCodeAt(i))) return encoded(text);
  return text;
}

function isPlain(unit: number): boolean {
  return unit >= 0x20 && unit <= 0x7e && unit !== 0x25;
}

function encoded(text: string): string {
  let result = "";
  for (const byte of Buffer.from(text, "utf8")) {
    result += isPlain(byte)
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return result;
}

/** The text again. What is no percent-encoding stays as it is, and no sequence of bytes is an error. */
export function decodeStatusMessage(value: string): string {
  if (!value.includes("%")) return isAscii(value) ? value : Buffer.from(value, "latin1").toString("utf8");
  const bytes = Buffer.allocUnsafe(value.length);
  let length = 0;
  for (let i = 0; i < value.length; i++) {
    const hex = value.charCodeAt(i) === 0x25 ? value.slice(i + 1, i + 3) : "";
    if (/^[0-9a-fA-F]{2}$/.test(hex)) {
      bytes[length++] = Number.parseInt(hex, 16);
      i += 2;
    } else bytes[length++] = value.charCodeAt(i);
  }
  return bytes.toString("utf8", 0, length);
}

function isAscii(value: string): boolean {
  for (let i = 0; i < value.length; i++) if (value.charCodeAt(i) > 0x7e) return false;
  return true;
}
