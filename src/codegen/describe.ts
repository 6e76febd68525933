import { compileProtos } from "./proto/compile.js";

/**
 * .proto files and all they import as serialized FileDescriptorProtos, for calls without generated code
 * (`ChannelOptions.descriptors`). Throws `CodegenError` with file and line.
 */
export async function describeProtos(
  files: readonly string[],
  importPaths: readonly string[] = [],
): Promise<Uint8Array[]> {
  const compiled = await compileProtos(files, { importPaths });
  return compiled.files.map((file) => compiled.bytesOf(file));
}
