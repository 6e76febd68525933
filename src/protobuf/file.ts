/**
 * A .proto file, as its generated module exports it. `descriptor` is the file's own `FileDescriptorProto`, byte for byte as
 * the parser (or protoc) made it: nothing re-encodes it, so options that this library does not know are still in it.
 */
export interface ProtoFile {
  /** The name that other files import it by: `fixbug/user.proto`. */
  readonly name: string;
  /** The serialized `google.protobuf.FileDescriptorProto`. Decoded from the generated text on first use. */
  readonly descriptor: Uint8Array;
  /** The files it imports, in the order of its `import` statements. */
  readonly dependencies: readonly ProtoFile[];
}

/** A .proto file, as generated code writes it: its name, its descriptor in base64, and the files it imports. */
export function defineFile(name: string, base64: string, dependencies: readonly ProtoFile[] = []): ProtoFile {
  let bytes: Uint8Array | undefined;
  return {
    name,
    dependencies,
    get descriptor() {
      bytes ??= Buffer.from(base64, "base64");
      return bytes;
    },
  };
}

/** `file` and all it imports, each once, itself first. */
export function withDependencies(file: ProtoFile): ProtoFile[] {
  const found = new Set([file]);
  // A Set is walked in the order of insertion, and what is added meanwhile is walked too.
  for (const next of found) for (const dependency of next.dependencies) found.add(dependency);
  return [...found];
}
