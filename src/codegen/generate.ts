import { readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { makeFolder } from "../base/make-folder.js";
import { type ImportExtension, type ModuleNames, moduleNames, outputName } from "./emit/context.js";
import { emitModule } from "./emit/module.js";
import { CodegenError } from "./error.js";
import { isMessage, link } from "./link.js";
import { loadProtos } from "./load.js";
import type { ProtoFile } from "./model.js";
import type { FieldNames } from "./names.js";

export interface GenerateOptions {
  /** Folders that imports and file names are relative to. Default: the folder all files have in common. */
  importPaths?: readonly string[];
  /** Names of fields in TypeScript: `camel` (default) makes `user_id` `userId`, `keep` leaves it. */
  fieldNames?: FieldNames;
  /** How the files import each other: `.js` (default), `.ts`, for Node's type stripping, or `none`, for bundlers. */
  importExtension?: ImportExtension;
  /** Folder the files are written to. Default: nothing is written. */
  outDir?: string;
}

export interface GeneratedFile {
  /** Relative to the output folder, with `/`: `fixbug/user.ts`. */
  readonly path: string;
  readonly content: string;
}

/**
 * TypeScript for .proto files: one module a file, and one for each file their types come from. The same input gives the
 * same bytes. Throws `CodegenError` with file and line, before anything is written.
 */
export async function generate(
  files: readonly string[],
  options: GenerateOptions = {},
): Promise<GeneratedFile[]> {
  const { importPaths = [], fieldNames = "camel", importExtension = ".js" } = options;
  if (files.length === 0) throw new TypeError("no .proto files were given");
  const loaded = await loadProtos(files, { importPaths, fieldNames });
  link(loaded.files);
  const names = new Map<ProtoFile, ModuleNames>();
  const namesOf = (file: ProtoFile): ModuleNames => {
    let known = names.get(file);
    if (known === undefined) {
      known = moduleNames(file);
      names.set(file, known);
    }
    return known;
  };
  const needed = new Set(loaded.inputs.flatMap((file) => filesBehind(file)));
  const owners = new Map<string, ProtoFile>();
  const generated = [...needed]
    .map((file) => {
      const name = outputName(file);
      // Case-insensitive file systems would write both to one file.
      const other = owners.get(name.toLowerCase());
      if (other !== undefined) {
        throw new CodegenError(file.path, undefined, `is generated to ${name}, as is ${other.path}`);
      }
      owners.set(name.toLowerCase(), file);
      return { path: name, content: emitModule(file, namesOf, importExtension) };
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  if (options.outDir !== undefined) await writeGenerated(generated, options.outDir);
  return generated;
}

/** The file and every file whose types it uses, directly or through others; itself first. */
function filesBehind(file: ProtoFile): ProtoFile[] {
  const found = new Set([file]);
  for (const next of found) {
    for (const message of next.messages) {
      for (const { type } of message.fields) if (typeof type === "object") found.add(type.file);
    }
    for (const service of next.services) {
      for (const { input, output } of service.methods) {
        for (const type of [input, output]) if (type !== undefined && isMessage(type)) found.add(type.file);
      }
    }
  }
  return [...found];
}

/** Writes generated files under `outDir`. A file that already has the content is left as it is; returns those written. */
export async function writeGenerated(files: readonly GeneratedFile[], outDir: string): Promise<string[]> {
  const written: string[] = [];
  for (const { path: name, content } of files) {
    const target = path.join(outDir, ...name.split("/"));
    const before = await readFile(target, "utf8").catch(() => undefined);
    if (before === content) continue;
    await makeFolder(path.dirname(target));
    // In one step, so that a watching compiler never reads half a file.
    const temporary = `${target}.${process.pid}.tmp`;
    try {
      await writeFile(temporary, content);
      await rename(temporary, target);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    written.push(target);
  }
  return written;
}
