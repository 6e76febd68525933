/** A node as the README writes it: top-level await and nothing caught. The arguments are a node's. */
import { MprpcApplication, RpcProvider } from "../../src/index.js";

const app = await MprpcApplication.init(process.argv);
await new RpcProvider(app).run();
