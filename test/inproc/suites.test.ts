import { describe } from "vitest";
import { goOver } from "../support/cluster.js";

// The same tests as over a connection: nobody who calls may notice in which way the call goes.
goOver("inproc");

describe("within the process: deadlines", async () => void (await import("../call/deadlines.test.js")));
describe("within the process: signals", async () => void (await import("../call/signals.test.js")));
describe("within the process: errors", async () => void (await import("../call/errors.test.js")));
describe("within the process: nested calls", async () => void (await import("../call/nested.test.js")));
describe("within the process: controllers", async () => void (await import("../call/controller.test.js")));
describe("within the process: streams", async () => void (await import("../streams/basic.test.js")));
describe("within the process: credit", async () => void (await import("../streams/flow.test.js")));
