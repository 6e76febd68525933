import { buildModels, type DescribedFile, type ModelOptions } from "./build-model.js";
import {
  descriptorProto,
  type ImportExtension,
  type ModuleNames,
  moduleNames,
  outputName,
} from "./emit/context.js";
import { emitModule } from "./emit/module.js";
import { CodegenError } from "./error.js";
import type { FileModel } from "./model.js";
import { checkTopics } from "./topics.js";

export interface GeneratedFile {
  /** Relative to the output folder, with `/`: `fixbug/user.ts`. */
  readonly path: string;
  readonly content: string;
}

export interface EmitOptions extends ModelOptions {
  readonly importExtension: ImportExtension;
  /** Whether files that the wanted ones import are written as well. */
  readonly imports: boolean;
  /** Where the file of this name was read, as error texts show it. */
  readonly pathOf: (name: string) => string;
}

/**
 * TypeScript for linked descriptors, each behind those it imports: one module for each of the `wanted` names and for what
 * they import. The same input gives the same bytes, sorted by path.
 */
export function emitFiles(
  files: readonly DescribedFile[],
  wanted: readonly string[],
  options: EmitOptions,
): GeneratedFile[] {
  const models = buildModels(files, options);
  const names = new Map<FileModel, ModuleNames>();
  const namesOf = (file: FileModel): ModuleNames => {
    let known = names.get(file);
    if (known === undefined) {
      known = moduleNames(file, options.fieldNames);
      names.set(file, known);
    }
    return known;
  };
  const needed = new Set(models.filter(({ name }) => wanted.includes(name)));
  if (options.imports) {
    // The library has the code of descriptor.proto; it is written only where it is asked for.
    for (const file of needed) {
      for (const one of file.dependencies) if (one.name !== descriptorProto) needed.add(one);
    }
  }
  checkTopics([...needed], options.pathOf);
  const { importExtension } = options;
  const libraryDescriptors = !wanted.includes(descriptorProto);
  const owners = new Map<string, FileModel>();
  return [...needed]
    .map((file) => {
      const path = outputName(file);
      // Case-insensitive file systems would write both to one file.
      const other = owners.get(path.toLowerCase());
      if (other !== undefined) {
        throw new CodegenError(file.name, undefined, `is generated to ${path}, as is ${other.name}`);
      }
      owners.set(path.toLowerCase(), file);
      return { path, content: emitModule(file, { namesOf, importExtension, libraryDescriptors }) };
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}
