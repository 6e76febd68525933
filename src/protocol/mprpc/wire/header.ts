import { Metadata } from "../../../base/metadata.js";
import type { ErrorDetail, Executed } from "../../../error/rpc-error.js";
import { emptyBytes, Reader } from "../../../protobuf/reader.js";
import { varintBytes } from "../../../protobuf/varint.js";
import type { Writer } from "../../../protobuf/writer.js";
import { defaultWireLimits } from "./limits.js";
import { isPlainEntry, PackedMetadata, readMetadataEntry, writeMetadataEntry } from "./packed-metadata.js";

/** What an mprpc/2 frame is: field 4 of the RpcHeader, always written first. */
export const Kind = {
  CALL: 1,
  REPLY: 2,
  CANCEL: 3,
  PING: 4,
  PONG: 5,
  GOING_AWAY: 6,
  SETTINGS: 7,
  /** The next message of a stream. */
  MESSAGE: 8,
  /** The caller's stream has ended. */
  HALF_CLOSE: 9,
  /** The receiver of a stream has room for more. */
  CREDIT: 10,
  CHUNK: 11,
  /** The provider's initial metadata, before its first message. */
  METADATA: 12,
} as const;

/** Field numbers of RpcHeader; proto/rpcheader.proto is the normative text. */
export const Field = {
  SERVICE_NAME: 1,
  METHOD_NAME: 2,
  ARGS_SIZE: 3,
  KIND: 4,
  CALL_ID: 5,
  METHOD_INDEX: 6,
  TIMEOUT_MS: 7,
  STATUS: 8,
  MESSAGE: 9,
  METADATA: 10,
  DETAILS: 11,
  EXECUTED: 12,
  TRACE_CONTEXT: 13,
  IDEMPOTENCY_KEY: 14,
  COMPRESSION: 15,
  SETTINGS: 16,
  ACCEPTED_CALLS: 17,
  PING_ID: 18,
  CREDIT: 19,
  MESSAGE_SIZE: 20,
  STREAM: 21,
  TRAILERS: 22,
} as const;

/** What each side sends first when a connection opens. */
export interface Settings {
  /** Largest message it accepts, bytes. */
  bodyMaxBytes: number;
  /** Most calls it serves at a time on this connection; 0 for a side that serves none. */
  maxInFlight: number;
  /** Largest header it accepts, bytes. */
  headerMaxBytes: number;
  /** It accepts messages in chunks. */
  chunks: boolean;
  /** How many messages in chunks it accepts at a time. */
  arrivingMax: number;
  /** How large these may be together, bytes. */
  arrivingMaxBytes: number;
}

/** The limits until the other side's settings arrive: the least that every side must accept. */
export const settingsUnknown: Readonly<Settings> = {
  bodyMaxBytes: 0xffff_ffff,
  maxInFlight: 1024,
  headerMaxBytes: defaultWireLimits.headerMaxBytes,
  chunks: false,
  arrivingMax: defaultWireLimits.arrivingMax,
  arrivingMaxBytes: defaultWireLimits.arrivingMaxBytes,
};

/** Fields that most frames do not carry. */
export interface RareFields {
  serviceName?: string;
  methodName?: string;
  message?: string;
  metadata?: Metadata;
  details?: ErrorDetail[];
  executed?: Executed;
  idempotencyKey?: string;
  compression?: number;
  settings?: Settings;
  acceptedCalls?: number;
  pingId?: number;
  /** CALL: which sides send a stream of messages; absent or 0 in a unary call. */
  stream?: number;
  /** CALL, CREDIT: what the receiver of a stream has room for, bytes; only to write: what was read is `FrameHeader.credit`. */
  credit?: number;
  trailers?: Metadata;
  /** CALL: an entry of the metadata that is no part of them; only to write. What the call brings itself goes before it. */
  authorization?: string;
}

const executedNames: readonly Executed[] = ["maybe", "never", "yes"];
const noRareFields: RareFields = Object.freeze({});

/**
 * A decoded RpcHeader. One object serves every frame of a connection: read what you need before the next frame.
 * Numbers that were absent are 0; `timeoutMs` is -1.
 */
