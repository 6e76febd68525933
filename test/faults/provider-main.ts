/** A provider node of its own. Arguments: the file its handlers count in, then a node's. */

import { openSync, writeSync } from "node:fs";
import { systemClock } from "../../src/base/clock.js";
import { MprpcApplication, RpcProvider } from "../../src/index.js";
import { type Blob, ProbeService, type ProbeServiceHandler } from "../support/gen/probe.js";
import { footprint } from "./footprint.js";

const [node = "", script = "", countFile = "", ...args] = process.argv;
const app = await MprpcApplication.init([node, script, ...args]);
// What a process has written before it is killed stays; appends of several processes do not mix.
const counted = openSync(countFile, "a");
const entered = { calls: 0, aborted: 0 };

/** What a request asks for in its `number`: 0 an answer, -1 none at all; more, an answer after so many milliseconds. */
const serve: ProbeServiceHandler["echo"] = (request, { signal, replyMetadata }) => {
  writeSync(counted, `${request.text}\n`);
  entered.calls++;
  replyMetadata.set("pid", String(process.pid));
  if (request.number === 0) return request;
  return new Promise<Blob>((resolve) => {
    signal.addEventListener("abort", () => {
      entered.aborted++;
      resolve(request);
    });
    if (request.number > 0) systemClock.setTimer(() => resolve(request), request.number);
  });
};

/** Of the test's own: it asks how the process is, or has it stand still. Not counted. */
const control: ProbeServiceHandler["relay"] = async (request) => {
  if (request.text === "block") {
    const endMs = systemClock.now() + request.number;
    while (systemClock.now() < endMs);
  }
  const { inFlight, connections } = provider;
  const facts = { ...entered, inFlight, connections, ...(await footprint()) };
  return { text: JSON.stringify(facts) };
};

const provider = new RpcProvider(app);
provider.notifyService(ProbeService, { echo: serve, relay: control, note: serve });
await provider.run(({ port }) => console.log(`listening ${port}`));
console.log("stopped");
