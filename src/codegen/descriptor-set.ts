import { FileDescriptorProto } from "../descriptor/gen/google/protobuf/descriptor.js";
import { Reader } from "../protobuf/reader.js";
import { decodeMessage } from "../protobuf/types.js";
import type { DescribedFile } from "./build-model.js";

/** Numbers of fields in descriptor.proto and plugin.proto. */
const sourceCodeInfo = 9;
const setFiles = 1;
const requestFiles = 15;

/** The files of a serialized `google.protobuf.FileDescriptorSet`. Throws for bytes that are none. */
export function filesOfSet(bytes: Uint8Array): DescribedFile[] {
  return describedFiles(bytes, setFiles);
}

/** The files of a serialized `google.protobuf.compiler.CodeGeneratorRequest`. */
export function filesOfRequest(bytes: Uint8Array): DescribedFile[] {
  return describedFiles(bytes, requestFiles);
}

function describedFiles(bytes: Uint8Array, field: number): DescribedFile[] {
  const files: DescribedFile[] = [];
  eachField(bytes, (number, _whole, value) => {
    if (number !== field) return;
    files.push({ proto: decodeMessage(FileDescriptorProto, value), descriptor: withoutSourceInfo(value) });
  });
  return files;
}

/** A file's descriptor as it came, but for the positions and comments, which take more room than all the rest. */
export function withoutSourceInfo(descriptor: Uint8Array): Uint8Array {
  const kept: Uint8Array[] = [];
  eachField(descriptor, (number, whole) => {
    if (number !== sourceCodeInfo) kept.push(whole);
  });
  return Buffer.concat(kept);
}

/** `whole` is the field with its tag; `value` what a length-delimited field holds, empty for others. */
function eachField(
  bytes: Uint8Array,
  visit: (number: number, whole: Uint8Array, value: Uint8Array) => void,
): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const reader = new Reader(buffer);
  while (reader.pos < buffer.length) {
    const start = reader.pos;
    const tag = reader.tag();
    const valueStart = reader.pos;
    reader.skipField(tag);
    const end = reader.pos;
    const length = (tag & 7) === 2 ? new Reader().reset(buffer, valueStart, end).uint32() : 0;
    visit(tag >>> 3, buffer.subarray(start, end), buffer.subarray(end - length, end));
  }
}
