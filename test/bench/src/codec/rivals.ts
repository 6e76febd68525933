import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { createFileRegistry, type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { decodeMessage, encodeMessage } from "mprpc/codec";
import protobuf from "protobufjs";
import descriptor from "protobufjs/ext/descriptor.js";
import pbjs from "protobufjs-cli/pbjs.js";
import type { Case } from "./cases.js";
import type { Rival, RivalName } from "./rival.js";

const protoFile = fileURLToPath(new URL("../../codec.proto", import.meta.url));
/** Beneath test/bench, so that the code finds the peers it imports. */
const outputFolder = fileURLToPath(new URL("../../dist/codec/", import.meta.url));

/** What pbjs makes of a message. */
interface StaticType {
  encode(message: object): { finish(): Uint8Array };
  decode(bytes: Uint8Array): object;
}

/** The code `pbjs -t static-module` makes, made now: it belongs to the installed version. */
async function staticTypes(): Promise<Record<string, StaticType>> {
  mkdirSync(outputFolder, { recursive: true });
  const file = `${outputFolder}static.cjs`;
  const args = ["-t", "static-module", "-w", "commonjs", "-o", file, protoFile];
  await new Promise<void>((resolve, reject) => {
    pbjs.main(args, (error) => (error === null || error === undefined ? resolve() : reject(error)));
  });
  const made = createRequire(import.meta.url)(file) as { bench: { codec: Record<string, StaticType> } };
  return made.bench.codec;
}

/** protobuf-es reads its messages by descriptors, whether its plugin wrote them into code or they come as bytes. */
function esMessages(root: protobuf.Root): (typeName: string) => DescMessage {
  const set = root.toDescriptor("proto3");
  const bytes = descriptor.FileDescriptorSet.encode(set).finish();
  const described = fromBinary(FileDescriptorSetSchema, bytes);
  // protobufjs names types as they are seen from where they are used; a descriptor has them whole.
  for (const file of described.file) {
    for (const message of file.messageType) {
      const entries = new Set(message.nestedType.map(({ name }) => name));
      for (const field of [message, ...message.nestedType].flatMap((one) => one.field)) {
        const { typeName } = field;
        if (typeName === "" || typeName.startsWith(".")) continue;
        field.typeName = `.${file.package}.${entries.has(typeName) ? `${message.name}.` : ""}${typeName}`;
      }
    }
  }
  const registry = createFileRegistry(described);
  return (typeName) => {
    const found = registry.getMessage(typeName);
    if (found === undefined) throw new Error(`${typeName} is not in the descriptors`);
    return found;
  };
}

/**
 * Makes the codecs. Each is given the message in its own shape, as its own decoder makes it, and must encode it to the
 * very bytes the others give.
 */
export async function makeRivals(): Promise<(one: Case) => Record<RivalName, Rival>> {
  const root = protobuf.loadSync(protoFile);
  const made = await staticTypes();
  const esMessage = esMessages(root);
  return ({ type, message, json }) => {
    const bytes = encodeMessage(type, message);
    const generated = made[type.typeName.slice("bench.codec.".length)];
    if (generated === undefined) throw new Error(`pbjs made no ${type.typeName}`);
    const reflected = root.lookupType(type.typeName);
    const es = esMessage(type.typeName);
    const staticMessage = generated.decode(bytes);
    const reflectedMessage = reflected.decode(bytes);
    const esShape = fromBinary(es, bytes);
    const jsonBytes = Buffer.from(JSON.stringify(json.to(message)));
    return {
      mprpc: { encode: () => encodeMessage(type, message), decode: () => decodeMessage(type, bytes) },
      "protobufjs static": {
        encode: () => generated.encode(staticMessage).finish(),
        decode: () => generated.decode(bytes),
      },
      "protobufjs reflected": {
        encode: () => reflected.encode(reflectedMessage).finish(),
        decode: () => reflected.decode(bytes),
      },
      "protobuf-es": { encode: () => toBinary(es, esShape), decode: () => fromBinary(es, bytes) },
      JSON: {
        encode: () => Buffer.from(JSON.stringify(json.to(message))),
        decode: () => json.from(JSON.parse(jsonBytes.toString())),
      },
    };
  };
}
