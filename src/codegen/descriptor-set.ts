import { FileDescriptorProto } from "../descriptor/gen/google/protobuf/descriptor.js";
import { Reader } from "../protobuf/reader.js";
import { decodeMessage, encodeMessage } from "../protobuf/types.js";
import { setUnknownFields, unknownFields, type WithUnknownFields } from "../protobuf/unknown.js";
import type { DescribedFile } from "./build-model.js";

/** Numbers of fields in descriptor.proto and plugin.proto. */
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
    const proto = decodeMessage(FileDescriptorProto, value);
    files.push({ proto, descriptor: bytesOf(proto) });
  });
  return files;
}

/**
 * A file's descriptor, but for the positions and comments, which take more room than all the rest. Whoever has written it, its fields are in
 * the order of their numbers: buf writes options as they stand in the file, and the code made of one file is to be the same.
 */
function bytesOf(proto: FileDescriptorProto): Uint8Array {
  const { sourceCodeInfo } = proto;
  proto.sourceCodeInfo = undefined;
  sortUnknown(proto);
  const bytes = encodeMessage(FileDescriptorProto, proto);
  proto.sourceCodeInfo = sourceCodeInfo;
  return bytes;
}

/** Sorts the fields that a message, and each in it, has of no type known here: custom options. */
function sortUnknown(value: unknown): void {
  if (typeof value !== "object" || value === null || Buffer.isBuffer(value)) return;
  const unknown = (value as WithUnknownFields)[unknownFields];
  if (unknown !== undefined) {
    const fields: Array<{ readonly number: number; readonly whole: Uint8Array }> = [];
    eachField(unknown, (number, whole) => fields.push({ number, whole }));
    fields.sort((a, b) => a.number - b.number);
    setUnknownFields(value, Buffer.concat(fields.map(({ whole }) => whole)));
  }
  for (const one of Object.values(value)) sortUnknown(one);
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
