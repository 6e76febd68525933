import { FileDescriptorProto } from "../../descriptor/gen/google/protobuf/descriptor.js";
import { encodeMessage } from "../../protobuf/types.js";

/** By declaration, the options that its descriptor has. */
type RuntimeOptions = ReadonlyMap<object, () => unknown>;

/** A file's descriptor in bytes, as protoc writes it: without source info, and without options for the compiler alone. */
export function encodeFile(file: FileDescriptorProto, options: RuntimeOptions): Buffer {
  return encodeMessage(
    FileDescriptorProto,
    withOptions({ ...file, sourceCodeInfo: undefined }, options, file),
  );
}

/** A copy of `value`, which stands for `declared`. Options themselves are not copied: they carry unknown fields. */
function withOptions<T>(value: T, options: RuntimeOptions, declared: unknown = value): T {
  if (Array.isArray(value)) return value.map((one) => withOptions(one, options)) as T;
  if (typeof value !== "object" || value === null) return value;
  const copy = Object.entries(value).map(([key, inner]) => {
    if (key !== "options") return [key, withOptions(inner, options)];
    const own = options.get(declared as object);
    return [key, own === undefined ? inner : own()];
  });
  return Object.fromEntries(copy) as T;
}
