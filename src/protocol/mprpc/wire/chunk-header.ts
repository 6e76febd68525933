import { varintBytes } from "../../../protobuf/varint.js";
import { Field, Kind } from "./header.js";

/** The longest header of a chunk: the size of the header, then kind, call number and size of the body. */
export const chunkHeaderMaxBytes = 4 + 2 + 6 + 6;

/**
 * Writes the header of a chunk of `size` bytes right in front of `buffer[at]`; returns where it begins. A message that was encoded
 * behind its header has room for it: the header of the CALL or REPLY it was encoded behind had these fields and more.
 */
export function writeChunkHeader(buffer: Buffer, at: number, callId: number, size: number): number {
  const callBytes = callId === 0 ? 0 : 1 + varintBytes(callId);
  const headerBytes = 3 + callBytes + varintBytes(size);
  const start = at - 4 - headerBytes;
  let position = buffer.writeUInt32LE(headerBytes, start);
  buffer[position++] = Field.KIND << 3;
  buffer[position++] = Kind.CHUNK;
  if (callId !== 0) {
    buffer[position++] = Field.CALL_ID << 3;
    position = writeVarint(buffer, position, callId);
  }
  buffer[position++] = Field.ARGS_SIZE << 3;
  writeVarint(buffer, position, size);
  return start;
}

/** Returns the position behind it. */
function writeVarint(buffer: Buffer, at: number, value: number): number {
  let position = at;
  let rest = value;
  for (; rest > 127; rest >>>= 7) buffer[position++] = (rest & 127) | 128;
  buffer[position++] = rest;
  return position;
}
