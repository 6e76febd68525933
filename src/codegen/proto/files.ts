import { readFileSync } from "node:fs";
import path from "node:path";
import { CodegenError } from "../error.js";
import { bundledProto } from "./bundled.js";
import { parseFile } from "./parse-file.js";
import type { ParsedImport, ParsedProto } from "./parsed.js";
import type { Problems } from "./problems.js";

/** A file that was read, with what it imports. */
export interface LoadedFile {
  readonly name: string;
  /** As error texts name it. */
  readonly path: string;
  readonly parsed: ParsedProto;
  /** One for each of `parsed.imports`; undefined for one that was not found. */
  readonly imports: Array<LoadedFile | undefined>;
  broken: boolean;
}

/** Reads files and, through them, everything they import. */
export class FileLoader {
  readonly #roots: readonly string[];
  readonly #problems: Problems;
  readonly #byName = new Map<string, LoadedFile>();
  readonly #open: LoadedFile[] = [];

  /** Without import paths, the folder that all `files` have in common is the one. */
  constructor(files: readonly string[], importPaths: readonly string[], problems: Problems) {
    this.#problems = problems;
    this.#roots =
      importPaths.length > 0
        ? importPaths.map((folder) => path.resolve(folder))
        : [commonFolder(files.map((file) => path.resolve(path.dirname(file))))];
  }

  /** Reads a file that was named by its path. Throws `CodegenError` for one that cannot be read. */
  input(file: string): LoadedFile {
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
    const source = readBytes(absolute);
    if (source === undefined) throw new CodegenError(file, undefined, "no such file");
    const loaded = this.#add(source, name, file);
    this.#imports();
    return loaded;
  }

  #add(source: string, name: string, shownPath: string): LoadedFile {
    const before = this.#problems.count;
    const parsed = parseFile(source, name, (line, column, message) =>
      this.#problems.add({ file: shownPath, line: line + 1, column: column + 1, message }),
    );
    const broken = this.#problems.count > before;
    const loaded: LoadedFile = { name, path: shownPath, parsed, imports: [], broken };
    this.#byName.set(name, loaded);
    this.#open.push(loaded);
    return loaded;
  }

  #imports(): void {
    for (let file = this.#open.pop(); file !== undefined; file = this.#open.pop()) {
      for (const one of file.parsed.imports) {
        const found = this.#imported(one, file);
        if (found === undefined) file.broken = true;
        else namedAs(file, one.target, found.name);
        file.imports.push(found);
      }
    }
  }

  #imported(one: ParsedImport, importer: LoadedFile): LoadedFile | undefined {
    const name = path.posix.normalize(one.target);
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    // A name that leads out of the roots would also lead out of the output folder.
    if (!leadsOut(name)) {
      for (const root of this.#roots) {
        const source = readBytes(path.join(root, name));
        if (source !== undefined) return this.#add(source, name, shown(path.join(root, name)));
      }
      const bundled = bundledProto(name);
      if (bundled !== undefined) return this.#add(bundled, name, name);
    }
    return this.#besideImporter(one, importer);
  }

  /** The last resort, for folders whose files import each other without a common root being named. */
  #besideImporter(one: ParsedImport, importer: LoadedFile): LoadedFile | undefined {
    // Joined, not resolved: a name that begins with "/" is no way out of the folders either.
    const file = path.resolve(path.join(path.dirname(importer.path), one.target));
    const name = path.posix.normalize(path.posix.join(path.posix.dirname(importer.name), one.target));
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const source = leadsOut(name) ? undefined : readBytes(file);
    if (source !== undefined) return this.#add(source, name, shown(file));
    const folders = this.#roots.map(shown).join(", ");
    this.#problems.add({
      file: importer.path,
      line: one.at.line + 1,
      column: one.at.column + 1,
      message: `import "${one.target}" was not found in ${folders}; name its folder with --import-path`,
    });
    return undefined;
  }
}

/** An import that was found by another name, such as `../b.proto`, is in the descriptor by the name of the file found. */
function namedAs({ parsed: { descriptor } }: LoadedFile, target: string, name: string): void {
  for (const names of [descriptor.dependency, descriptor.optionDependency]) {
    const at = names.indexOf(target);
    if (at >= 0) names[at] = name;
  }
}

/**
 * `files` and all they import, each behind what it imports itself. Files that import each other are a problem, said once
 * for each circle.
 */
export function inOrder(files: readonly LoadedFile[], problems: Problems): LoadedFile[] {
  const done = new Set<LoadedFile>();
  const active = new Set<LoadedFile>();
  interface Step {
    readonly file: LoadedFile;
    next: number;
  }
  for (const first of files) {
    const stack: Step[] = done.has(first) ? [] : [{ file: first, next: 0 }];
    active.add(first);
    for (let step = stack.at(-1); step !== undefined; step = stack.at(-1)) {
      const { file } = step;
      if (step.next === file.imports.length) {
        stack.pop();
        active.delete(file);
        done.add(file);
        continue;
      }
      const at = file.parsed.imports[step.next];
      const inner = file.imports[step.next++];
      if (inner === undefined || done.has(inner)) continue;
      if (!active.has(inner)) {
        active.add(inner);
        stack.push({ file: inner, next: 0 });
        continue;
      }
      const circle = stack.map((one) => one.file.name);
      const names = [...circle.slice(circle.indexOf(inner.name)), inner.name].join(" -> ");
      file.broken = true;
      problems.add({
        file: file.path,
        line: (at?.at.line ?? 0) + 1,
        column: (at?.at.column ?? 0) + 1,
        message: `files import each other: ${names}`,
      });
    }
    active.delete(first);
  }
  return [...done];
}

function leadsOut(name: string): boolean {
  return name.startsWith("../") || path.isAbsolute(name);
}

/** A path as an error shows it: relative where that is shorter. */
function shown(absolute: string): string {
  const relative = path.relative(process.cwd(), absolute) || ".";
  return relative.length < absolute.length ? relative : absolute;
}

/** At once, not asynchronously: parsing keeps the thread busy anyway, and waiting for each file takes as long as that. */
function readBytes(file: string): string | undefined {
  try {
    return readFileSync(file, "latin1");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR" || code === "ENAMETOOLONG") return undefined;
    if (code === "EISDIR") {
      const name = shown(file);
      throw new CodegenError(name, undefined, `is a folder; give its .proto files (${name}/*.proto)`);
    }
    throw new CodegenError(file, undefined, `cannot be read: ${(error as Error).message}`);
  }
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
