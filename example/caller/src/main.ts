// The consumer: calls each method of the provider and prints what comes back. Exit code 0, or 1 with the error.
// Start it with `bin/consumer -i bin/mprpc.conf`.
import { MprpcApplication, RpcChannel, RpcController, RpcError, Status } from "mprpc";
import { FriendServiceRpcStub } from "./gen/friend.js";
import type { ResultCode } from "./gen/result.js";
import { type AvatarPieceInput, UserServiceRpcStub } from "./gen/user.js";

/** How it went, as the business sees it. A failed call never gets here: it throws an RpcError. */
function outcome(result: ResultCode | undefined): string {
  if (result === undefined || result.errcode === 0) return "ok";
  return `errcode ${result.errcode}, ${result.errmsg.toString()}`;
}

/** A picture as a program would read it from a file: piece by piece, as fast as the provider takes them. */
function* picture(): Generator<AvatarPieceInput> {
  for (let piece = 0; piece < 10; piece++) yield { userid: 1, data: Buffer.alloc(10_000, piece) };
}

/** Streams: one of requests, one of replies. */
async function streams(users: UserServiceRpcStub, friends: FriendServiceRpcStub): Promise<void> {
  const uploaded = await users.uploadAvatar(picture());
  console.log(`UploadAvatar of user 1: ${outcome(uploaded.result)}, ${uploaded.size} bytes`);

  for await (const friend of friends.watchFriends({ userid: 1 })) {
    const name = friend.name.toString();
    console.log(`WatchFriends of user 1: ${name} is online`);
    // Leaving the loop cancels the call, which would go on for as long as the provider runs.
    if (name === "li si") break;
    await users.login({ name: "li si", pwd: "234567" });
  }
}

async function main(): Promise<void> {
  await using app = await MprpcApplication.init(process.argv);
  await using channel = new RpcChannel(app);
  const users = new UserServiceRpcStub(channel);
  const friends = new FriendServiceRpcStub(channel);

  const login = await users.login({ name: "zhang san", pwd: "123456" });
  console.log(`Login zhang san: ${outcome(login.result)}, success ${login.success}`);

  // Its own deadline, instead of `calltimeout` of the conf.
  const wrong = await users.login({ name: "zhang san", pwd: "654321" }, { timeoutMs: 2000 });
  console.log(`Login zhang san with a wrong password: ${outcome(wrong.result)}, success ${wrong.success}`);

  // An id of this run, so that a second run against the same provider registers a second user.
  const id = 100_000 + process.pid;
  const registered = await users.register({ id, name: `zhang duoduo ${id}`, pwd: "666666" });
  console.log(`Register zhang duoduo ${id}: ${outcome(registered.result)}, success ${registered.success}`);

  // The classic way: nothing is thrown, and the controller knows how the call went.
  const controller = new RpcController();
  const list = await friends.getFriendsList({ userid: 1 }, controller);
  if (list === undefined) throw new Error(controller.errorText());
  console.log(`GetFriendsList of user 1: ${outcome(list.result)}, ${list.friends.join(", ")}`);

  try {
    await streams(users, friends);
  } catch (error) {
    // A provider of the classic C++ framework, which knows only the methods above.
    if (!(error instanceof RpcError) || error.code !== Status.UNIMPLEMENTED) throw error;
    console.log("UploadAvatar, WatchFriends: this provider has no streams");
  }
}

try {
  await main();
} catch (error) {
  console.error(`consumer: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
