import { mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { decodeMessage, encodeMessage, type MessageType } from "mprpc/codec";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { generate, writeGenerated } from "../../src/codegen/index.js";

const protos = fileURLToPath(new URL("../../example/proto/", import.meta.url));
let folder: string;
let types: Record<string, MessageType>;

beforeAll(async () => {
  folder = await mkdtemp(path.join(fileURLToPath(new URL("./", import.meta.url)), ".tmp-"));
  const files = await generate([path.join(protos, "user.proto"), path.join(protos, "friend.proto")]);
  await writeGenerated(files, folder);
  const modules = await Promise.all(
    files.map(({ path: name }) => import(pathToFileURL(path.join(folder, name)).href)),
  );
  types = Object.assign({}, ...modules);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

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
    const type = types[name] as MessageType;
    expect(encodeMessage(type, message).toString("hex")).toBe(hex);
    const back = decodeMessage(type, Buffer.from(hex, "hex"));
    expect(back).toEqual(type.create(message));
    expect(encodeMessage(type, back).toString("hex")).toBe(hex);
  });
});
