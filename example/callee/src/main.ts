// The provider: offers two services until SIGTERM, SIGINT or SIGHUP. Start it with `bin/provider -i bin/mprpc.conf`.
import { formatAddress, MprpcApplication, RpcProvider } from "mprpc";
import { FriendService } from "./friend-service.js";
import { FriendServiceRpc } from "./gen/friend.js";
import { UserServiceRpc } from "./gen/user.js";
import { UserService } from "./user-service.js";
import { UserTable } from "./user-table.js";

try {
  await using app = await MprpcApplication.init(process.argv);
  const users = new UserTable();
  const provider = new RpcProvider(app);
  provider.notifyService(UserServiceRpc, new UserService(users));
  provider.notifyService(FriendServiceRpc, new FriendService(users));

  // Called when every service is registered: a caller that looks can find us.
  await provider.run((address) => console.log(`listening on ${formatAddress(address)}`));
} catch (error) {
  console.error(`provider: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
