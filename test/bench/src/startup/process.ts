// Before anything else is loaded: what this line costs is node's own.
const nodeMs = performance.now();

import type { Load, Target } from "../target.js";
import type { StartFacts, StartRequest, StartRole, StartTarget } from "./protocol.js";

/** A fresh process: `process.js TARGET import|provider|caller [ENDPOINT]`. */

const calls = 10;
const load: Load = { payloadBytes: 20, inFlight: 1 };

/** The libraries by the names users import; each from here, before anything that needs it. */
const libraries: Readonly<Record<StartTarget, () => Promise<unknown>>> = {
  mprpc: () => import("mprpc"),
  "grpc-js": () => Promise.all([import("@grpc/grpc-js"), import("@grpc/proto-loader")]),
};

const targets: Readonly<Record<StartTarget, () => Promise<{ target: Target }>>> = {
  mprpc: () => import("./mprpc.js"),
  "grpc-js": () => import("../targets/grpc-js.js"),
};

async function importLibrary(name: StartTarget): Promise<Omit<StartFacts, "nodeMs">> {
  globalThis.gc?.();
  const rssBefore = process.memoryUsage.rss();
  const startMs = performance.now();
  await libraries[name]();
  const importMs = performance.now() - startMs;
  globalThis.gc?.();
  return { importMs, importRssBytes: process.memoryUsage.rss() - rssBefore };
}

/** Latencies of the first calls, one after the other. */
async function firstCalls(target: Target, endpoint: string): Promise<number[]> {
  const { Meter } = await import("../meter.js");
  const callsMs: number[] = [];
  class First extends Meter {
    override record(latencyMs: number): void {
      callsMs.push(latencyMs);
      if (callsMs.length >= calls) this.running = false;
    }
  }
  const caller = await target.startCaller(endpoint);
  await caller.drive(new First(), load);
  return callsMs;
}

const [name, role, endpoint = ""] = process.argv.slice(2) as [StartTarget, StartRole, string?];
const facts: StartFacts = { nodeMs, ...(await importLibrary(name)) };
const importedMs = performance.now();
let ownEndpoint = "";
if (role !== "import") {
  const { target } = await targets[name]();
  if (role === "provider") {
    ownEndpoint = (await target.startProvider()).endpoint;
    facts.listeningMs = performance.now();
    facts.listeningAfterImportMs = facts.listeningMs - importedMs;
  } else {
    facts.callsMs = await firstCalls(target, endpoint);
  }
}
const { serveRequests } = await import("../serve.js");
serveRequests<StartRequest>(ownEndpoint, async ({ kind }) => (kind === "facts" ? facts : null));
