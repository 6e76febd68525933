import { describe } from "vitest";
import { goOver } from "../support/cluster.js";

// The same tests as over a connection in memory: nobody who calls may notice in which way the call goes.
goOver("unix");

describe("over unix sockets: streams", async () => void (await import("../streams/basic.test.js")));
describe("over unix sockets: flow", async () => void (await import("../streams/flow.test.js")));
describe("over unix sockets: ending", async () => void (await import("../streams/ending.test.js")));
describe("over unix sockets: signals", async () => void (await import("../call/signals.test.js")));
