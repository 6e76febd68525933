import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

let folder: string | undefined;

/** The package's own `proto` folder: where it is depends on whether this file is bundled. */
function bundledFolder(): string {
  if (folder !== undefined) return folder;
  const here = path.dirname(fileURLToPath(import.meta.url));
  for (let at = here; at !== path.dirname(at); at = path.dirname(at)) {
    const candidate = path.join(at, "proto");
    if (existsSync(path.join(candidate, "google/protobuf/descriptor.proto"))) {
      folder = candidate;
      return candidate;
    }
  }
  throw new Error(`the folder proto/google of the mprpc package is missing above ${here}`);
}

/** The bytes of a .proto file that every protobuf program, or every program of mprpc, may import without having it. */
export function bundledProto(name: string): string | undefined {
  // Ours is in a folder of its own, so that protoc, which is given that, keeps its own files of Google's.
  const folder = name === "mprpc/options.proto" ? "include" : "";
  if (folder === "" && !/^google\/protobuf\/(compiler\/)?\w+\.proto$/.test(name)) return undefined;
  const file = path.join(bundledFolder(), folder, name);
  return existsSync(file) ? readFileSync(file, "latin1") : undefined;
}
