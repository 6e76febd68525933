/** What stands in the place of a value that is none, in the form of all problems of files. */
export interface BrokenValue {
  readonly expected: string;
  readonly found: string;
}

/**
 * The value of a rule as a file has it, in a conf as in a policy file, so that rules can be moved: between quotes, double ones as
 * JSON, single ones as they stand; or plain. A plain one ends before a `#` or `;` with a blank before it, which begins a comment:
 * identities such as `jwt:ISSUER#SUBJECT` contain them. `\#`, `\;` and `\\` are the second character.
 */
export function readRuleValue(raw: string): string | BrokenValue {
  const quote = raw.charAt(0);
  if (quote === "'") {
    const [, inside] = /^'([^']*)'\s*(?:[#;].*)?$/s.exec(raw) ?? [];
    return inside ?? { expected: "a closing ' at the end of the value", found: "none" };
  }
  if (quote === '"') {
    const [, quoted] = /^("(?:[^"\\]|\\.)*")\s*(?:[#;].*)?$/s.exec(raw) ?? [];
    return quoted === undefined
      ? { expected: 'a closing " at the end of the value', found: "none" }
      : readJson(quoted);
  }
  return raw
    .replace(/(?:^|\s)[#;].*$/s, "")
    .trim()
    .replace(/\\([\\#;])/g, "$1");
}

function readJson(quoted: string): string | BrokenValue {
  try {
    return String(JSON.parse(quoted));
  } catch {
    return {
      expected: 'JSON between double quotes (\\\\ for a backslash, \\" for a quote)',
      found: "something else",
    };
  }
}
