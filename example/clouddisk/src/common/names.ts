import { Code, Refusal } from "./codes.js";

const nameMaxBytes = 255;

/**
 * What a file or folder may be called: 1 to 255 bytes of UTF-8, not `.` or `..`, no `/` or `\`, no control characters or line
 * separators, and none of the characters that turn the direction of text, which make `exe.jpg` of `gpj.exe`. Gives the name
 * in NFC, so that what looks the same is the same. Throws Refusal (10001).
 */
export function checkName(name: unknown): string {
  if (typeof name !== "string") throw refused("must be a text");
  const normal = name.normalize("NFC");
  if (normal.trim() === "") throw refused("is empty");
  if (/\p{Surrogate}/u.test(normal)) throw refused("is not valid Unicode");
  if (Buffer.byteLength(normal) > nameMaxBytes)
    throw refused(`is longer than ${nameMaxBytes} bytes of UTF-8`);
  if (normal === "." || normal === "..") throw refused("may not be . or ..");
  if (/[/\\]/.test(normal)) throw refused("may not contain / or \\");
  if (/[\p{Cc}\u2028\u2029]/u.test(normal)) throw refused("may not contain control characters");
  if (/[\u202a-\u202e\u2066-\u2069]/.test(normal)) {
    throw refused("may not contain characters that change the direction of text");
  }
  return normal;
}

function refused(why: string): Refusal {
  return new Refusal(Code.PARAMETER, `the file name ${why}`);
}

/**
 * A Content-Disposition for any name: `filename` in plain ASCII for old clients, `filename*` (RFC 5987) with the whole of
 * it when that says more. No name, however it came into the database, can end the header or start another one.
 */
export function contentDisposition(name: string, how: "attachment" | "inline"): string {
  // Percent signs too: some browsers decode them in the plain form.
  const plain = name.replace(/[^\x20-\x7e]/gu, "_").replace(/["\\%;]/g, "_");
  const header = `${how}; filename="${plain}"`;
  return plain === name ? header : `${header}; filename*=UTF-8''${encodeExtended(name)}`;
}

/** encodeURIComponent leaves some characters alone that RFC 5987 does not allow. */
function encodeExtended(name: string): string {
  return encodeURIComponent(name.replace(/\p{Surrogate}/gu, "\ufffd")).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
