// A provider in a process of its own, for tests of signals. Arguments: how its handlers behave, as JSON.
import { systemClock } from "../../src/base/clock.js";
import { RpcProvider } from "../../src/server/provider.js";
import { createRuntime, settle } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { ProbeService } from "./gen/probe.js";
import { RecordingLog } from "./log.js";

interface Behaviour {
  drainTimeoutMs?: number;
  /** Calls of `echo` are answered a little after the drain has begun; else never. */
  answersInDrain?: boolean;
  keepalive?: { intervalMs: number; timeoutMs: number };
}

const {
  drainTimeoutMs = 5000,
  answersInDrain = false,
  keepalive,
}: Behaviour = JSON.parse(process.argv[2] ?? "{}");
const log = new RecordingLog();
const runtime = createRuntime({
  transport: tcpTransport(systemClock),
  log,
  settings: { provider: { drainTimeoutMs }, ...(keepalive === undefined ? {} : { keepalive }) },
});
const provider = new RpcProvider(runtime);
const before = process.listenerCount("SIGTERM");
let release = (): void => {};
const released = new Promise<void>((resolve) => {
  release = resolve;
});

const { info } = log;
log.info = (text, fields) => {
  info(text, fields);
  if (answersInDrain && text.endsWith("draining")) void settle().then(release);
};

provider.notifyService(ProbeService, {
  async echo(request, { signal }) {
    signal.addEventListener("abort", () => console.log(`aborted ${request.text}`));
    console.log(`entered ${request.text}`);
    await released;
    return request;
  },
  relay: (request) => request,
  // Blocks the event loop until killed.
  note() {
    console.log("blocking");
    for (;;);
  },
});
process.on("exit", () => {
  for (const { level, text } of log.lines) console.log(`${level}: ${text}`);
});
await provider.run(({ port }) => console.log(`listening ${port}`));
console.log(`stopped, ${process.listenerCount("SIGTERM") - before} signal handlers left`);
