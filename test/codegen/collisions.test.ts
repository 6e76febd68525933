import path from "node:path";
import { decodeMessage, encodeMessage, type MessageType, type ServiceDefinition } from "mprpc/codec";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Generated, generateAndImport, protoFolder } from "./generated.js";

/** Names that TypeScript has taken, and names that would be the same: each is found again, none is lost or refused. */
let generated: Generated;

beforeAll(async () => {
  generated = await generateAndImport([path.join(protoFolder, "collisions.proto")]);
});

afterAll(() => generated.remove());

const members = (): MessageType<unknown, unknown> => generated.type("Members");

test("each member has a property of its own", () => {
  const message = {
    ...{ fooBar$: 1, fooBar: 2, self: 3, self$: 4, payKind: 5, constructor$: 10, Proto: 11, toString$: 12 },
    ...{ payKind$: { case: "aB$", value: 8 }, ["then" as string]: 13, message: [15], writer: 16, reader: 17 },
    hasOwnProperty$: new Map([["a", "b"]]),
  };
  const bytes = encodeMessage(members(), message);
  expect(decodeMessage(members(), bytes)).toEqual(message);
  expect(bytes.subarray(0, 10).toString("hex")).toBe("08011002180320042805");
});

test("the cases of a oneof have names of their own", () => {
  for (const [name, number] of [
    ["default", 6],
    ["packed", 7],
    ["aB$", 8],
    ["aB", 9],
  ] as const) {
    const bytes = encodeMessage(members(), { payKind$: { case: name, value: 1 } });
    expect(bytes[0]).toBe(number * 8);
  }
});

test("types keep apart from words, from each other, and from what is derived", () => {
  const names = Object.keys(generated.module("collisions.ts"));
  for (const word of ["keyof", "readonly", "infer", "unique", "asserts", "satisfies", "out", "Extension"]) {
    expect(names).toContain(`${word}$`);
  }
  expect((generated.type("Outer_Inner") as MessageType).typeName).toBe("lang.Outer_Inner");
  expect((generated.type("Outer_Inner$") as MessageType).typeName).toBe("lang.Outer.Inner");
  expect((generated.type("OuterInput") as MessageType).typeName).toBe("lang.OuterInput");
});

test("methods keep apart, and streams have their kinds", () => {
  const { methods } = generated.module("collisions.ts").Calls as ServiceDefinition;
  expect(
    Object.fromEntries(Object.values(methods).map(({ localName, name, kind }) => [localName, [name, kind]])),
  ).toEqual({
    ...{
      stream: ["stream", "unary"],
      then$: ["then", "unary"],
      doIt$: ["do_it", "unary"],
      doIt: ["doIt", "unary"],
    },
    ...{
      watch: ["Watch", "server_streaming"],
      put: ["Put", "client_streaming"],
      chat: ["Chat", "bidi_streaming"],
    },
  });
});
