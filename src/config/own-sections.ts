import { sectionNames } from "./schema.js";

/** The texts of a program's own sections: `own.clouddisk?.root`. Each declared section is there, if only empty. */
export type OwnValues = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** A key of one of the program's own sections. */
export interface OwnKey {
  readonly section: string;
  readonly key: string;
}

interface OwnText {
  readonly text: string;
  readonly where: string;
}

/** Gathers what conf, environment and flags say of sections the program declares; knows nothing of their keys. */
export class OwnSections {
  readonly names: readonly string[];
  readonly #sections: ReadonlyMap<string, Map<string, OwnText>>;

  /** Throws `TypeError` for a name that cannot be one, or is one of ours. */
  constructor(names: readonly string[]) {
    for (const name of names) {
      if (typeof name !== "string" || !/^[a-z][a-z0-9_-]*$/i.test(name)) {
        const shown = typeof name === "string" ? JSON.stringify(name) : typeof name;
        throw new TypeError(`option "sections": ${shown} is no name: letters, digits, "_" and "-"`);
      }
      if (sectionNames.includes(name)) throw new TypeError(`option "sections": [${name}] is one of mprpc's`);
    }
    this.names = names;
    this.#sections = new Map(names.map((name) => [name, new Map()]));
  }

  has(section: string): boolean {
    return this.#sections.has(section);
  }

  /** `clouddisk.root`, as a flag names it. */
  ofFlag(name: string): OwnKey | undefined {
    const dot = name.indexOf(".");
    const section = name.slice(0, Math.max(dot, 0));
    const key = name.slice(dot + 1);
    return this.has(section) && key !== "" ? { section, key } : undefined;
  }

  /** `MPRPC_CLOUDDISK_ROOT`: the key as the conf spells it, or else in lower case. */
  ofVariable(name: string): OwnKey | undefined {
    let found: OwnKey | undefined;
    for (const [section, keys] of this.#sections) {
      const start = `MPRPC_${variablePart(section)}_`;
      if (!name.startsWith(start) || name.length === start.length) continue;
      // Of [disk] and [disk_cache] the longer name is meant.
      if (found !== undefined && found.section.length > section.length) continue;
      const part = name.slice(start.length);
      const known = [...keys.keys()].find((key) => variablePart(key) === part);
      found = { section, key: known ?? part.toLowerCase() };
    }
    return found;
  }

  /** Where the value came from that `text` takes the place of. */
  set({ section, key }: OwnKey, text: string, where: string): string | undefined {
    const keys = this.#sections.get(section);
    const before = keys?.get(key)?.where;
    keys?.set(key, { text, where });
    return before;
  }

  values(): OwnValues {
    const values: Record<string, Readonly<Record<string, string>>> = Object.create(null);
    for (const [section, keys] of this.#sections) {
      const texts: Record<string, string> = Object.create(null);
      for (const [key, { text }] of keys) texts[key] = text;
      values[section] = Object.freeze(texts);
    }
    return Object.freeze(values);
  }
}

function variablePart(name: string): string {
  return name.toUpperCase().replace(/[^A-Z0-9]/g, "_");
}
