import path from "node:path";
import type { ExtensionModel, FileModel, MessageModel, ServiceModel, TypeModel } from "../model.js";
import { claim, type FieldNames, fieldName, typeName } from "../names.js";
import type { Text } from "./text.js";

/** The names one .proto's module exports. */
export interface ModuleNames {
  /** Messages, enums, services and extensions. */
  readonly types: ReadonlyMap<Exported, string>;
  readonly inputs: ReadonlyMap<MessageModel, string>;
  /** Of the messages that have fields with `[default = ...]`. */
  readonly defaults: ReadonlyMap<MessageModel, string>;
  /** Of the messages that have a topic. */
  readonly topics: ReadonlyMap<MessageModel, string>;
  readonly handlers: ReadonlyMap<ServiceModel, string>;
  readonly stubs: ReadonlyMap<ServiceModel, string>;
  /** The const that holds the file's descriptor. */
  readonly file: string;
  readonly all: ReadonlySet<string>;
}

type Exported = TypeModel | ServiceModel | ExtensionModel;

/**
 * Names for everything of a file, no two alike. What the .proto declares at its top keeps its name; what is nested there
 * gives way to that with a `$`, and what we derive to both.
 */
export function moduleNames(file: FileModel, fieldNames: FieldNames): ModuleNames {
  const types = new Map<Exported, string>();
  const all = new Set<string>();
  const declared: Exported[] = [...file.messages, ...file.enums, ...file.services, ...file.extensions];
  const depth = ({ shortName }: Exported): number => shortName.split(".").length;
  for (const type of declared.sort((a, b) => depth(a) - depth(b))) {
    types.set(type, claim(all, typeName(exportedName(type, fieldNames))));
  }
  const derived = <T extends Exported>(some: readonly T[], suffix: string): Map<T, string> =>
    new Map(some.map((one) => [one, claim(all, `${types.get(one)}${suffix}`)]));
  const base = path.posix
    .basename(file.name, ".proto")
    .replace(/[^A-Za-z0-9]+(.?)/g, (_, next: string) => next.toUpperCase());
  return {
    types,
    inputs: derived(file.messages, "Input"),
    defaults: derived(file.messages.filter(hasDefaults), "Defaults"),
    topics: derived(
      file.messages.filter(({ topic }) => topic !== undefined),
      "Topic",
    ),
    handlers: derived(file.services, "Handler"),
    stubs: derived(file.services, "Stub"),
    file: claim(all, `${/^\d/.test(base) ? "_" : ""}${base}Proto`),
    all,
  };
}

export function hasDefaults({ fields }: MessageModel): boolean {
  return fields.some(({ defaultValue }) => defaultValue !== undefined);
}

/** An extension is spelled as a field is. */
function exportedName(type: Exported, fieldNames: FieldNames): string {
  if (type.kind !== "extension") return type.shortName;
  return type.shortName.slice(0, -type.name.length) + fieldName(type.name, fieldNames);
}

/** `fixbug/user.proto` -> `fixbug/user.ts`. */
export function outputName(file: FileModel): string {
  return `${file.name.replace(/\.proto$/, "")}.ts`;
}

/** How generated modules name each other: `./user.js`, `./user.ts` or `./user`. */
export const importExtensions = [".js", ".ts", "none"] as const;
export type ImportExtension = (typeof importExtensions)[number];

/** The library has the code of this file, which every file with custom options imports. */
export const descriptorProto = "google/protobuf/descriptor.proto";
const descriptorModule = "mprpc/descriptor";

export interface ModuleContextOptions {
  readonly namesOf: (file: FileModel) => ModuleNames;
  readonly importExtension: ImportExtension;
  /** The code of descriptor.proto is not generated: the library's is used. */
  readonly libraryDescriptors: boolean;
}

/** What one module being written imports. */
export class ModuleContext {
  readonly file: FileModel;
  readonly names: ModuleNames;
  readonly #namesOf: (file: FileModel) => ModuleNames;
  readonly #taken: Set<string>;
  readonly #codec = new Set<string>();
  /** By file: exported name -> local name and whether only the type is meant. */
  readonly #imports = new Map<FileModel, Map<string, { local: string; type: boolean }>>();

  readonly #importExtension: ImportExtension;
  readonly #libraryDescriptors: boolean;

  constructor(file: FileModel, { namesOf, importExtension, libraryDescriptors }: ModuleContextOptions) {
    this.#importExtension = importExtension;
    this.#libraryDescriptors = libraryDescriptors;
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
  type(type: TypeModel): string {
    return this.#import(type.file, this.#namesOf(type.file).types.get(type) as string, false);
  }

  /** The type of a message or an enum alone. */
  typeOnly(type: TypeModel): string {
    return this.#import(type.file, this.#namesOf(type.file).types.get(type) as string, true);
  }

  input(type: MessageModel): string {
    return this.#import(type.file, this.#namesOf(type.file).inputs.get(type) as string, true);
  }

  /** The const that holds a file's descriptor. */
  fileConst(file: FileModel): string {
    return this.#import(file, this.#namesOf(file).file, false);
  }

  #import(file: FileModel, name: string, type: boolean): string {
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
      if (file.name === descriptorProto && this.#libraryDescriptors)
        return { from: descriptorModule, imports };
      return { from: relative.startsWith(".") ? relative : `./${relative}`, imports };
    });
    // Packages first, then what is farthest away.
    const isPackage = (from: string): number => Number(from.startsWith("."));
    modules.sort(
      (a, b) =>
        isPackage(a.from) - isPackage(b.from) || depthOf(b.from) - depthOf(a.from) || compare(a.from, b.from),
    );
    for (const { from, imports } of modules) {
      const onlyTypes = [...imports.values()].every(({ type }) => type);
      const parts = [...imports].map(([name, { local, type }]) => {
        const mark = type && !onlyTypes ? "type " : "";
        return `${mark}${name}${local === name ? "" : ` as ${local}`}`;
      });
      const head = onlyTypes ? "import type {" : "import {";
      text.list(head, parts.sort(byName), `} from ${JSON.stringify(from)};`, true);
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
