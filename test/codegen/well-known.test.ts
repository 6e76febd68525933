import path from "node:path";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import {
  anyPack,
  anyUnpack,
  decodeMessage,
  durationFromMs,
  durationToMs,
  encodeMessage,
  type JsonValue,
  type MessageType,
  structFromJson,
  structToJson,
  timestampFromDate,
  timestampToDate,
  valueFromJson,
  valueToJson,
} from "mprpc/codec";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadDescriptors } from "../../src/descriptor/load.js";
import type { ProtoFile } from "../../src/protobuf/file.js";
import { exampleFolder, type Generated, generateAndImport, protoFolder } from "./generated.js";

let generated: Generated;

beforeAll(async () => {
  generated = await generateAndImport(
    [
      path.join(protoFolder, "known.proto"),
      path.join(protoFolder, "kinds.proto"),
      path.join(exampleFolder, "user.proto"),
    ],
    { importPaths: [protoFolder, exampleFolder], fieldNames: "keep" },
  );
});

afterAll(() => generated.remove());

function roundTrip<T>(type: string, message: T): T {
  const found = generated.type(type) as MessageType<T, T>;
  return decodeMessage(found, encodeMessage(found, message));
}

describe("well-known types", () => {
  it("are generated beside, in camel case whatever is asked for the rest", () => {
    expect(generated.files.map((file) => file.path)).toContain("google/protobuf/timestamp.ts");
    expect(generated.files.map((file) => file.path)).not.toContain("google/protobuf/descriptor.ts");
    expect(generated.type("Any").create()).toEqual({ typeUrl: "", value: Buffer.alloc(0) });
    expect(generated.type("Known").create()).toHaveProperty("field_mask");
  });

  it("Timestamp and Date", () => {
    for (const ms of [0, 1, 999, 1_000, -1, -1_000, -1_500, 1_700_000_000_123, 8.64e15]) {
      const timestamp = timestampFromDate(new Date(ms));
      expect(timestamp.nanos).toBeGreaterThanOrEqual(0);
      expect(timestampToDate(roundTrip("Timestamp", timestamp)).getTime()).toBe(ms);
    }
    expect(() => timestampFromDate(new Date(Number.NaN))).toThrow(RangeError);
    expect(() => timestampToDate({ seconds: 2n ** 60n, nanos: 0 })).toThrow(RangeError);
  });

  it("a Date is taken for a Timestamp, alone, in fields and by create; a number is not", () => {
    const date = new Date(-1_500);
    const parts = { seconds: -2n, nanos: 500_000_000 };
    expect(roundTrip<unknown>("Timestamp", date)).toEqual(parts);
    expect(roundTrip<unknown>("Timestamp", runInNewContext("new Date(-1500)"))).toEqual(parts);
    expect(roundTrip<unknown>("Known", { timestamp: date, times: [date, parts] })).toMatchObject({
      timestamp: parts,
      times: [parts, parts],
    });
    expect(generated.type("Timestamp").create(date)).toEqual(parts);
    expect(generated.type("Known").create({ timestamp: date, times: [date] })).toMatchObject({
      timestamp: parts,
      times: [parts],
    });
    expect(() => roundTrip("Timestamp", new Date(Number.NaN))).toThrow(RangeError);
    expect(() => roundTrip<unknown>("Known", { timestamp: 1_700_000_000_000 })).toThrow(
      "Known.timestamp: expected a message (an object), got number (1700000000000): a google.protobuf.Timestamp takes a Date",
    );
    expect(() => roundTrip<unknown>("Known", { timestamp: "2024-02-29T12:00:00Z" })).toThrow(
      /^Known\.timestamp: .* got string: a google\.protobuf\.Timestamp takes a Date, new Date\(\.\.\.\)$/,
    );
    expect(() => roundTrip<unknown>("Known", { timestamp: "soon" })).toThrow(/got string$/);
    expect(() => roundTrip<unknown>("Known", { duration: date })).toThrow("got Date");
  });

  it("Duration and milliseconds", () => {
    for (const ms of [0, 0.5, 1, 1_500, -1, -1_500.25, 1e12]) {
      const duration = durationFromMs(ms);
      expect(Math.sign(duration.nanos) * Math.sign(ms)).toBeGreaterThanOrEqual(0);
      expect(durationToMs(roundTrip("Duration", duration))).toBe(ms);
    }
    expect(durationFromMs(999.9999999)).toEqual({ seconds: 1n, nanos: 0 });
    expect(durationFromMs(-0.0000001)).toEqual({ seconds: 0n, nanos: 0 });
    expect(() => durationFromMs(Number.POSITIVE_INFINITY)).toThrow(RangeError);
  });

  it("Any carries a message with its type", () => {
    const login = generated.type("LoginRequest");
    const any = roundTrip("Any", anyPack(login, { name: "zhang san" }));
    expect(any.typeUrl).toBe("type.googleapis.com/fixbug.LoginRequest");
    expect(anyUnpack(login, any)).toEqual(login.create({ name: "zhang san" }));
    expect(anyUnpack(generated.type("Scalars"), any)).toBeUndefined();
  });

  it("Struct and Value are JSON", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (json) => {
        const value = json as JsonValue;
        expect(valueToJson(roundTrip("Value", valueFromJson(value)))).toEqual(value);
      }),
    );
    const hostile = JSON.parse('{"__proto__": {"admin": true}, "a": null}') as Record<string, JsonValue>;
    const back = structToJson(roundTrip("Struct", structFromJson(hostile)));
    expect(JSON.stringify(back)).toBe('{"__proto__":{"admin":true},"a":null}');
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
    expect(structFromJson({ a: undefined }).fields.size).toBe(0);
    expect(() => valueFromJson((() => 1) as never)).toThrow("function is no JSON value");
  });
});

describe("descriptors", () => {
  it("are enough for protobufjs to make the same bytes, without generated code", () => {
    const { KnownService } = generated.module("known.ts") as { KnownService: { descriptors: Uint8Array[] } };
    const { kindsProto } = generated.module("kinds.ts") as { kindsProto: ProtoFile };
    const { sharedProto } = generated.module("nested/shared.ts") as { sharedProto: ProtoFile };
    const { root } = loadDescriptors([
      ...KnownService.descriptors,
      kindsProto.descriptor,
      sharedProto.descriptor,
    ]);
    expect(root.lookupService("test.known.KnownService").methods.Ping?.requestType).toBe(
      ".google.protobuf.Empty",
    );
    const known = root.lookupType("test.known.Known");
    const message = known.fromObject({ times: [{ seconds: 5 }], field_mask: { paths: ["a"] } });
    const ours = encodeMessage(generated.type("Known"), {
      times: [{ seconds: 5 }],
      field_mask: { paths: ["a"] },
    });
    expect(Buffer.from(known.encode(message).finish()).toString("hex")).toBe(ours.toString("hex"));
    const lists = root.lookupType("test.kinds.Lists");
    const list = { int32s: [1, 2], loose: [3, 4], colors: [1] };
    expect(Buffer.from(lists.encode(lists.fromObject(list)).finish()).toString("hex")).toBe(
      encodeMessage(generated.type("Lists"), list).toString("hex"),
    );
    const optionals = root.lookupType("test.kinds.Optionals");
    expect(
      Buffer.from(optionals.encode(optionals.fromObject({ an_int32: 0 })).finish()).toString("hex"),
    ).toBe("1800");
    const scalars = root.lookupType("test.kinds.Scalars");
    expect(scalars.encode(scalars.fromObject({ an_int32: 0 })).finish()).toHaveLength(0);
  });
});
