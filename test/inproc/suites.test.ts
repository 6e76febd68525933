import { describe } from "vitest";
import { goOver } from "../support/cluster.js";

// The same tests as over a connection: nobody who calls may notice in which way the call goes.
goOver("inproc");

describe("within the process: deadlines", () => import("../call/deadlines.test.js") as Promise<unknown>);
describe("within the process: signals", () => import("../call/signals.test.js") as Promise<unknown>);
describe("within the process: errors", () => import("../call/errors.test.js") as Promise<unknown>);
describe("within the process: nested calls", () => import("../call/nested.test.js") as Promise<unknown>);
describe("within the process: interceptors", () =>
  import("../call/interceptors.test.js") as Promise<unknown>);
describe("within the process: controllers", () => import("../call/controller.test.js") as Promise<unknown>);
describe("within the process: streams", () => import("../streams/basic.test.js") as Promise<unknown>);
describe("within the process: ends of streams", () =>
  import("../streams/ending.test.js") as Promise<unknown>);
describe("within the process: credit", () => import("../streams/flow.test.js") as Promise<unknown>);
describe("within the process: built-in services", () =>
  import("../services/builtin.test.js") as Promise<unknown>);
