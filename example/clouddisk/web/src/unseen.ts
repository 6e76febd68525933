export interface NamePart {
  text: string;
  /** `space`: as wide as it is, and not seen. `unseen`: of no width, or blank. */
  kind: "plain" | "space" | "unseen";
}

/** Scripts that need them between two letters, and emoji of several. */
const joined =
  "\\p{Script=Arabic}\\p{Script=Syriac}\\p{Script=Mongolian}\\p{Script=Devanagari}\\p{Script=Bengali}\\p{Script=Gurmukhi}" +
  "\\p{Script=Gujarati}\\p{Script=Oriya}\\p{Script=Tamil}\\p{Script=Telugu}\\p{Script=Kannada}\\p{Script=Malayalam}" +
  "\\p{Script=Sinhala}\\p{Script=Khmer}\\p{Extended_Pictographic}\\p{Emoji_Modifier}\\u{fe0f}";
const unseen = [
  `(?<![${joined}])[\\u200c\\u200d]`,
  "[\\u00ad\\u034f\\u061c\\u115f\\u1160\\u180e\\u200b\\u200e\\u200f\\u2060-\\u206f\\u2800\\u3164\\ufeff\\uffa0\\u{e0000}-\\u{e007f}]",
];
/** At either end, several in a row, and those that look like another one. */
const spaces = ["^\\s+", "\\s+$", "\\s{2,}", "[\\u00a0\\u2000-\\u200a\\u202f\\u205f]"];
const pattern = new RegExp(`(?<unseen>${unseen.join("|")})|(?<space>${spaces.join("|")})`, "gu");

/** A name in pieces, so that two that look alike can be told from each other. All pieces together are the name. */
export function partsOfName(name: string): NamePart[] {
  const parts: NamePart[] = [];
  let end = 0;
  for (const match of name.matchAll(pattern)) {
    if (match.index > end) parts.push({ text: name.slice(end, match.index), kind: "plain" });
    end = match.index + match[0].length;
    parts.push({ text: match[0], kind: match.groups?.unseen === undefined ? "space" : "unseen" });
  }
  if (end < name.length || end === 0) parts.push({ text: name.slice(end), kind: "plain" });
  return parts;
}

/** `U+200B`, as character tables name it. */
export function codeOf(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
}
