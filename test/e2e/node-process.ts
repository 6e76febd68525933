/** A provider node in a process of its own: the arguments are a node's, `--registry=...` and so on. */

import { UserServiceRpc } from "../../example/callee/src/gen/user.js";
import { MprpcApplication, RpcProvider } from "../../src/index.js";

const app = await MprpcApplication.init(process.argv);
const provider = new RpcProvider(app);
provider.notifyService(UserServiceRpc, {
  async login() {
    return { result: { errcode: 0, errmsg: String(process.pid) }, success: true };
  },
  async register() {
    return { result: { errcode: 0 }, success: true };
  },
  uploadAvatar: () => ({}),
});
await provider.start();
console.info(`serving on ${provider.address?.port}`);
await provider.run();
console.info("drained");
