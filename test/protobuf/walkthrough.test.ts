// A walk through protobuf as this library has it: messages, messages in messages, lists, maps, services.
// Read it from top to bottom; every step runs. `gen/test.ts` is what `mprpc generate test/protobuf/test.proto` writes.
import { RpcChannel, RpcProvider } from "mprpc";
import { decodeMessage, encodeMessage } from "mprpc/codec";
import { expect, onTestFinished, test } from "vitest";
import { createRuntime } from "../../src/testing/index.js";
import {
  GetFriendListsResponse,
  LoginRequest,
  LoginResponse,
  User_Sex,
  UserServiceRpc,
  type UserServiceRpcHandler,
  UserServiceRpcStub,
} from "./gen/test.js";

test("1. a message: set its fields, serialise it, parse the bytes", () => {
  // A message is a plain object. A `bytes` field takes text or bytes.
  const bytes = encodeMessage(LoginRequest, { name: "zhang san", pwd: "123456" });
  expect(bytes.toString("hex")).toBe("0a097a68616e672073616e1206313233343536");

  // What is parsed has every field; a `bytes` field is a Buffer.
  const request = decodeMessage(LoginRequest, bytes);
  expect(request.name.toString()).toBe("zhang san");
  expect(request.pwd.toString()).toBe("123456");

  // A field that was not set has its default, and takes no room in the bytes.
  expect(decodeMessage(LoginRequest, encodeMessage(LoginRequest, { name: "li si" })).pwd).toHaveLength(0);
  expect(encodeMessage(LoginRequest, {})).toHaveLength(0);

  // Bytes that are no message are refused: here a name of nine bytes, of which five are there.
  expect(() => decodeMessage(LoginRequest, bytes.subarray(0, 7))).toThrow();
});

test("2. a message in a message", () => {
  const bytes = encodeMessage(LoginResponse, {
    result: { errcode: 1, errmsg: "wrong password" },
    success: false,
  });
  const response = decodeMessage(LoginResponse, bytes);
  expect(response.result?.errcode).toBe(1);
  expect(response.result?.errmsg.toString()).toBe("wrong password");
  expect(response.success).toBe(false);

  // A message that was not set is undefined, which the compiler makes sure nobody forgets.
  expect(
    decodeMessage(LoginResponse, encodeMessage(LoginResponse, { success: true })).result,
  ).toBeUndefined();
});

test("3. a list of messages", () => {
  // `create` makes a message with every field, to be filled step by step.
  const response = GetFriendListsResponse.create({ result: { errcode: 0 } });
  response.friendList.push({ name: Buffer.from("zhang san"), age: 20, sex: User_Sex.MAN });
  response.friendList.push({ name: Buffer.from("li si"), age: 22, sex: User_Sex.WOMAN });
  expect(response.friendList).toHaveLength(2);

  const parsed = decodeMessage(GetFriendListsResponse, encodeMessage(GetFriendListsResponse, response));
  expect(parsed.friendList.map(({ name, age }) => `${name} ${age}`)).toEqual(["zhang san 20", "li si 22"]);
  expect(parsed.friendList[1]?.sex).toBe(User_Sex.WOMAN);
});

test("4. a map", () => {
  // Given as an object or as a Map; parsed it is a Map.
  const bytes = encodeMessage(LoginRequest, { name: "zhang san", client: { os: "linux", version: "1.4" } });
  const { client } = decodeMessage(LoginRequest, bytes);
  expect(client.get("os")).toBe("linux");
  expect([...client.keys()].sort()).toEqual(["os", "version"]);
  expect(client.get("browser")).toBeUndefined();
});

test("5. a service: its description, one side that implements it, and a stub that calls it", async () => {
  // The description: which methods there are, and which messages they take and return.
  expect(UserServiceRpc.typeName).toBe("fixbug.UserServiceRpc");
  expect(Object.values(UserServiceRpc.methods).map(({ name }) => name)).toEqual(["Login", "GetFriendLists"]);
  expect(UserServiceRpc.methods.login.input.typeName).toBe("fixbug.LoginRequest");

  // The callee implements the handler interface; the compiler knows each method's messages.
  class UserService implements UserServiceRpcHandler {
    login({ name, pwd }: LoginRequest) {
      const success = name.toString() === "zhang san" && pwd.toString() === "123456";
      return { result: { errcode: success ? 0 : 1 }, success };
    }

    getFriendLists() {
      return { result: { errcode: 0 }, friendList: [{ name: "li si", age: 22 }] };
    }
  }

  // Both ends in one process, over memory instead of sockets; a program would call MprpcApplication.init() here.
  const runtime = createRuntime();
  const provider = new RpcProvider(runtime).notifyService(UserServiceRpc, new UserService());
  await provider.start();
  const channel = new RpcChannel(runtime);
  onTestFinished(async () => {
    await channel.close();
    await provider.shutdown();
    await runtime.close();
  });

  // The caller has a stub, which is a class with the service's methods.
  const users = new UserServiceRpcStub(channel);
  const response = await users.login({ name: "zhang san", pwd: "123456" });
  expect(response.success).toBe(true);
  expect((await users.login({ name: "zhang san", pwd: "654321" })).result?.errcode).toBe(1);
  const { friendList } = await users.getFriendLists({ userid: 1 });
  expect(friendList[0]?.name.toString()).toBe("li si");
});
