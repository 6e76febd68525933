import { varintBytes } from "../../protobuf/varint.js";
import { Writer } from "../../protobuf/writer.js";
import type { Detection } from "../protocol.js";

/**
 * The wire of the classic C++ framework, in the four dialects its forks speak. Requests differ in how lengths are
 * written; replies in whether they have a length, and whether the connection lives on. proto/WIRE.md has the table.
 */
export const classicDialects = ["le32", "be32", "varint", "framed"] as const;
export type ClassicDialect = (typeof classicDialects)[number];

export interface ClassicRequest {
  /** Short name, as the classic framework sends it; a full name is accepted too. */
  service: string;
  method: string;
  bodyStart: number;
  bodyEnd: number;
}

/** Three results, never confused: a request, how many bytes are needed in all, or why it is malformed. */
export type ClassicResult =
  | { kind: "request"; request: ClassicRequest; end: number }
  | { kind: "need-more"; bytes: number }
  | { kind: "malformed"; reason: string };

/** A classic header is two names and a number. This limit is generous, and far below any length that stray text would decode to. */
const headerMaxBytes = 64 * 1024 - 1;
/** Of a header this long or shorter, every varint prefix is at most three bytes. */
const prefixMaxBytes = 3;

/**
 * Which dialect the first bytes of a connection are in: a header starts with field 1, 2 or 3, as its fields may be in any
 * order. A candidate must hold up to a full parse of its header, so that stray HTTP, TLS or text never passes.
 */
export function detectClassic(received: Buffer): Detection {
  let bytes = Number.POSITIVE_INFINITY;
  for (const dialect of classicDialects) {
    const prefix = readPrefix(received, 0, dialect);
    if (prefix === "need-more") {
      bytes = received.length + 1;
      continue;
    }
    if (prefix === undefined) continue;
    const { headerStart, headerSize, totalEnd } = prefix;
    const header = parseHeader(received, headerStart, headerStart + headerSize);
    if (header === undefined) continue;
    // If it is incomplete, the bytes so far must be a valid beginning of a header; text such as "GET /" fails at once.
    if (header === "need-more") bytes = Math.min(bytes, headerStart + headerSize);
    else if (totalEnd === undefined || totalEnd === headerStart + headerSize + header.argsSize) {
      return { kind: "match", variant: dialect };
    }
  }
  return bytes < Number.POSITIVE_INFINITY ? { kind: "need-more", bytes } : { kind: "no" };
}

type Prefix = { headerStart: number; headerSize: number; totalEnd: number | undefined };

/** The lengths in front of a header; undefined when they cannot be this dialect's. */
function readPrefix(
  buffer: Buffer,
  start: number,
  dialect: ClassicDialect,
): Prefix | "need-more" | undefined {
  const available = buffer.length - start;
  if (dialect === "varint") return readVarintPrefix(buffer, start);
  // A header below 64 KiB leaves two bytes of its length zero: looked at as they arrive, so that text fails early.
  const zeros = start + (dialect === "le32" ? 2 : dialect === "be32" ? 0 : 4);
  for (let i = zeros; i < zeros + 2 && i < buffer.length; i++) if (buffer[i] !== 0) return undefined;
  if (available < 4) return "need-more";
  const first = dialect === "le32" ? buffer.readUInt32LE(start) : buffer.readUInt32BE(start);
  if (dialect !== "framed") return checkedPrefix(first, start + 4, undefined);
  if (available < 8) return "need-more";
  const headerSize = buffer.readUInt32BE(start + 4);
  // total covers the inner length, the header and the arguments.
  if (first < 4 + headerSize) return undefined;
  return checkedPrefix(headerSize, start + 8, start + 4 + first);
}

function readVarintPrefix(buffer: Buffer, start: number): Prefix | "need-more" | undefined {
  let headerSize = 0;
  for (let i = 0; i < prefixMaxBytes; i++) {
    if (start + i >= buffer.length) return "need-more";
    const byte = buffer[start + i] as number;
    headerSize |= (byte & 127) << (7 * i);
    if (byte < 128) return checkedPrefix(headerSize, start + i + 1, undefined);
  }
  return undefined;
}

function checkedPrefix(
  headerSize: number,
  headerStart: number,
  totalEnd: number | undefined,
): Prefix | undefined {
  // The smallest header has a one-letter service and a one-letter method.
  return headerSize < 6 || headerSize > headerMaxBytes ? undefined : { headerStart, headerSize, totalEnd };
}

interface ClassicHeader {
  service: string;
  method: string;
  argsSize: number;
}

const namePattern = /^[A-Za-z_][\w.]*$/;

/** The fields of the framework; others, which some forks add, are skipped. */
const headerField = { service: 1, method: 2, argsSize: 3 } as const;
/** The tags that a header may begin with: its own three fields. */
const firstTags = [0x0a, 0x12, 0x18];

