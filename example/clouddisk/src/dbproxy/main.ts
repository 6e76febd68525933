import { runNode } from "../common/node.js";

await runNode(["dbproxy"]);
