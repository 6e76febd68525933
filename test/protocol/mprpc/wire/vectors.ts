import { readFileSync } from "node:fs";
import { Metadata } from "../../../../src/base/metadata.js";
import type { ErrorDetail, Executed } from "../../../../src/error/rpc-error.js";
import { Status, type StatusName, statusName } from "../../../../src/error/status.js";
import { FrameDecoder } from "../../../../src/protocol/mprpc/wire/frame-decoder.js";
import { FrameEncoder } from "../../../../src/protocol/mprpc/wire/frame-encoder.js";
import { type FrameHeader, Kind, type RareFields } from "../../../../src/protocol/mprpc/wire/header.js";
import { defaultWireLimits, type WireLimits } from "../../../../src/protocol/mprpc/wire/limits.js";

/** A frame in the words of proto/vectors.json: field names of rpcheader.proto, enum names, bytes in hex. */
export interface VectorFrame {
  kind: string;
  call_id?: number;
  method_index?: number;
  timeout_ms?: number;
  status?: StatusName;
  service_name?: string;
  method_name?: string;
  message?: string;
  metadata?: Array<{ key: string; text?: string; binary?: string }>;
  details?: Array<{ type: string; value: string }>;
  executed?: string;
  idempotency_key?: string;
  compression?: number;
  settings?: {
    body_max_bytes: number;
    max_in_flight: number;
    header_max_bytes: number;
    chunks?: true;
    arriving_max?: number;
    arriving_bytes?: number;
  };
  accepted_calls?: number;
  ping_id?: number;
  stream?: number;
  credit?: number;
  trailers?: Array<{ key: string; text?: string; binary?: string }>;
  message_size?: number;
  /** Hex; absent when it is empty or was passed over. */
  body?: string;
  /** Size of a body that was over the limit and therefore passed over. */
  oversized?: number;
}

export interface Vectors {
  frames: Array<{ name: string; hex: string; frame: VectorFrame }>;
  decodeOnly: Array<{ name: string; hex: string; bodyMaxBytes?: number; frames: VectorFrame[] }>;
  malformed: Array<{ name: string; hex: string; reason: string }>;
  malformedLater: Array<{ name: string; hex: string; reason: string }>;
  detection: Array<{ name: string; hex: string; result: string }>;
  classic: Array<{
    name: string;
    dialect: "le32" | "be32" | "varint" | "framed";
    service: string;
    method: string;
    request: string;
    args: string;
    reply: string;
    response: string;
    keptOpen: boolean;
  }>;
  classicMalformed: Array<{ name: string; dialect: "le32" | "be32" | "varint" | "framed"; hex: string }>;
}

export const protoFolder = new URL("../../../../proto/", import.meta.url);
export const vectors: Vectors = JSON.parse(readFileSync(new URL("vectors.json", protoFolder), "utf8"));

export const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ""), "hex");

const kindNames = new Map<number, string>(Object.entries(Kind).map(([name, kind]) => [kind, name]));

const kindName = (kind: number): string => kindNames.get(kind) ?? String(kind);

type Entries = NonNullable<VectorFrame["metadata"]>;

const entriesOf = (metadata: Metadata): Entries =>
  [...metadata].map(([key, value]) =>
    typeof value === "string" ? { key, text: value } : { key, binary: value.toString("hex") },
  );

function metadataOf(entries: Entries): Metadata {
  const metadata = new Metadata();
  for (const { key, text, binary } of entries) {
    metadata.append(key, binary === undefined ? (text ?? "") : hex(binary));
  }
  return metadata;
}

/** What a decoder gave, in the words of the vectors. */
export function describeFrame(header: FrameHeader, body: Buffer): VectorFrame {
  const { rare } = header;
  const frame: VectorFrame = { kind: kindName(header.kind) };
  if (header.callId !== 0) frame.call_id = header.callId;
  if (header.methodIndex !== 0) frame.method_index = header.methodIndex;
  if (header.timeoutMs >= 0) frame.timeout_ms = header.timeoutMs;
  if (header.status !== 0) frame.status = statusName(header.status);
  if (rare.serviceName !== undefined) frame.service_name = rare.serviceName;
  if (rare.methodName !== undefined) frame.method_name = rare.methodName;
  if (rare.message !== undefined) frame.message = rare.message;
  if (rare.metadata !== undefined) frame.metadata = entriesOf(rare.metadata);
  if (rare.trailers !== undefined) frame.trailers = entriesOf(rare.trailers);
  if (rare.details !== undefined) {
    frame.details = rare.details.map(({ type, value }) => ({
      type,
      value: Buffer.from(value).toString("hex"),
    }));
  }
  if (rare.executed !== undefined) frame.executed = rare.executed.toUpperCase();
  if (rare.idempotencyKey !== undefined) frame.idempotency_key = rare.idempotencyKey;
  if (rare.compression !== undefined) frame.compression = rare.compression;
  if (rare.settings !== undefined) {
    const { bodyMaxBytes, maxInFlight, headerMaxBytes, chunks, arrivingMax, arrivingMaxBytes } =
      rare.settings;
    frame.settings = {
      body_max_bytes: bodyMaxBytes,
      max_in_flight: maxInFlight,
      header_max_bytes: headerMaxBytes,
      ...(chunks ? { chunks, arriving_max: arrivingMax, arriving_bytes: arrivingMaxBytes } : {}),
    };
  }
  if (rare.acceptedCalls !== undefined) frame.accepted_calls = rare.acceptedCalls;
  if (rare.pingId !== undefined) frame.ping_id = rare.pingId;
  if (rare.stream !== undefined) frame.stream = rare.stream;
  if (header.credit > 0) frame.credit = header.credit;
  if (header.messageSize > 0) frame.message_size = header.messageSize;
  if (body.length > 0) frame.body = body.toString("hex");
  return frame;
}

