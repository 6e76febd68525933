import { describeValue } from "../base/options.js";
import { checkKind, isKey, type Kind, type Unit } from "./kinds.js";
import {
  type Key,
  type KeyRow,
  keyRows,
  type Sections,
  sectionNames,
  toRows,
  type ValuesOf,
} from "./schema.js";

/** The values of a program's own sections: `own.upload.partBytes`. */
export type OwnValues<S extends Sections> = { readonly [N in keyof S & string]: ValuesOf<S[N]> };

/** What may be said of a key besides its kind and default. */
export interface KeyAbout {
  /** One sentence, for usage texts. */
  readonly doc?: string | undefined;
  /** The same in Chinese. */
  readonly docZh?: string | undefined;
  /** A value to show where there is no default. */
  readonly example?: string | undefined;
  /** Masked wherever it would be shown. Default false. */
  readonly secret?: boolean | undefined;
}

/**
 * A key of a program's own section. `fallback` is its default, written as in a conf file; empty, with an optional kind:
 * not set. Throws `TypeError` for a default that is none of the kind's values.
 */
export function ownKey<T, U extends Unit>(
  kind: Kind<T, U>,
  fallback: string,
  about: KeyAbout = {},
): Key<T, U> {
  checkKind("conf.key", kind);
  // A text first: what parses it may be the program's own, and expects one.
  if (typeof fallback !== "string" || kind.parse(fallback) === undefined) {
    throw new TypeError(
      `conf.key: expected ${kind.expected} as the default, written as in a conf file, got ${describeValue(fallback)}`,
    );
  }
  const { doc = "", docZh = "", example, secret } = about;
  return {
    kind,
    fallback,
    doc,
    docZh,
    ...(example === undefined ? {} : { example }),
    ...(secret === true ? { secret } : {}),
  };
}

const namePattern = /^[a-z][a-z0-9_-]*$/;
const sectionPattern = /^(?:app\.)?[a-z][a-z0-9_-]*$/;

/** `[app]` and `[app.NAME]`: the place of programs in a conf that several of them read. Who does not know one says nothing. */
export function isProgramSection(name: string): boolean {
  return name === "app" || name.startsWith("app.");
}

/** The end of a warning about a section that is nearly none of those known: it is most likely another program's. */
export function adviseSection(name: string): string {
  return namePattern.test(name) ? `; a section of a program's own is named [app.${name}]` : "";
}

function refuse(name: string, why: string): never {
  throw new TypeError(`option "sections": ${name}: ${why}`);
}

function checkKeys(section: string, keys: unknown): void {
  if (typeof keys !== "object" || keys === null || Array.isArray(keys)) {
    refuse(`[${section}]`, `expected an object { key: conf.key(...) }, got ${describeValue(keys)}`);
  }
  for (const [name, key] of Object.entries(keys)) {
    if (!isKey(key)) refuse(`[${section}] ${name}`, `expected conf.key(...), got ${describeValue(key)}`);
  }
}

/**
 * The rows of a program's own sections. Throws `TypeError` for a section that is one of ours, a name that cannot be one,
 * two keys with one variable or one value, and a default that is none of the key's values.
 */
export function ownRows(sections: Sections): KeyRow[] {
  if (typeof sections !== "object" || sections === null || Array.isArray(sections)) {
    throw new TypeError('option "sections": expected an object { section: { key: conf.key(...) } }');
  }
  for (const section of Object.keys(sections)) {
    if (!sectionPattern.test(section))
      refuse(`[${section}]`, 'a name has lower-case letters, digits, "_" and "-", and may begin with "app."');
    if (sectionNames.includes(section)) refuse(`[${section}]`, "this section is one of mprpc's");
  }
  for (const [section, keys] of Object.entries(sections)) checkKeys(section, keys);
  const rows = toRows(sections);
  const variables = new Map(keyRows.map((row): [string, string] => [row.environment, row.name]));
  const values = new Map<string, string>();
  for (const row of rows) {
    if (!namePattern.test(row.key)) refuse(row.name, 'a name has lower-case letters, digits, "_" and "-"');
    // conf.key has checked its own; a key may also be made of another.
    if (row.kind.parse(row.fallback) === undefined) {
      const found = JSON.stringify(row.fallback);
      refuse(row.name, `expected ${row.kind.expected} as its default, found ${found}`);
    }
    const value = `${row.section}.${row.valueName}`;
    const other = variables.get(row.environment) ?? values.get(value);
    if (other !== undefined) refuse(row.name, `${other} has the same variable or value name`);
    variables.set(row.environment, row.name);
    values.set(value, row.name);
  }
  return rows;
}
