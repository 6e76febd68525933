import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { MessageType } from "mprpc/codec";
import {
  type GeneratedFile,
  type GenerateOptions,
  generate,
  writeGenerated,
} from "../../src/codegen/index.js";

export const protoFolder = fileURLToPath(new URL("./protos/", import.meta.url));
export const exampleFolder = fileURLToPath(new URL("../../example/proto/", import.meta.url));

export interface Generated {
  readonly files: GeneratedFile[];
  /** What `kinds.ts` and the like export. */
  module(name: string): Record<string, unknown>;
  /** A message type of any of the files, by its TypeScript name. */
  type(name: string): MessageType<unknown, unknown>;
  remove(): Promise<void>;
}

/** Generates, writes into a temporary folder and imports. */
export async function generateAndImport(
  protos: readonly string[],
  options?: GenerateOptions,
): Promise<Generated> {
  const folder = await mkdtemp(path.join(tmpdir(), "mprpc-codegen-"));
  const files = await generate(protos, options);
  await writeGenerated(files, folder);
  const modules = new Map<string, Record<string, unknown>>();
  for (const { path: name } of files) {
    modules.set(name, await import(pathToFileURL(path.join(folder, name)).href));
  }
  return {
    files,
    module(name) {
      const found = modules.get(name);
      if (found === undefined) throw new Error(`${name} was not generated`);
      return found;
    },
    type(name) {
      for (const module of modules.values()) if (name in module) return module[name] as MessageType;
      throw new Error(`no module exports ${name}`);
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