function rareOf(frame: VectorFrame): RareFields | undefined {
  const rare: RareFields = {};
  if (frame.service_name !== undefined) rare.serviceName = frame.service_name;
  if (frame.method_name !== undefined) rare.methodName = frame.method_name;
  if (frame.message !== undefined) rare.message = frame.message;
  if (frame.metadata !== undefined) rare.metadata = metadataOf(frame.metadata);
  if (frame.trailers !== undefined) rare.trailers = metadataOf(frame.trailers);
  if (frame.credit !== undefined) rare.credit = frame.credit;
  if (frame.details !== undefined) {
    rare.details = frame.details.map(({ type, value }): ErrorDetail => ({ type, value: hex(value) }));
  }
  if (frame.executed !== undefined) rare.executed = frame.executed.toLowerCase() as Executed;
  if (frame.idempotency_key !== undefined) rare.idempotencyKey = frame.idempotency_key;
  if (frame.settings !== undefined) {
    const { body_max_bytes, max_in_flight, header_max_bytes, chunks = false } = frame.settings;
    const { arriving_max = 0, arriving_bytes = 0 } = frame.settings;
    rare.settings = {
      bodyMaxBytes: body_max_bytes,
      maxInFlight: max_in_flight,
      headerMaxBytes: header_max_bytes,
      chunks,
      arrivingMax: arriving_max,
      arrivingMaxBytes: arriving_bytes,
    };
  }
  if (frame.accepted_calls !== undefined) rare.acceptedCalls = frame.accepted_calls;
  if (frame.stream !== undefined) rare.stream = frame.stream;
  if (frame.ping_id !== undefined) rare.pingId = frame.ping_id;
  return Object.keys(rare).length === 0 ? undefined : rare;
}

/** Appends a frame as the library writes it. */
export function encodeFrame(encoder: FrameEncoder, frame: VectorFrame, sizeBytesGuess = 1): void {
  const rare = rareOf(frame);
  const callId = frame.call_id ?? 0;
  if (frame.kind === "CALL") {
    encoder.beginCall(callId, frame.method_index ?? 0, frame.timeout_ms ?? -1, rare, sizeBytesGuess);
  } else if (frame.kind === "REPLY") {
    encoder.beginReply(callId, Status[frame.status ?? "OK"], rare, sizeBytesGuess);
  } else if (frame.kind === "MESSAGE") {
    encoder.beginMessage(callId, sizeBytesGuess);
  } else {
    encoder.control(Kind[frame.kind as keyof typeof Kind], callId, rare);
    return;
  }
  const { message_size: sizeBytes } = frame;
  encoder.writer.raw(sizeBytes === undefined ? hex(frame.body ?? "") : Buffer.alloc(sizeBytes));
  encoder.endBody();
  if (sizeBytes !== undefined) encoder.detachBody();
  else encoder.keepBody();
}

export function encodedFrame(frame: VectorFrame): Buffer {
  const encoder = new FrameEncoder();
  encodeFrame(encoder, frame);
  return encoder.writer.finish();
}

export interface Decoded {
  frames: VectorFrame[];
  malformed: string | undefined;
}

/** Decodes `chunks` one after the other. */
export function decodeChunks(chunks: Iterable<Buffer>, limits: Partial<WireLimits> = {}): Decoded {
  const frames: VectorFrame[] = [];
  const decoder = new FrameDecoder({ ...defaultWireLimits, ...limits });
  const sink = {
    onFrame(header: FrameHeader, buffer: Buffer, start: number, end: number) {
      frames.push(describeFrame(header, buffer.subarray(start, end)));
    },
    onOversized(header: FrameHeader, sizeBytes: number) {
      frames.push({ ...describeFrame(header, Buffer.alloc(0)), oversized: sizeBytes });
    },
    onOpening(header: FrameHeader) {
      const opening = describeFrame(header, Buffer.alloc(0));
      frames.push(opening);
      const { call_id } = opening;
      const of = call_id === undefined ? {} : { call_id };
      return {
        onEnd: (body: Buffer | undefined) => {
          frames.push(
            body === undefined
              ? { kind: "GIVEN_UP", ...of }
              : { kind: "WHOLE", ...of, body: body.toString("hex") },
          );
        },
      };
    },
  };
  for (const chunk of chunks) {
    const malformed = decoder.push(chunk, sink);
    if (malformed !== undefined) return { frames, malformed };
  }
  return { frames, malformed: undefined };
}

/** `bytes` cut at the given offsets. */
export function cutAt(bytes: Buffer, ...offsets: number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let from = 0;
  for (const to of [...offsets, bytes.length]) {
    pieces.push(bytes.subarray(from, to));
    from = to;
  }
  return pieces;
}

/** `bytes` in pieces of `size`; each piece has memory of its own, as sockets give it. */
export function inPieces(bytes: Buffer, size: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(Buffer.from(bytes.subarray(at, at + size)));
  return pieces;
}
