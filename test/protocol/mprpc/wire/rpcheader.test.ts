import { fileURLToPath } from "node:url";
import fc from "fast-check";
import protobuf from "protobufjs";
import { describe, expect, test } from "vitest";
import { Status } from "../../../../src/error/status.js";
import { Reader } from "../../../../src/protobuf/reader.js";
import type { MessageType, ServiceDefinition } from "../../../../src/protobuf/types.js";
import { Writer } from "../../../../src/protobuf/writer.js";
import { Field, FrameHeader, Kind } from "../../../../src/protocol/mprpc/wire/header.js";
import { Health, Reflection, ServingStatus } from "../../../../src/services/builtin.js";
import { describeFrame, encodedFrame, hex, protoFolder, type VectorFrame, vectors } from "./vectors.js";

const load = (name: string): protobuf.Root =>
  new protobuf.Root().loadSync(fileURLToPath(new URL(name, protoFolder)), { keepCase: true });

const root = load("rpcheader.proto");
const RpcHeader = root.lookupType("mprpc.wire.v2.RpcHeader");
const kinds = root.lookupEnum("mprpc.wire.v2.Kind");
const statuses = root.lookupEnum("mprpc.wire.v2.Status");

/** What protobufjs decoded, in the words of the vectors. Proto3 leaves zeros out, so the vectors' zeros go too. */
function fromProtobuf(bytes: Uint8Array): VectorFrame {
  const plain = RpcHeader.toObject(RpcHeader.decode(bytes), { enums: String, bytes: Buffer });
  const frame: Record<string, unknown> = { ...plain, kind: String(plain.kind).replace("KIND_", "") };
  delete frame.args_size;
  for (const name of ["service_name", "method_name"]) {
    if (frame[name] !== undefined) frame[name] = String(frame[name]);
  }
  if (plain.executed !== undefined) frame.executed = plain.executed.replace("EXECUTED_", "");
  for (const name of ["metadata", "trailers"]) {
    if (plain[name] === undefined) continue;
    frame[name] = plain[name].map(({ key, text, binary }: { key: string; text?: string; binary?: Buffer }) =>
      binary === undefined ? { key, text } : { key, binary: binary.toString("hex") },
    );
  }
  if (plain.details !== undefined) {
    frame.details = plain.details.map(({ type, value }: { type?: string; value?: Buffer }) => ({
      type: type ?? "",
      value: value?.toString("hex") ?? "",
    }));
  }
  if (plain.settings !== undefined) frame.settings = { max_in_flight: 0, ...plain.settings };
  return frame as unknown as VectorFrame;
}

const headerOf = (frame: Buffer): Buffer => frame.subarray(4, 4 + frame.readUInt32LE(0));

describe("proto/rpcheader.proto", () => {
  test("has the fields, kinds and codes of the code, by number and name", () => {
    const fields = Object.fromEntries(RpcHeader.fieldsArray.map(({ name, id }) => [name.toUpperCase(), id]));
    expect(fields).toEqual(Field);
    const expected = Object.entries(Kind).map(([name, id]) => [`KIND_${name}`, id]);
    expect(kinds.values).toEqual(Object.fromEntries([["KIND_NONE", 0], ...expected]));
    expect(statuses.values).toEqual(Status);
  });

  test.each(vectors.frames)("protobufjs reads $name", ({ hex: text, frame }) => {
    const { body, ...expected } = frame;
    // A written zero and an absent one are the same to proto3.
    if (expected.accepted_calls === 0) delete expected.accepted_calls;
    const bytes = headerOf(hex(text));
    const message = RpcHeader.decode(bytes) as unknown as { args_size: number };
    expect(message.args_size).toBe((body ?? "").length / 2);
    expect(fromProtobuf(bytes)).toEqual(expected);
  });
});

// --- the other way: what any protobuf library may write, FrameHeader reads ---

const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const text = fc.string({ unit: "grapheme", maxLength: 40 });
const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array));
const key = fc.stringMatching(/^[a-z0-9_.-]{1,20}$/);
const optional = { requiredKeys: ["kind"] as ["kind"] };

