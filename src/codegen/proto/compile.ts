import type { FileDescriptorProto } from "../../descriptor/gen/google/protobuf/descriptor.js";
import type { Problem } from "../error.js";
import { encodeFile } from "./encode.js";
import { FileLoader, inOrder, type LoadedFile } from "./files.js";
import { linkFile } from "./link-file.js";
import { bytesOf } from "./literals.js";
import type { LinkedFile } from "./option-tree.js";
import { parseFile } from "./parse-file.js";
import type { ParsedProto } from "./parsed.js";
import { Problems } from "./problems.js";
import { Pool } from "./symbols.js";

export interface CompileOptions {
  /** Folders that imports and file names are relative to. Default: the folder all files have in common. */
  readonly importPaths?: readonly string[];
}

export interface CompiledProtos {
  /** The files asked for, each once, in the order given. */
  readonly inputs: readonly FileDescriptorProto[];
  /** Those and all they import, each behind what it imports itself. */
  readonly files: readonly FileDescriptorProto[];
  /** What is odd but not wrong, like imports that nothing uses. */
  readonly warnings: readonly Problem[];
  /** Where the file with this name was read, as error texts show it. */
  pathOf(name: string): string;
  /** A file's descriptor as protoc writes it: options that are for the compiler alone, comments and positions left out. */
  bytesOf(file: FileDescriptorProto): Buffer;
}

/**
 * Reads .proto files and all they import, and gives their descriptors: every name looked up, every option interpreted.
 * Throws `CodegenError` with all that is wrong.
 */
export async function compileProtos(
  files: readonly string[],
  { importPaths = [] }: CompileOptions = {},
): Promise<CompiledProtos> {
  const problems = new Problems();
  const loader = new FileLoader(files, importPaths, problems);
  const inputs = new Set<LoadedFile>();
  for (const file of files) inputs.add(loader.input(file));
  const loaded = inOrder([...inputs], problems);
  const scopes = linkAll(loaded, problems);
  problems.throwIfAny();
  return result([...inputs], loaded, scopes, problems.warnings);
}

function linkAll(loaded: readonly LoadedFile[], problems: Problems): Map<LoadedFile, LinkedFile> {
  const pool = new Pool();
  const scopes = new Map<LoadedFile, LinkedFile>();
  for (const file of loaded) {
    if (file.broken) continue;
    const imports = file.imports.map((one) => one && scopes.get(one));
    const whole = imports.filter((one) => one !== undefined && !one.broken) as LinkedFile[];
    // Who imports a file that is broken would complain of what is missing in it.
    if (whole.length < imports.length) file.broken = true;
    else scopes.set(file, linkFile(pool, file.parsed, file.path, whole, problems));
  }
  return scopes;
}

function result(
  inputs: readonly LoadedFile[],
  loaded: readonly LoadedFile[],
  scopes: ReadonlyMap<LoadedFile, LinkedFile>,
  warnings: readonly Problem[],
): CompiledProtos {
  const byNode = new Map([...scopes.values()].map((scope) => [scope.node, scope]));
  const paths = new Map(loaded.map(({ name, path }) => [name, path]));
  return {
    inputs: inputs.map(({ parsed }) => parsed.descriptor),
    files: loaded.map(({ parsed }) => parsed.descriptor),
    warnings,
    pathOf: (name) => paths.get(name) ?? name,
    bytesOf: (file) => {
      const scope = byNode.get(file);
      if (scope === undefined) throw new Error(`${file.name} is not one of the files compiled`);
      return encodeFile(file, scope.runtimeOptions);
    },
  };
}

/** One .proto file's text as a syntax tree, nothing looked up. Throws `CodegenError` for what is no .proto file. */
export function parseProto(text: string | Uint8Array, name: string): ParsedProto {
  const problems = new Problems();
  const source = typeof text === "string" ? bytesOf(text) : Buffer.from(text).toString("latin1");
  const parsed = parseFile(source, name, (line, column, message) =>
    problems.add({ file: name, line: line + 1, column: column + 1, message }),
  );
  problems.throwIfAny();
  return parsed;
}
