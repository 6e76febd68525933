/**
 * Text from outside, made fit for people's eyes: one line that can neither steer a terminal (ESC and the other control
 * characters) nor show itself in another order than it has (Unicode's marks for the direction of text).
 */

/** For a character class. */
export const unsafeSet = "\\p{Cc}\\u2028\\u2029\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\ufeff";
const unsafe = new RegExp(`[${unsafeSet}]`, "u");
const everyUnsafe = new RegExp(unsafe, "gu");
const everyUnsafeButNewline = new RegExp(`(?!\\n)[${unsafeSet}]`, "gu");
const known: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** What does not fit becomes JSON's escape for it: `\n`, `\u001b`. */
export function printable(text: string): string {
  return unsafe.test(text) ? text.replace(everyUnsafe, escapeOne) : text;
}

/** The same for text of several lines; within JSON what is escaped stands in strings, so it stays the same JSON. */
export function printableLines(text: string): string {
  return text.replace(everyUnsafeButNewline, escapeOne);
}

function escapeOne(char: string): string {
  return known[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
