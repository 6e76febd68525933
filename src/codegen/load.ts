import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { CodegenError } from "./error.js";
import type { ProtoFile, ProtoImport } from "./model.js";
import type { FieldNames } from "./names.js";
import { parseProto } from "./parse.js";
import { wellKnownProtos } from "./well-known.js";

export interface LoadOptions {
  /** Folders that imports and file names are relative to. Default: the folder all `files` have in common. */
  readonly importPaths: readonly string[];
  readonly fieldNames: FieldNames;
}

export interface Loaded {
  /** The files asked for, in the order given. */
  readonly inputs: readonly ProtoFile[];
  /** Those and all they import. */
  readonly files: readonly ProtoFile[];
}

/** Reads `files` and, through them, everything they import. Throws `CodegenError`. */
export async function loadProtos(files: readonly string[], options: LoadOptions): Promise<Loaded> {
  const roots =
    options.importPaths.length > 0
      ? options.importPaths.map((folder) => path.resolve(folder))
      : [commonFolder(files.map((file) => path.resolve(path.dirname(file))))];
  const loader = new Loader(roots, options.fieldNames);
  const inputs: ProtoFile[] = [];
  for (const file of files) inputs.push(await loader.input(file));
  const checked = new Set<ProtoFile>();
  for (const file of inputs) refuseCycles(file, [], checked);
  return { inputs: [...new Set(inputs)], files: loader.files };
}

class Loader {
  readonly #roots: readonly string[];
  readonly #fieldNames: FieldNames;
  /** By import name. */
  readonly #byName = new Map<string, ProtoFile>();

  constructor(roots: readonly string[], fieldNames: FieldNames) {
    this.#roots = roots;
    this.#fieldNames = fieldNames;
  }

  get files(): ProtoFile[] {
    return [...this.#byName.values()];
  }

  async input(file: string): Promise<ProtoFile> {
    const absolute = path.resolve(file);
    const root = this.#roots.find((folder) => isInside(folder, absolute)) ?? path.dirname(absolute);
    const name = path.relative(root, absolute).split(path.sep).join("/");
    const known = this.#byName.get(name);
    if (known !== undefined) {
      if (path.resolve(known.path) === absolute) return known;
      throw new CodegenError(
        file,
        undefined,
        `${known.path} has the same name, ${name}, and would be generated to the same file`,
      );
    }
    const source = await readText(absolute);
    if (source === undefined) throw new CodegenError(file, undefined, "no such file");
    return this.#add(source, name, file);
  }

  async #add(source: string, name: string, file: string, fieldNames = this.#fieldNames): Promise<ProtoFile> {
    const parsed = parseProto(source, { name, path: file, fieldNames });
    this.#byName.set(name, parsed);
    for (const one of parsed.imports) one.file = await this.#imported(one, parsed);
    return parsed;
  }

  async #imported(one: ProtoImport, importer: ProtoFile): Promise<ProtoFile> {
    const name = path.posix.normalize(one.target);
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    // A name that leads out of the roots would also lead out of the output folder.
    if (!leadsOut(name)) {
      for (const root of this.#roots) {
        const source = await readText(path.join(root, name));
        if (source !== undefined) return this.#add(source, name, shown(path.join(root, name)));
      }
      const bundled = await bundledProto(name);
      // Always in camel case, which is how mprpc/codec knows Timestamp, Any and Struct.
      if (bundled !== undefined) return this.#add(bundled, name, name, "camel");
    }
    return this.#besideImporter(one, importer);
  }

  /** The last resort, for folders whose files import each other without a common root being named. */
  async #besideImporter(one: ProtoImport, importer: ProtoFile): Promise<ProtoFile> {
    const file = path.join(path.dirname(importer.path), one.target);
    const name = path.posix.normalize(path.posix.join(path.posix.dirname(importer.name), one.target));
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const source = leadsOut(name) ? undefined : await readText(path.resolve(file));
    if (source !== undefined) return this.#add(source, name, shown(path.resolve(file)));
    const folders = this.#roots.map(shown).join(", ");
    throw new CodegenError(
      importer.path,
      one.line,
      `import "${one.target}" was not found in ${folders}; name its folder with --import-path`,
    );
  }
}

function leadsOut(name: string): boolean {
  return name.startsWith("../") || path.isAbsolute(name);
}

/** A path as an error shows it: relative where that is shorter. */
function shown(absolute: string): string {
  const relative = path.relative(process.cwd(), absolute) || ".";
  return relative.length < absolute.length ? relative : absolute;
}

async function readText(file: string): Promise<string | undefined> {
  try {
    const text = await readFile(file, "utf8");
    return text.startsWith("\ufeff") ? text.slice(1) : text;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    if (code === "EISDIR") {
      const name = shown(file);
      throw new CodegenError(name, undefined, `is a folder; give its .proto files (${name}/*.proto)`);
    }
    throw new CodegenError(file, undefined, `cannot be read: ${(error as Error).message}`);
  }
}

/** The protos every protobuf program may import without having them. */
async function bundledProto(target: string): Promise<string | undefined> {
  const own = wellKnownProtos.get(target);
  if (own !== undefined || !/^google\/protobuf\/\w+\.proto$/.test(target)) return own;
  const require = createRequire(import.meta.url);
  return readText(path.join(path.dirname(require.resolve("protobufjs/package.json")), target));
}

function commonFolder(folders: readonly string[]): string {
  let [common = process.cwd()] = folders;
  for (const folder of folders) {
    while (folder !== common && !isInside(common, folder)) common = path.dirname(common);
  }
  return common;
}

function isInside(folder: string, file: string): boolean {
  const relative = path.relative(folder, file);
  return relative !== "" && !relative.startsWith("..") && !path.isAbsolute(relative);
}

function refuseCycles(file: ProtoFile, trail: readonly ProtoFile[], checked: Set<ProtoFile>): void {
  if (checked.has(file)) return;
  const chain = [...trail, file];
  for (const one of file.imports) {
    if (one.file === undefined) continue;
    const at = chain.indexOf(one.file);
    if (at >= 0) {
      const names = [...chain.slice(at), one.file].map(({ name }) => name);
      throw new CodegenError(file.path, one.line, `files import each other: ${names.join(" -> ")}`);
    }
    refuseCycles(one.file, chain, checked);
  }
  checked.add(file);
}
