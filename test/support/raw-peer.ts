import type { Address } from "../../src/base/address.js";
import { Reader } from "../../src/protobuf/reader.js";
import { encodeMessage } from "../../src/protobuf/types.js";
import { FrameDecoder } from "../../src/protocol/mprpc/wire/frame-decoder.js";
import { FrameEncoder } from "../../src/protocol/mprpc/wire/frame-encoder.js";
import type { RareFields } from "../../src/protocol/mprpc/wire/header.js";
import { type FrameHeader, Kind } from "../../src/protocol/mprpc/wire/header.js";
import { MessageBody } from "../../src/protocol/mprpc/wire/message-body.js";
import type { Connection, ConnectionHandler, Transport } from "../../src/transport/transport.js";
import { guarded } from "../tools/wait.js";
import { Blob, type BlobInput } from "./gen/probe.js";

export interface RawFrame {
  kind: number;
  callId: number;
  methodIndex: number;
  timeoutMs: number;
  status: number;
  credit: number;
  rare: RareFields;
  body: Buffer;
  /** Of a message in chunks: its size as announced, and what became of it. */
  messageSize: number;
  message: Buffer | "given up" | undefined;
}

const wide = { headerMaxBytes: 1 << 20, bodyMaxBytes: 1 << 30 };

/** One end of a connection whose every frame the test sees and makes itself. */
export class RawPeer implements ConnectionHandler {
  readonly connection: Connection;
  readonly frames: RawFrame[] = [];
  readonly chunks: Buffer[] = [];
  ended = false;
  closed = false;
  closeError: Error | undefined;
  readonly #decoder = new FrameDecoder(wide);
  readonly #decodes: boolean;
  #wake = (): void => {};

  /** `decodes`: false for a wire that is not mprpc/2. */
  constructor(connection: Connection, decodes = true) {
    this.connection = connection;
    this.#decodes = decodes;
    connection.setHandler(this);
  }

  static async connect(transport: Transport, address: Address, decodes = true): Promise<RawPeer> {
    return new RawPeer(await transport.connect(address, { timeoutMs: 5000 }), decodes);
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  onData(chunk: Buffer): void {
    this.chunks.push(Buffer.from(chunk));
    if (this.#decodes) this.#decode(chunk);
    this.#wake();
  }

  #decode(chunk: Buffer): void {
    const malformed = this.#decoder.push(chunk, {
      onFrame: (header, buffer, start, end) => {
        this.#keep(header, Buffer.from(buffer.subarray(start, end)));
      },
      onOversized: (header) => void this.#keep(header, Buffer.alloc(0)),
      onOpening: (header) => {
        const frame = this.#keep(header, Buffer.alloc(0));
        return {
          onEnd: (body) => {
            frame.message = body ?? "given up";
          },
        };
      },
    });
    if (malformed !== undefined) throw new Error(`the peer sent malformed bytes: ${malformed}`);
  }

  #keep(header: FrameHeader, body: Buffer): RawFrame {
    const { kind, callId, methodIndex, timeoutMs, status, credit, rare, messageSize } = header;
    const frame: RawFrame = {
      ...{ kind, callId, methodIndex, timeoutMs, status, credit, messageSize },
      ...{ rare: { ...rare }, body, message: undefined },
    };
    this.frames.push(frame);
    return frame;
  }

  onEnd(): void {
    this.ended = true;
    this.#wake();
  }

  onDrain(): void {}

  onClose(error: Error | undefined): void {
    this.closed = true;
    this.closeError = error;
    this.#wake();
  }

  /** Resolves when `test` holds. */
  async until(what: string, test: () => boolean): Promise<void> {
    const met = async (): Promise<void> => {
      while (!test()) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    };
    await guarded(met(), what, () => ({
      frames: this.frames.map(({ kind, callId, status }) => ({ kind, callId, status })),
      bytes: this.bytes.length,
      ended: this.ended,
      closed: this.closed,
    }));
  }

  /** The first frame of `kind` (and of `callId`), waited for. */
  async frame(kind: number, callId?: number): Promise<RawFrame> {
    const find = () =>
      this.frames.find((one) => one.kind === kind && (callId === undefined || one.callId === callId));
    await this.until(
      `a frame of kind ${kind}${callId === undefined ? "" : ` for call ${callId}`}`,
      () => find() !== undefined,
    );
    return find() as RawFrame;
  }

  async end(): Promise<void> {
    await this.until("the end of the connection", () => this.ended || this.closed);
  }

  send(...parts: Uint8Array[]): void {
    this.connection.write(Buffer.concat(parts));
  }
}

/** One frame as bytes. */
export function controlFrame(kind: number, callId = 0, rare?: RareFields): Buffer {
  const encoder = new FrameEncoder();
  encoder.control(kind, callId, rare);
  return encoder.writer.finish();
}

/** Of a caller; `maxInFlight` of a provider. */
export function settingsFrame(maxInFlight = 0): Buffer {
  return controlFrame(Kind.SETTINGS, 0, {
    settings: { bodyMaxBytes: 4 << 20, maxInFlight, headerMaxBytes: 64 << 10 },
  } as RareFields);
}

export function callFrame(init: {
  id: number;
  index?: number;
  timeoutMs?: number;
  rare?: RareFields;
  body?: BlobInput | Buffer;
}): Buffer {
  const { id, index = 0, timeoutMs = -1, rare, body = {} } = init;
  const encoder = new FrameEncoder();
  encoder.beginCall(id, index, timeoutMs, rare, 1);
  appendBody(encoder, body);
  encoder.endBody();
  encoder.keepBody();
  return encoder.writer.finish();
}

export function replyFrame(init: {
  id: number;
  status?: number;
  rare?: RareFields;
  body?: BlobInput | Buffer;
}): Buffer {
  const { id, status = 0, rare, body = {} } = init;
  const encoder = new FrameEncoder();
  encoder.beginReply(id, status, rare, 1);
  appendBody(encoder, body);
  encoder.endBody();
  encoder.keepBody();
  return encoder.writer.finish();
}

/** A message of a stream. */
export function messageFrame(id: number, body: Buffer = Buffer.alloc(0)): Buffer {
  const encoder = new FrameEncoder();
  encoder.beginMessage(id, 1);
  encoder.writer.raw(body);
  encoder.endBody();
  encoder.keepBody();
  return encoder.writer.finish();
}

/** A message of a stream that is to come in chunks. */
export function announcedFrame(id: number, sizeBytes: number): Buffer {
  const encoder = new FrameEncoder();
  encoder.beginMessage(id, 1);
  encoder.announceBody(sizeBytes);
  return encoder.writer.finish();
}

export function chunkFrame(id: number, body: Buffer): Buffer {
  const encoder = new FrameEncoder();
  encoder.chunk(id, new MessageBody(body, [body], true), body.length);
  return encoder.writer.finish();
}

function appendBody(encoder: FrameEncoder, body: BlobInput | Buffer): void {
  const bytes = Buffer.isBuffer(body) ? body : encodeMessage(Blob, body);
  const { writer } = encoder;
  writer.ensure(bytes.length);
  bytes.copy(writer.buffer, writer.position);
  writer.position += bytes.length;
}

export function blobOf(frame: RawFrame): Blob {
  return Blob.decode(new Reader(frame.body), frame.body.length);
}

/** A call number: slots count from 1. */
export function callId(slot: number, generation = 0): number {
  return slot * 128 + generation;
}

/** Name fields of a method's first call. */
export const echoNames = { serviceName: "probe.ProbeService", methodName: "Echo" };
