import { readdirSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { fromJsonText, TypeRegistry, toJsonText } from "../../src/json.js";
import { decodeMessage, encodeMessage, type MessageType } from "../../src/protobuf/types.js";
import type { Codec } from "./codec.js";

/** The message types of all modules that `mprpc generate` wrote into a folder, by their names. */
export async function generatedTypes(folder: string): Promise<Map<string, MessageType>> {
  const types = new Map<string, MessageType>();
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".ts")) continue;
    const module: Record<string, unknown> = await import(pathToFileURL(path.join(folder, name)).href);
    for (const one of Object.values(module)) if (isMessageType(one)) types.set(one.typeName, one);
  }
  return types;
}

export async function generatedCodec(folder: string): Promise<Codec> {
  const types = await generatedTypes(folder);
  const registry = new TypeRegistry(types.values());
  const typeOf = (name: string): MessageType => {
    const type = types.get(name);
    if (type === undefined) throw new Error(`no message ${name} was generated`);
    return type;
  };
  return {
    decode: (name, bytes) => decodeMessage(typeOf(name), bytes),
    fromJson: (name, text, ignoreUnknown) => fromJsonText(typeOf(name), text, { registry, ignoreUnknown }),
    encode: (name, message) => encodeMessage(typeOf(name), message),
    toJson: (name, message) => toJsonText(typeOf(name), message, { registry }),
  };
}

function isMessageType(value: unknown): value is MessageType {
  return typeof value === "object" && value !== null && "typeName" in value && "decode" in value;
}
