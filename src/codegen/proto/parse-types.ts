import { FieldDescriptorProto_Type as Type } from "../../descriptor/gen/google/protobuf/descriptor.js";
import type { ParserBase } from "./parser-base.js";

/** The types that have names of their own. */
export const builtInTypes = new Map<string, Type>([
  ["double", Type.TYPE_DOUBLE],
  ["float", Type.TYPE_FLOAT],
  ["uint64", Type.TYPE_UINT64],
  ["fixed64", Type.TYPE_FIXED64],
  ["fixed32", Type.TYPE_FIXED32],
  ["bool", Type.TYPE_BOOL],
  ["string", Type.TYPE_STRING],
  ["group", Type.TYPE_GROUP],
  ["bytes", Type.TYPE_BYTES],
  ["uint32", Type.TYPE_UINT32],
  ["sfixed32", Type.TYPE_SFIXED32],
  ["sfixed64", Type.TYPE_SFIXED64],
  ["int32", Type.TYPE_INT32],
  ["int64", Type.TYPE_INT64],
  ["sint32", Type.TYPE_SINT32],
  ["sint64", Type.TYPE_SINT64],
]);

export interface TypeReference {
  readonly type?: Type;
  readonly typeName?: string;
}

export function typeReference(p: ParserBase): TypeReference {
  const type = builtInTypes.get(p.token.text);
  if (type === undefined) return { typeName: userTypeName(p) };
  p.next();
  return { type };
}

/** A message's or enum's name, with or without its packages and a leading dot. */
export function userTypeName(p: ParserBase): string {
  const { text } = p.token;
  if (builtInTypes.has(text)) {
    p.error(`expected a message, not ${text}`);
    p.next();
    return text;
  }
  let name = p.tryTake(".") ? "." : "";
  name += p.identifier("the name of a type");
  while (p.tryTake(".")) name += `.${p.identifier("a name")}`;
  return name;
}
