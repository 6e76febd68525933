import type { FileDescriptorProto } from "../descriptor/gen/google/protobuf/descriptor.js";

/** The comments of a file's declarations, by their path as SourceCodeInfo has it: `4,0,2,1` is a field. */
export class Comments {
  readonly #byPath = new Map<string, string>();

  constructor(file: FileDescriptorProto) {
    for (const { path, leadingComments, trailingComments } of file.sourceCodeInfo?.location ?? []) {
      // What stands behind a field on its line is as much its comment as what stands above it.
      const comment = cleaned(leadingComments) ?? cleaned(trailingComments);
      const key = path.join();
      if (comment !== undefined && !this.#byPath.has(key)) this.#byPath.set(key, comment);
    }
  }

  of(path: readonly number[]): string | undefined {
    return this.#byPath.get(path.join());
  }
}

/** Without the space behind `//`, which each line has, and without empty lines around. */
function cleaned(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const lines = text.split("\n").map((line) => line.replace(/\s+$/, "").replace(/^ /, ""));
  while (lines[0] === "") lines.shift();
  while (lines.at(-1) === "") lines.pop();
  return lines.length === 0 ? undefined : lines.join("\n");
}
