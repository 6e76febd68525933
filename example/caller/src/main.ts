// The consumer: calls each method of the provider and prints what comes back. Exit code 0, or 1 with the error.
// Start it with `bin/consumer -i bin/mprpc.conf`.
import { MprpcApplication, RpcChannel, RpcController } from "mprpc";
import { FriendServiceRpcStub } from "./gen/friend.js";
import type { ResultCode } from "./gen/result.js";
import { UserServiceRpcStub } from "./gen/user.js";

/** How it went, as the business sees it. A failed call never gets here: it throws an RpcError. */
function outcome(result: ResultCode | undefined): string {
  if (result === undefined || result.errcode === 0) return "ok";
  return `errcode ${result.errcode}, ${result.errmsg.toString()}`;
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
}

try {
  await main();
} catch (error) {
  console.error(`consumer: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
