import { descriptorOf } from "./emit/descriptor.js";
import { link } from "./link.js";
import { loadProtos } from "./load.js";

/**
 * .proto files and all they import, those first, as FileDescriptorProtos, for calls without generated code
 * (`ChannelOptions.descriptors`). Throws `CodegenError` with file and line.
 */
export async function describeProtos(
  files: readonly string[],
  importPaths: readonly string[] = [],
): Promise<Uint8Array[]> {
  const loaded = await loadProtos(files, { importPaths, fieldNames: "camel" });
  link(loaded.files);
  return loaded.files.map(descriptorOf);
}
