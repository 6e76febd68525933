import path from "node:path";
import { decodeMessage, encodeMessage } from "mprpc/codec";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exampleFolder, type Generated, generateAndImport } from "./generated.js";

let generated: Generated;

beforeAll(async () => {
  generated = await generateAndImport(
    ["user.proto", "friend.proto"].map((file) => path.join(exampleFolder, file)),
  );
});

afterAll(() => generated.remove());

describe("the classic protos", () => {
  const captured: Array<[type: string, message: unknown, hex: string]> = [
    ["LoginRequest", { name: "Zhang San", pwd: "123456" }, "0a095a68616e672053616e1206313233343536"],
    ["LoginResponse", { result: { errcode: 0, errmsg: "" }, success: true }, "0a001001"],
    [
      "RegisterRequest",
      { id: 2000, name: "Zhang Duoduo", pwd: "666666" },
      "08d00f120c5a68616e672044756f64756f1a06363636363636",
    ],
    ["GetFriendsListRequest", { userid: 1 }, "0801"],
    [
      "GetFriendsListResponse",
      { result: {}, friends: ["zhang san", "li si", "wang wu"] },
      "0a0012097a68616e672073616e12056c69207369120777616e67207775",
    ],
  ];

  it.each(captured)("%s has the bytes of the C++ program", (name, message, hex) => {
    const type = generated.type(name);
    expect(encodeMessage(type, message).toString("hex")).toBe(hex);
    const back = decodeMessage(type, Buffer.from(hex, "hex"));
    expect(back).toEqual(type.create(message));
    expect(encodeMessage(type, back).toString("hex")).toBe(hex);
  });

  it("generates the imported file too, and one descriptor a file", () => {
    expect(generated.files.map((file) => file.path)).toEqual(["friend.ts", "result.ts", "user.ts"]);
    const { UserServiceRpc } = generated.module("user.ts") as {
      UserServiceRpc: { descriptors: Uint8Array[]; methods: Record<string, { fullName: string }> };
    };
    expect(UserServiceRpc.descriptors).toHaveLength(2);
    expect(UserServiceRpc.methods.login?.fullName).toBe("fixbug.UserServiceRpc.Login");
  });
});
