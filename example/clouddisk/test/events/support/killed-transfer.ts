// A process of transfer that is killed at a step of the first job it is handed: the step, then the arguments of a node.
import { Transfer } from "../../../src/transfer/transfer.js";
import { nodeKilledAtStep } from "../../transfer/support/killed-at.js";

const { host, context } = await nodeKilledAtStep();
new Transfer(context, { sweepMs: host.settings.sweepMs }, host.events).start();