export class FrameHeader {
  kind = 0;
  callId = 0;
  methodIndex = 0;
  /** Time left for the call, ms; -1: no deadline. */
  timeoutMs = -1;
  status = 0;
  bodySize = 0;
  /** Size of a message that follows in chunks. */
  messageSize = 0;
  /** What the receiver of a stream has room for, bytes. */
  credit = 0;
  rare: RareFields = noRareFields;

  #position = 0;
  readonly #reader = new Reader();
  /** Entries of metadata that are kept as bytes: how many, and where they lie. */
  #packedCount = 0;
  #packedStart = 0;
  #packedEnd = 0;

  /** Reads `buffer[start..end)`. Returns why it is malformed, or undefined. Unknown fields are skipped. */
  read(buffer: Buffer, start: number, end: number): string | undefined {
    this.kind = this.callId = this.methodIndex = this.status = this.bodySize = this.messageSize = 0;
    this.credit = 0;
    this.timeoutMs = -1;
    this.rare = noRareFields;
    this.#packedCount = 0;
    this.#position = start;
    while (this.#position < end) {
      const tag = this.#varint(buffer, end);
      if (tag < 8) return tag < 0 ? "header cut inside a field tag" : "header field with number 0";
      switch (tag & 7) {
        case 0: {
          const value = this.#varint(buffer, end);
          if (value < 0) return "header with a broken varint";
          this.#setNumber(tag >>> 3, value);
          break;
        }
        case 2: {
          const length = this.#varint(buffer, end);
          if (length < 0 || this.#position + length > end) return "header field longer than the header";
          const wrong = this.#setBytes(tag >>> 3, buffer, this.#position, this.#position + length);
          if (wrong !== undefined) return wrong;
          this.#position += length;
          break;
        }
        case 1:
          this.#position += 8;
          break;
        case 5:
          this.#position += 4;
          break;
        case 3: {
          const wrong = this.#skipGroup(tag, buffer, end);
          if (wrong !== undefined) return wrong;
          break;
        }
        default:
          return `header field with wire type ${tag & 7}`;
      }
    }
    if (this.#packedCount > 0) this.#unpackLater(buffer);
    return this.#position === end ? undefined : "header cut inside a field";
  }

  /** A uint32, or -1 when the bytes end or it is longer than ten bytes; higher bits are dropped, as protobuf does. */
  #varint(buffer: Buffer, end: number): number {
    let position = this.#position;
    let byte = position < end ? (buffer[position++] as number) : 255;
    if (byte < 128) {
      this.#position = position;
      return byte;
    }
    let value = byte & 127;
    // Call numbers and sizes of two bytes are the commonest of all.
    const second = position < end ? (buffer[position] as number) : 255;
    if (second < 128) {
      this.#position = position + 1;
      return value | (second << 7);
    }
    for (let shift = 7; shift < 70; shift += 7) {
      if (position >= end) return -1;
      byte = buffer[position++] as number;
      if (shift < 32) value |= (byte & 127) << shift;
      if (byte < 128) {
        this.#position = position;
        return value >>> 0;
      }
    }
    return -1;
  }

  /** No known field is a group, but a later version may add one, and unknown fields are skipped. */
  #skipGroup(tag: number, buffer: Buffer, end: number): string | undefined {
    const reader = this.#reader.reset(buffer, this.#position, end);
    try {
      reader.skipField(tag);
    } catch (error) {
      return `header field ${tag >>> 3}: ${(error as Error).message}`;
    }
    this.#position = reader.pos;
    return undefined;
  }

