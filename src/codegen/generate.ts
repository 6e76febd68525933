import { readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { makeFolder } from "../base/make-folder.js";
import type { DescribedFile } from "./build-model.js";
import { filesOfSet } from "./descriptor-set.js";
import { descriptorProto, type ImportExtension } from "./emit/context.js";
import { emitFiles, type GeneratedFile } from "./emit-files.js";
import { CodegenError, type Problem } from "./error.js";
import type { LongForm } from "./model.js";
import type { FieldNames } from "./names.js";
import { compileProtos } from "./proto/compile.js";

export interface OutputOptions {
  /** Names of fields in TypeScript: `camel` (default) makes `user_id` `userId`, `keep` leaves it. */
  fieldNames?: FieldNames;
  /** What 64-bit integers are in TypeScript: `bigint` (default), `number` or `string`. `[jstype]` of a field comes first. */
  int64?: LongForm;
  /** How the files import each other: `.js` (default), `.ts`, for Node's type stripping, or `none`, for bundlers. */
  importExtension?: ImportExtension;
  /** Whether the files that the given ones import are written as well. Default: true. */
  imports?: boolean;
}

export interface GenerateOptions extends OutputOptions {
  /** Folders that imports and file names are relative to. Default: the folder all files have in common. */
  importPaths?: readonly string[];
  /** Folder the files are written to. Default: nothing is written. */
  outDir?: string;
  /** Told what is odd but not wrong, like an import that nothing uses. Default: nobody is told. */
  onWarning?: (warning: Problem) => void;
}

/**
 * TypeScript for .proto files: one module a file, and one for each file it imports. The same input gives the same bytes.
 * Throws `CodegenError` with file and line, before anything is written.
 */
export async function generate(
  files: readonly string[],
  options: GenerateOptions = {},
): Promise<GeneratedFile[]> {
  if (files.length === 0) throw new TypeError("no .proto files were given");
  const compiled = await compileProtos(files, { importPaths: options.importPaths ?? [] });
  for (const warning of compiled.warnings) options.onWarning?.(warning);
  const described = compiled.files.map((proto) => ({ proto, descriptor: compiled.bytesOf(proto) }));
  const wanted = compiled.inputs.map(({ name = "" }) => name);
  const generated = emit(described, wanted, options, compiled.pathOf);
  if (options.outDir !== undefined) await writeGenerated(generated, options.outDir);
  return generated;
}

/**
 * TypeScript for files that somebody else has parsed: `set` is a serialized `google.protobuf.FileDescriptorSet`, such as
 * `protoc --include_imports --descriptor_set_out` writes. `files` are names in it; none means all. Throws `CodegenError`
 * that names `source` for a set that cannot be used.
 */
export function generateFromDescriptors(
  set: Uint8Array,
  source: string,
  files: readonly string[] = [],
  options: OutputOptions = {},
): GeneratedFile[] {
  let all: DescribedFile[];
  try {
    all = filesOfSet(set);
  } catch (error) {
    throw new CodegenError(source, undefined, `is no FileDescriptorSet: ${(error as Error).message}`);
  }
  const names = all.map(({ proto }) => proto.name ?? "");
  if (names.length === 0) throw new CodegenError(source, undefined, "is a FileDescriptorSet without files");
  const missing = files.find((file) => !names.includes(file));
  if (missing !== undefined) {
    throw new CodegenError(source, undefined, `has no file ${missing}; it has ${names.join(", ")}`);
  }
  const whole = names.filter((name) => name !== descriptorProto);
  try {
    return emit(all, files.length > 0 ? files : whole, options);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new CodegenError(source, undefined, `${error.message} (protoc needs --include_imports)`);
  }
}

export function emit(
  files: readonly DescribedFile[],
  wanted: readonly string[],
  options: OutputOptions,
  pathOf: (name: string) => string = (name) => name,
): GeneratedFile[] {
  const { fieldNames = "camel", int64 = "bigint", importExtension = ".js", imports = true } = options;
  return emitFiles(files, wanted, { fieldNames, longs: int64, importExtension, imports, pathOf });
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