const anyHeader = fc.record(
  {
    kind: fc.integer({ min: 1, max: 12 }).filter((kind) => kind !== 11),
    call_id: uint32,
    method_index: uint32,
    timeout_ms: uint32,
    status: fc.integer({ min: 0, max: 16 }),
    args_size: uint32,
    service_name: text,
    method_name: text,
    message: text,
    metadata: fc.array(
      fc.oneof(fc.record({ key, text }), fc.record({ key, binary: bytes.filter((b) => b.length > 0) })),
      {
        maxLength: 4,
      },
    ),
    details: fc.array(fc.record({ type: text, value: bytes }), { maxLength: 3 }),
    executed: fc.integer({ min: 0, max: 2 }),
    trace_context: text,
    idempotency_key: text,
    compression: uint32,
    settings: fc.record({
      body_max_bytes: uint32,
      max_in_flight: uint32,
      header_max_bytes: uint32,
      chunks: fc.boolean(),
      arriving_max: uint32,
      arriving_bytes: uint32,
    }),
    accepted_calls: uint32,
    ping_id: uint32,
    message_size: uint32,
    stream: uint32,
  },
  optional,
);

const fieldNumber = fc.integer({ min: 23, max: 536_870_911 });
const unknownField = fc
  .tuple(fieldNumber, fc.constantFrom(0, 1, 2, 3, 5), bytes)
  .map(([number, wireType, value]) => {
    const writer = new Writer();
    writer.uint32(((number << 3) | wireType) >>> 0);
    if (wireType === 0) writer.uint64(value.length > 7 ? value.readBigUInt64LE() : 5n);
    else if (wireType === 1) writer.fixed64(7n);
    else if (wireType === 2) writer.bytes(value);
    else if (wireType === 5) writer.fixed32(7);
    else
      writer
        .uint32(0x08)
        .uint32(9)
        .uint32(((number << 3) | 4) >>> 0);
    return writer.finish();
  });

/** The fields of an encoded header, each with its tag. */
function fieldsOf(header: Uint8Array): Buffer[] {
  const buffer = Buffer.from(header);
  const reader = new Reader(buffer);
  const fields: Buffer[] = [];
  while (reader.pos < buffer.length) {
    const start = reader.pos;
    reader.skipField(reader.tag());
    fields.push(buffer.subarray(start, reader.pos));
  }
  return fields;
}

test("headers of protobufjs, fields in any order with unknown ones between, are read alike", () => {
  const property = fc.property(
    anyHeader,
    fc.array(unknownField, { maxLength: 4 }),
    fc.infiniteStream(fc.nat()),
    (plain, unknown, random) => {
      const encoded = RpcHeader.encode(RpcHeader.fromObject(withBytes(plain))).finish();
      // Entries of one list keep their order; everything else may stand anywhere.
      const pieces = [...fieldsOf(encoded), ...unknown];
      const isList = (field: Buffer): boolean => field[0] === 0x52 || field[0] === 0x5a;
      const shuffled = pieces
        .map((piece) => ({ piece, at: isList(piece) ? 0.5 : (random.next().value as number) }))
        .sort((a, b) => a.at - b.at)
        .map(({ piece }) => piece);
      const bytesOfHeader = Buffer.concat(shuffled);
      const header = new FrameHeader();
      expect(header.read(bytesOfHeader, 0, bytesOfHeader.length)).toBeUndefined();
      const inOrder = new FrameHeader();
      expect(inOrder.read(Buffer.from(encoded), 0, encoded.length)).toBeUndefined();
      expect(describeFrame(header, Buffer.alloc(0))).toEqual(describeFrame(inOrder, Buffer.alloc(0)));
      expectSame(header, plain);
    },
  );
  fc.assert(property, { numRuns: 300 });
});

function withBytes(plain: Record<string, unknown>): Record<string, unknown> {
  const copy = { ...plain };
  for (const name of ["service_name", "method_name"]) {
    if (copy[name] !== undefined) copy[name] = Buffer.from(copy[name] as string);
  }
  return copy;
}

/** Compares what the code read with what protobufjs was given. */
function expectSame(header: FrameHeader, plain: Partial<Record<string, unknown>>): void {
  expect(header.kind).toBe(plain.kind);
  expect(header.callId).toBe(plain.call_id ?? 0);
  expect(header.methodIndex).toBe(plain.method_index ?? 0);
  expect(header.timeoutMs).toBe(plain.timeout_ms ?? -1);
  expect(header.status).toBe(plain.status ?? 0);
  expect(header.bodySize).toBe(plain.args_size ?? 0);
  const { rare } = header;
  expect(rare.serviceName ?? "").toBe(plain.service_name ?? "");
  expect(rare.methodName ?? "").toBe(plain.method_name ?? "");
  expect(rare.message ?? "").toBe(plain.message ?? "");
  expect(rare.idempotencyKey ?? "").toBe(plain.idempotency_key ?? "");
  expect(rare.compression ?? 0).toBe(plain.compression ?? 0);
  expect(rare.executed ?? "maybe").toBe(["maybe", "never", "yes"][(plain.executed as number) ?? 0]);
  expect(rare.acceptedCalls ?? 0).toBe(plain.accepted_calls ?? 0);
  expect(rare.pingId ?? 0).toBe(plain.ping_id ?? 0);
  const sent = (plain.metadata ?? []) as Array<{ key: string; text?: string; binary?: Buffer }>;
  expect([...(rare.metadata ?? [])]).toEqual(sent.map(({ key, text, binary }) => [key, binary ?? text]));
  const details = (plain.details ?? []) as Array<{ type: string; value: Buffer }>;
  expect((rare.details ?? []).map(({ type, value }) => ({ type, value: Buffer.from(value) }))).toEqual(
    details,
  );
}

