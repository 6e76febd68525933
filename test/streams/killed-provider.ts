// A provider in a process of its own, to be killed: prints its port, then serves an endless stream.

import { systemClock } from "../../src/base/clock.js";
import { RpcProvider } from "../../src/index.js";
import { createRuntime } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { FlowService } from "../support/gen/flow.js";

const provider = new RpcProvider(createRuntime({ transport: tcpTransport(systemClock) }));
provider.notifyService(FlowService, {
  async *watch() {
    for (let number = 0; ; number++) yield { number };
  },
  async put(requests) {
    let number = 0;
    for await (const _ of requests) number++;
    return { number };
  },
  async *chat(requests) {
    yield* requests;
  },
  ask: (request) => request,
});
const { port } = await provider.start();
console.log(port);
