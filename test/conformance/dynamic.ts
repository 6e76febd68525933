import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import protobuf from "protobufjs/light.js";
import { jsonFromMessage, messageFromJson } from "../../src/descriptor/json-mapping.js";
import { parseExactJson, writeExactJson } from "../../src/descriptor/json-text.js";
import { loadDescriptors } from "../../src/descriptor/load.js";
import type { Codec } from "./codec.js";

/** Messages of descriptors alone, as calls in JSON have them. */
export function dynamicCodec(folder: string): Codec {
  const files = loadDescriptors(readdirSync(folder).map((name) => readFileSync(path.join(folder, name))));
  const typeOf = (name: string): protobuf.Type => {
    const type = files.type(name);
    if (type === undefined) throw new Error(`no message ${name}`);
    return type;
  };
  const writing = { bytes: "base64", filled: false, protoNames: false, enumNumbers: false } as const;
  return {
    decode(name, bytes) {
      const reader = protobuf.Reader.create(bytes);
      reader.discardUnknown = false;
      return typeOf(name).decode(reader);
    },
    fromJson: (name, text, ignoreUnknown) =>
      messageFromJson(files, typeOf(name), parseExactJson(text), { bytes: "base64", ignoreUnknown }),
    encode: (name, message) =>
      typeOf(name)
        .encode(message as protobuf.Message)
        .finish(),
    toJson: (name, message) =>
      writeExactJson(jsonFromMessage(files, typeOf(name), message as protobuf.Message, writing)),
  };
}