test("what the code writes, protobufjs reads: any frame", () => {
  const property = fc.property(
    fc.record(
      {
        kind: fc.constantFrom("CALL", "REPLY"),
        call_id: fc.integer({ min: 1, max: 0xffff_ffff }),
        service_name: text.filter((s) => s !== ""),
        method_name: text.filter((s) => s !== ""),
        message: text.filter((s) => s !== ""),
        metadata: fc.array(fc.record({ key, text }), { minLength: 1, maxLength: 4 }),
        details: fc.array(fc.record({ type: text, value: bytes.map((b) => b.toString("hex")) }), {
          minLength: 1,
          maxLength: 3,
        }),
        executed: fc.constantFrom("NEVER", "YES"),
        idempotency_key: text.filter((s) => s !== ""),
      },
      { requiredKeys: ["kind", "call_id"] },
    ),
    (frame) => {
      expect(fromProtobuf(headerOf(encodedFrame(frame)))).toEqual(frame);
    },
  );
  fc.assert(property, { numRuns: 200 });
});

// --- the built-in services ---

describe.each([
  ["health.proto", Health],
  ["reflection.proto", Reflection],
])("proto/%s", (file, definition: ServiceDefinition) => {
  const service = load(file).lookupService(definition.typeName);

  test("has the methods of the code", () => {
    const methods = Object.values(definition.methods);
    expect(service.methodsArray.map(({ name }) => name)).toEqual(methods.map(({ name }) => name));
    for (const method of methods) {
      const inProto = service.methods[method.name];
      inProto?.resolve();
      expect(inProto?.resolvedRequestType?.fullName).toBe(`.${method.input.typeName}`);
      expect(inProto?.resolvedResponseType?.fullName).toBe(`.${method.output.typeName}`);
      expect(inProto?.options?.idempotency_level?.toLowerCase()).toBe(method.idempotency);
    }
  });

  test("has the messages of the code: what one writes the other reads", () => {
    // That of List is another: an empty message, and a map.
    for (const { input, output, name: method } of Object.values(definition.methods)) {
      if (method === "List") continue;
      for (const type of [input, output] as MessageType[]) {
        const [name, empty] = Object.entries(type.create() as Record<string, unknown>)[0] as [
          string,
          unknown,
        ];
        const list = name === "descriptors" ? [Buffer.from("a"), Buffer.from("b")] : ["a", "b"];
        for (const value of [empty, Array.isArray(empty) ? list : empty === 0 ? 2 : "pkg.Service"]) {
          const ours = new Writer();
          type.encode({ [name]: value }, ours);
          const theirs = service.root.lookupType(type.typeName);
          expect(theirs.encode({ [name]: value }).finish()).toEqual(ours.finish());
          expect(type.decode(new Reader(ours.finish()), ours.position)).toEqual({ [name]: value });
        }
      }
    }
  });
});

test("proto/health.proto has the map of List", () => {
  const theirs = load("health.proto").lookupType("grpc.health.v1.HealthListResponse");
  const { input, output } = Health.methods.list;
  const statuses = new Map([
    ["", { status: ServingStatus.SERVING }],
    ["a.B", { status: ServingStatus.UNKNOWN }],
  ]);
  const ours = new Writer();
  output.encode({ statuses }, ours);
  const read = theirs.toObject(theirs.decode(ours.finish()), { defaults: true });
  expect(read).toEqual({ statuses: Object.fromEntries(statuses) });
  const back = theirs.encode({ statuses: Object.fromEntries(statuses) }).finish();
  expect(output.decode(new Reader(Buffer.from(back)), back.length)).toEqual({ statuses });
  expect(input.decode(new Reader(Buffer.from([0x08, 1])), 2)).toEqual({});
});

test("proto/health.proto has the states of the code", () => {
  const states = load("health.proto").lookupEnum("grpc.health.v1.HealthCheckResponse.ServingStatus");
  expect(states.values).toEqual(ServingStatus);
});