  #setNumber(field: number, value: number): void {
    switch (field) {
      case Field.ARGS_SIZE:
        this.bodySize = value;
        break;
      case Field.KIND:
        this.kind = value;
        break;
      case Field.CALL_ID:
        this.callId = value;
        break;
      case Field.METHOD_INDEX:
        this.methodIndex = value;
        break;
      case Field.TIMEOUT_MS:
        this.timeoutMs = value;
        break;
      case Field.STATUS:
        this.status = value;
        break;
      case Field.MESSAGE_SIZE:
        this.messageSize = value;
        break;
      case Field.CREDIT:
        this.credit = value;
        break;
      case Field.EXECUTED:
        this.#own().executed = executedNames[value] ?? "maybe";
        break;
      case Field.COMPRESSION:
        this.#own().compression = value;
        break;
      case Field.ACCEPTED_CALLS:
        this.#own().acceptedCalls = value;
        break;
      case Field.PING_ID:
        this.#own().pingId = value;
        break;
      case Field.STREAM:
        this.#own().stream = value;
        break;
      default:
    }
  }

  #setBytes(field: number, buffer: Buffer, start: number, end: number): string | undefined {
    switch (field) {
      case Field.SERVICE_NAME:
        this.#own().serviceName = buffer.toString("utf8", start, end);
        break;
      case Field.METHOD_NAME:
        this.#own().methodName = buffer.toString("utf8", start, end);
        break;
      case Field.MESSAGE:
        this.#own().message = buffer.toString("utf8", start, end);
        break;
      case Field.IDEMPOTENCY_KEY:
        this.#own().idempotencyKey = buffer.toString("utf8", start, end);
        break;
      case Field.METADATA:
        if (this.#packEntry(buffer, start, end)) break;
        return this.#readPart(field, buffer, start, end);
      case Field.DETAILS:
      case Field.SETTINGS:
      case Field.TRAILERS:
        return this.#readPart(field, buffer, start, end);
      default:
    }
    return undefined;
  }

  /** Keeps an entry of metadata as bytes, if it is a plain one next to those that are kept already. */
  #packEntry(buffer: Buffer, start: number, end: number): boolean {
    if (!isPlainEntry(buffer, start, end)) return false;
    if (this.#packedCount === 0) {
      if (this.rare.metadata !== undefined) return false;
      this.#packedStart = start;
    } else if (start !== this.#packedEnd + 1 + varintBytes(end - start)) return false;
    this.#packedEnd = end;
    this.#packedCount++;
    return true;
  }

  #unpackLater(buffer: Buffer): void {
    const packed = new PackedMetadata(this.#packedCount, buffer, this.#packedStart, this.#packedEnd);
    this.#packedCount = 0;
    this.#own().metadata = Metadata.unread(packed);
  }

  #readPart(field: number, buffer: Buffer, start: number, end: number): string | undefined {
    if (field === Field.METADATA && this.#packedCount > 0) this.#unpackLater(buffer);
    try {
      this.#setPart(field, this.#reader.reset(buffer, start, end, true), end);
    } catch (error) {
      // The message may contain bytes from the peer, so keep it short for the log.
      return `header field ${field}: ${(error as Error).message.slice(0, 200)}`;
    }
    this.#reader.release();
    return undefined;
  }

  #setPart(field: number, reader: Reader, end: number): void {
    const rare = this.#own();
    if (field === Field.METADATA) {
      rare.metadata ??= new Metadata();
      readMetadataEntry(reader, end, rare.metadata);
    } else if (field === Field.TRAILERS) {
      rare.trailers ??= new Metadata();
      readMetadataEntry(reader, end, rare.trailers);
    } else if (field === Field.DETAILS) {
      rare.details ??= [];
      rare.details.push(readDetail(reader, end));
    } else {
      rare.settings = readSettings(reader, end);
    }
  }

  #own(): RareFields {
    if (this.rare === noRareFields) this.rare = {};
    return this.rare;
  }
}

function readDetail(reader: Reader, end: number): ErrorDetail {
  const detail: ErrorDetail = { type: "", value: emptyBytes };
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === 0x0a) detail.type = reader.string();
    else if (tag === 0x12) detail.value = reader.bytes();
    else reader.skipField(tag);
  }
  return detail;
}

