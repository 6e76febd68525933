// A transfer worker in a process of its own that is killed at a step: the step, then the arguments of a node.
import { Worker } from "../../../src/transfer/worker.js";
import { nodeKilledAtStep } from "./killed-at.js";

const { context } = await nodeKilledAtStep();
new Worker(context, { leaseMs: 500 }).start();
