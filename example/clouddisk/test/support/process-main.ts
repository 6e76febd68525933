// A node in a process of its own, for tests: services between commas, then the arguments of a node.
import { runNode } from "../../src/common/node.js";
import type { ServiceName } from "../../src/common/part.js";

const [interpreter = "", script = "", services = "", ...rest] = process.argv;
await runNode(services.split(",") as ServiceName[], { argv: [interpreter, script, ...rest] });