function readSettings(reader: Reader, end: number): Settings {
  const settings: Settings = { ...settingsUnknown, bodyMaxBytes: 0, maxInFlight: 0, headerMaxBytes: 0 };
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === 0x08) settings.bodyMaxBytes = reader.uint32();
    else if (tag === 0x10) settings.maxInFlight = reader.uint32();
    else if (tag === 0x18) settings.headerMaxBytes = reader.uint32();
    else if (tag === 0x20) settings.chunks = reader.bool();
    else if (tag === 0x28) settings.arrivingMax = reader.uint32();
    else if (tag === 0x30) settings.arrivingMaxBytes = reader.uint32();
    else reader.skipField(tag);
  }
  // A limit of 0 was not given.
  if (settings.bodyMaxBytes === 0) settings.bodyMaxBytes = settingsUnknown.bodyMaxBytes;
  if (settings.headerMaxBytes === 0) settings.headerMaxBytes = settingsUnknown.headerMaxBytes;
  if (settings.arrivingMax === 0) settings.arrivingMax = settingsUnknown.arrivingMax;
  if (settings.arrivingMaxBytes === 0) settings.arrivingMaxBytes = settingsUnknown.arrivingMaxBytes;
  return settings;
}

/** Appends the fields of `rare`, in field order. */
export function writeRareFields(writer: Writer, rare: RareFields): void {
  const { serviceName, methodName, message, metadata, details, executed } = rare;
  const { idempotencyKey, settings, acceptedCalls, pingId, stream, credit, trailers, authorization } = rare;
  if (serviceName !== undefined) writer.uint32((Field.SERVICE_NAME << 3) | 2).string(serviceName);
  if (methodName !== undefined) writer.uint32((Field.METHOD_NAME << 3) | 2).string(methodName);
  if (message !== undefined && message !== "") writer.uint32((Field.MESSAGE << 3) | 2).string(message);
  if (metadata !== undefined) writeMetadata(writer, Field.METADATA, metadata);
  if (authorization !== undefined) {
    writeMetadataEntry(writer, (Field.METADATA << 3) | 2, "authorization", authorization);
  }
  for (const detail of details ?? []) {
    writer.uint32((Field.DETAILS << 3) | 2);
    const mark = writer.begin();
    writer.uint32(0x0a).string(detail.type).uint32(0x12).bytes(detail.value).end(mark);
  }
  if (executed !== undefined && executed !== "maybe") {
    writer.uint32(Field.EXECUTED << 3).uint32(executedNames.indexOf(executed));
  }
  if (idempotencyKey !== undefined) writer.uint32((Field.IDEMPOTENCY_KEY << 3) | 2).string(idempotencyKey);
  if (settings !== undefined) {
    writer.uint32((Field.SETTINGS << 3) | 2);
    const mark = writer.begin();
    writeSettings(writer, settings);
    writer.end(mark);
  }
  if (acceptedCalls !== undefined) writer.uint32(Field.ACCEPTED_CALLS << 3).uint32(acceptedCalls);
  if (pingId !== undefined) writer.uint32(Field.PING_ID << 3).uint32(pingId);
  if (credit !== undefined && credit !== 0) writer.uint32(Field.CREDIT << 3).uint32(credit);
  if (stream !== undefined && stream !== 0) writer.uint32(Field.STREAM << 3).uint32(stream);
  if (trailers !== undefined) writeMetadata(writer, Field.TRAILERS, trailers);
}

/** A limit too large for the wire is sent as the largest value it can hold. */
const limitMax = 0xffff_ffff;

function writeSettings(writer: Writer, settings: Settings): void {
  const { bodyMaxBytes, maxInFlight, headerMaxBytes, chunks, arrivingMax, arrivingMaxBytes } = settings;
  const limit = (tag: number, value: number): void => {
    writer.uint32(tag).uint32(Math.min(value, limitMax));
  };
  limit(0x08, bodyMaxBytes);
  if (maxInFlight > 0) limit(0x10, maxInFlight);
  limit(0x18, headerMaxBytes);
  if (!chunks) return;
  writer.uint32(0x20).bool(true);
  if (arrivingMax > 0) limit(0x28, arrivingMax);
  if (arrivingMaxBytes > 0) limit(0x30, arrivingMaxBytes);
}

function writeMetadata(writer: Writer, field: number, metadata: Metadata): void {
  const { flat } = metadata;
  for (let i = 0; i < flat.length; i += 2) {
    writeMetadataEntry(writer, (field << 3) | 2, flat[i] as string, flat[i + 1] as string | Buffer);
  }
}
