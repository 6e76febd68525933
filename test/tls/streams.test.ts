import { describe } from "vitest";
import { goOverTls } from "../support/cluster.js";
import { Authority } from "./authority.js";
import { openTransport } from "./support.js";

const name = "flow.example";
const authority = await Authority.make();
const { cert, key } = await authority.issue({ dns: [name] });

// The same tests as over a connection in memory: TLS has its own buffers, and its writes are never complete at once.
goOverTls(() => openTransport({ mode: "required", cert, key, ca: authority.cert, peerName: name }));

describe("over TLS: streams", async () => void (await import("../streams/basic.test.js")));
describe("over TLS: flow", async () => void (await import("../streams/flow.test.js")));
describe("over TLS: ending", async () => void (await import("../streams/ending.test.js")));
