import { nameKey } from "../dbproxy/name-keys.js";

/** Scripts whose letters look like those of another: `а` of Cyrillic is no `a`. */
const lookAlikes = ["Latin", "Cyrillic", "Greek", "Armenian", "Cherokee", "Coptic"].map(
  (script) => new RegExp(`\\p{Script=${script}}`, "u"),
);

/** Whether a name mixes letters of scripts that look like each other: somebody else's name in disguise. */
export function isMixedScript(name: string): boolean {
  return lookAlikes.filter((script) => script.test(name)).length > 1;
}

/** What user names are compared by: two with one key are one user. Case does not count, nor the width of letters. */
export function userKey(name: string): string {
  return nameKey(name.normalize("NFKC"));
}
