// A provider that does what its requests say: `busy MS`, `bytes COUNT` or `sleep MS` as text; anything else comes back.
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../src/base/clock.js";
import { RpcProvider } from "../../src/server/provider.js";
import { createRuntime } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { type Blob, type BlobInput, ProbeService } from "../support/gen/probe.js";

/** Handlers that were entered, by what they were told to do. */
const entered: Record<string, number> = {};

function serve(request: Blob): BlobInput | Promise<BlobInput> {
  const [what = "", amount = "0"] = request.text.split(" ");
  entered[what] = (entered[what] ?? 0) + 1;
  switch (what) {
    case "busy": {
      const untilMs = performance.now() + Number(amount);
      while (performance.now() < untilMs);
      return {};
    }
    case "bytes":
      return { data: Buffer.alloc(Number(amount), 7) };
    case "sleep":
      return sleep(Number(amount), {});
    case "entered":
      return { text: JSON.stringify(entered) };
    default:
      return request;
  }
}

const runtime = createRuntime({
  transport: tcpTransport(systemClock),
  settings: JSON.parse(process.argv[2] ?? "{}"),
});
const provider = new RpcProvider(runtime);
provider.notifyService(ProbeService, { echo: serve, relay: serve, note: serve });
await provider.run(({ port }) => console.log(`listening ${port}`));
