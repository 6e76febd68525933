import { Code, Refusal } from "./codes.js";

export const nameMaxBytes = 255;

/** Nothing is seen of these: soft hyphen, joiners and marks without width, fillers of Hangul, variation selectors, tags. */
const invisible =
  /[\p{Default_Ignorable_Code_Point}\p{Cf}\p{White_Space}\u2800\u{1d159}\u{1d173}-\u{1d17a}]/gu;

/**
 * What a file or folder may be called: 1 to 255 bytes of UTF-8, not `.` or `..`, no `/` or `\`, no control characters or line
 * separators, something that is seen, and none of the characters that turn the direction of text, which make `exe.jpg` of
 * `gpj.exe`. Gives the name in NFC, so that what looks the same is the same. Throws Refusal (10001).
 */
export function checkName(name: unknown): string {
  if (typeof name !== "string") throw refused("must be a text");
  const normal = name.normalize("NFC");
  if (normal.trim() === "") throw refused("is empty");
  if (/\p{Surrogate}/u.test(normal)) throw refused("is not valid Unicode");
  if (normal.replace(invisible, "") === "") throw refused("has only characters that nobody sees");
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

const graphemes = new Intl.Segmenter("und", { granularity: "grapheme" });

/** The beginning of a text in at most so many bytes of UTF-8, cut between characters as people see them. */
function cutTo(text: string, bytesMax: number): string {
  const cut = (pieces: Iterable<string>): string => {
    let kept = "";
    let bytes = 0;
    for (const piece of pieces) {
      bytes += Buffer.byteLength(piece);
      if (bytes > bytesMax) break;
      kept += piece;
    }
    return kept;
  };
  if (Buffer.byteLength(text) <= bytesMax) return text;
  const whole = cut(Array.from(graphemes.segment(text), ({ segment }) => segment));
  // One letter may have any number of accents.
  return whole === "" ? cut(text) : whole;
}

/** `name (number)`, the number before the extension, cut to what a name may have. The name is one that `checkName` gave. */
export function numberedName(name: string, number: number): string {
  const dot = name.lastIndexOf(".");
  const extension = dot > 0 && Buffer.byteLength(name.slice(dot)) <= 16 ? name.slice(dot) : "";
  const end = ` (${number})${extension}`;
  const base = name.slice(0, name.length - extension.length);
  return cutTo(base, nameMaxBytes - Buffer.byteLength(end)) + end;
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