/**
 * A classic header: any fields in any order, as a protobuf parser takes it, both names there. Undefined when it is not one;
 * `need-more` when the buffer ends in the middle of what may become one.
 */
function parseHeader(buffer: Buffer, start: number, end: number): ClassicHeader | "need-more" | undefined {
  const header: ClassicHeader = { service: "", method: "", argsSize: 0 };
  const available = Math.min(end, buffer.length);
  let position = start;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (position >= end) return -1;
      if (position >= available) return Number.NaN;
      const byte = buffer[position++] as number;
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    return -1;
  };
  if (position < available && !firstTags.includes(buffer[position] as number)) return undefined;
  while (position < end) {
    const tag = varint();
    const field = Math.floor(tag / 8);
    const wireType = tag % 8;
    if (Number.isNaN(tag)) return "need-more";
    if (tag < 8 || field > 0x1fff_ffff) return undefined;
    if (field <= headerField.argsSize && wireType !== (field === headerField.argsSize ? 0 : 2))
      return undefined;
    let size = wireType === 1 ? 8 : wireType === 5 ? 4 : 0;
    if (wireType === 0 || wireType === 2) {
      const value = varint();
      if (Number.isNaN(value)) return "need-more";
      if (value < 0) return undefined;
      if (wireType === 2) size = value;
      else if (field === headerField.argsSize) header.argsSize = value;
    } else if (size === 0) return undefined;
    if (position + size > end) return undefined;
    if (field <= headerField.method) {
      const name = buffer.toString("utf8", position, Math.min(position + size, available));
      if (!namePattern.test(name) && (name !== "" || size === 0)) return undefined;
      if (field === headerField.service) header.service = name;
      else header.method = name;
    }
    position += size;
    if (position > available) return "need-more";
  }
  return header.service === "" || header.method === "" ? undefined : header;
}

/** The request that starts at `start` in a connection known to speak `dialect`. */
export function readClassicRequest(
  buffer: Buffer,
  start: number,
  dialect: ClassicDialect,
  bodyMaxBytes: number,
): ClassicResult {
  const prefix = readPrefix(buffer, start, dialect);
  if (prefix === "need-more") return { kind: "need-more", bytes: dialect === "framed" ? 8 : 4 };
  if (prefix === undefined) return { kind: "malformed", reason: `not a ${dialect} request` };
  const { headerStart, headerSize, totalEnd } = prefix;
  const bodyStart = headerStart + headerSize;
  if (bodyStart > buffer.length) return { kind: "need-more", bytes: bodyStart - start };
  const header = parseHeader(buffer, headerStart, bodyStart);
  if (typeof header !== "object") return { kind: "malformed", reason: "its RpcHeader does not parse" };
  if (header.argsSize > bodyMaxBytes) {
    return {
      kind: "malformed",
      reason: `${header.argsSize} bytes of arguments are over the limit of ${bodyMaxBytes} (limits.body)`,
    };
  }
  const bodyEnd = bodyStart + header.argsSize;
  if (totalEnd !== undefined && totalEnd !== bodyEnd) {
    return { kind: "malformed", reason: "its total length and args_size disagree" };
  }
  if (bodyEnd > buffer.length) return { kind: "need-more", bytes: bodyEnd - start };
  const { service, method } = header;
  return { kind: "request", request: { service, method, bodyStart, bodyEnd }, end: bodyEnd };
}

/** A request as one buffer, to be sent in one write: a classic provider reads it with one `recv`. */
export function writeClassicRequest(
  dialect: ClassicDialect,
  service: string,
  method: string,
  encodeBody: (writer: Writer) => void,
): Buffer {
  const body = new Writer();
  encodeBody(body);
  const header = new Writer();
  header.uint32(0x0a).string(service).uint32(0x12).string(method);
  // proto3 omits a zero, and so does the C++ peer.
  if (body.position > 0) header.uint32(0x18).uint32(body.position);
  const lead = Buffer.alloc(8);
  let leadBytes = 4;
  if (dialect === "le32") lead.writeUInt32LE(header.position);
  else if (dialect === "be32") lead.writeUInt32BE(header.position);
  else if (dialect === "framed") {
    leadBytes = lead.writeUInt32BE(header.position, lead.writeUInt32BE(4 + header.position + body.position));
  } else {
    leadBytes = varintBytes(header.position);
    new Writer().uint32(header.position).view().copy(lead);
  }
  return Buffer.concat([lead.subarray(0, leadBytes), header.view(), body.view()]);
}

/** A reply as its dialect writes it: raw, or with a big-endian length in front. */
export function frameClassicReply(dialect: ClassicDialect, body: Buffer): Buffer {
  if (dialect !== "framed") return body;
  const lead = Buffer.alloc(4);
  lead.writeUInt32BE(body.length);
  return Buffer.concat([lead, body]);
}
