import path from "node:path";
import { CodegenError } from "../error.js";
import type { ProtoFile, ProtoMessage, ProtoService, ProtoType } from "../model.js";
import { typeName } from "../names.js";
import type { Text } from "./text.js";

/** The names one .proto's module exports. */
export interface ModuleNames {
  /** Messages, enums and services. */
  readonly types: ReadonlyMap<ProtoType | ProtoService, string>;
  readonly inputs: ReadonlyMap<ProtoMessage, string>;
  readonly handlers: ReadonlyMap<ProtoService, string>;
  readonly stubs: ReadonlyMap<ProtoService, string>;
  readonly descriptor: string;
  readonly all: ReadonlySet<string>;
}

/** Names for everything of a file. What the .proto declares keeps its name; what we derive gives way with a `$`. */
export function moduleNames(file: ProtoFile): ModuleNames {
  const types = new Map<ProtoType | ProtoService, string>();
  const owners = new Map<string, ProtoType | ProtoService>();
  for (const type of [...file.messages, ...file.enums, ...file.services]) {
    const name = typeName(type.shortName);
    const before = owners.get(name);
    if (before !== undefined) {
      const message = `${type.shortName} and ${before.shortName} (line ${before.line}) are both ${name} in TypeScript`;
      throw new CodegenError(file.path, type.line, message);
    }
    owners.set(name, type);
    types.set(type, name);
  }
  const all = new Set(owners.keys());
  const derived = (type: ProtoMessage | ProtoService, suffix: string): string =>
    claim(all, `${types.get(type)}${suffix}`);
  const inputs = new Map(file.messages.map((one) => [one, derived(one, "Input")]));
  const handlers = new Map(file.services.map((one) => [one, derived(one, "Handler")]));
  const stubs = new Map(file.services.map((one) => [one, derived(one, "Stub")]));
  const base = path.posix
    .basename(file.name, ".proto")
    .replace(/[^A-Za-z0-9]+(.?)/g, (_, next: string) => next.toUpperCase());
  const descriptor = claim(all, `${/^\d/.test(base) ? "_" : ""}${base}Proto`);
  return { types, inputs, handlers, stubs, descriptor, all };
}

function claim(taken: Set<string>, wanted: string): string {
  let name = wanted;
  while (taken.has(name)) name += "$";
  taken.add(name);
  return name;
}

/** `fixbug/user.proto` -> `fixbug/user.ts`. */
export function outputName(file: ProtoFile): string {
  return `${file.name.replace(/\.proto$/, "")}.ts`;
}

/** How generated modules name each other: `./user.js`, `./user.ts` or `./user`. */
export const importExtensions = [".js", ".ts", "none"] as const;
export type ImportExtension = (typeof importExtensions)[number];

/** What one module being written imports. */
export class ModuleContext {
  readonly file: ProtoFile;
  readonly names: ModuleNames;
  readonly #namesOf: (file: ProtoFile) => ModuleNames;
  readonly #taken: Set<string>;
  readonly #codec = new Set<string>();
  /** By file: exported name -> local name and whether only the type is meant. */
  readonly #imports = new Map<ProtoFile, Map<string, { local: string; type: boolean }>>();

  readonly #importExtension: ImportExtension;

  constructor(
    file: ProtoFile,
    namesOf: (file: ProtoFile) => ModuleNames,
    importExtension: ImportExtension = ".js",
  ) {
    this.#importExtension = importExtension;
    this.file = file;
    this.#namesOf = namesOf;
    this.names = namesOf(file);
    this.#taken = new Set(this.names.all);
  }

  /** A name of `mprpc/codec`, imported. */
  codec(name: string): string {
    this.#codec.add(name);
    return name;
  }

  codecType(name: string): string {
    this.#codec.add(`type ${name}`);
    return name;
  }

  /** A name for this module alone. */
  local(wanted: string): string {
    return claim(this.#taken, wanted);
  }

  /** A message or an enum: both its type and its value. */
  type(type: ProtoType): string {
    return this.#import(type.file, this.#namesOf(type.file).types.get(type) as string, false);
  }

  /** The type of a message or an enum alone. */
  typeOnly(type: ProtoType): string {
    return this.#import(type.file, this.#namesOf(type.file).types.get(type) as string, true);
  }

  input(type: ProtoMessage): string {
    return this.#import(type.file, this.#namesOf(type.file).inputs.get(type) as string, true);
  }

  descriptor(file: ProtoFile): string {
    return this.#import(file, this.#namesOf(file).descriptor, false);
  }

  #import(file: ProtoFile, name: string, type: boolean): string {
    if (file === this.file) return name;
    let imports = this.#imports.get(file);
    if (imports === undefined) {
      imports = new Map();
      this.#imports.set(file, imports);
    }
    let known = imports.get(name);
    if (known === undefined) {
      known = { local: claim(this.#taken, name), type };
      imports.set(name, known);
    }
    if (!type) known.type = false;
    return known.local;
  }

  /** The import statements, sorted as biome sorts them. */
  writeImports(text: Text): void {
    const names = [...this.#codec].sort(byName);
    if (names.length > 0) text.list("import {", names, '} from "mprpc/codec";', true);
    const extension = this.#importExtension === "none" ? "" : this.#importExtension;
    const here = path.posix.dirname(outputName(this.file));
    const modules = [...this.#imports].map(([file, imports]) => {
      const relative = path.posix.relative(here, outputName(file)).replace(/\.ts$/, extension);
      return { from: relative.startsWith(".") ? relative : `./${relative}`, imports };
    });
    modules.sort((a, b) => depthOf(b.from) - depthOf(a.from) || compare(a.from, b.from));
    for (const { from, imports } of modules) {
      const parts = [...imports].map(
        ([name, { local, type }]) => `${type ? "type " : ""}${name}${local === name ? "" : ` as ${local}`}`,
      );
      text.list("import {", parts.sort(byName), `} from ${JSON.stringify(from)};`, true);
    }
    if (names.length > 0 || modules.length > 0) text.line();
  }
}

function depthOf(from: string): number {
  return from.split("../").length;
}

/** Letter by letter, a capital before its small letter, as biome sorts imports. */
function byName(a: string, b: string): number {
  return compare(sortKey(a), sortKey(b));
}

function sortKey(name: string): string {
  return name.replace(/^type /, "").replace(/[A-Za-z]/g, (letter) => {
    const small = letter.toLowerCase();
    return letter === small ? `${small}1` : `${small}0`;
  });
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
