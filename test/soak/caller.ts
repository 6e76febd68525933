// A caller of the soak: calls of all kinds at a steady rate, until it is asked to stop.
import { once } from "node:events";
import { MprpcApplication } from "mprpc";
import { SeededRandom } from "mprpc/testing";
import { CallBook } from "./call-book.js";
import { Calls } from "./calls.js";
import { leave, Monitor, watchOver } from "./child.js";
import { LedgerPen } from "./ledger.js";
import { nodeArguments, specOf, tell } from "./protocol.js";

const tickMs = 10;
const spec = specOf(process.argv);
watchOver();
const app = await MprpcApplication.init(nodeArguments(spec), { cwd: spec.folder });
const pen = new LedgerPen(`${spec.folder}/ledger`, spec.life);
const monitor = new Monitor(spec, () => {
  book.findOverdue();
  return { inFlight: book.open, connections: 0, unservedMs: book.takeUnservedMs() };
});
const book = new CallBook(spec.life, pen, monitor);
book.listen(app.events);
const calls = new Calls(app, SeededRandom.of(spec.seed, `${spec.name}.${spec.life}`), book);

const stopped = once(process, "SIGTERM");
let made = 0;
const running = new Set<Promise<void>>();
/** Several times what is in flight as a rule: more wait only where the machine is too busy, and would keep it so. */
const inFlightMax = Math.max(32, spec.rate * 0.4);
await calls.ready();
const startMs = performance.now();
const load = setInterval(() => {
  const due = Math.floor(((performance.now() - startMs) * spec.rate) / 1000);
  // After a stall it catches up only so far: a burst is not the load that was asked for.
  made = Math.max(made, due - spec.rate);
  for (; made < due && running.size < inFlightMax; made++) {
    const call: Promise<void> = calls.make().finally(() => running.delete(call));
    running.add(call);
  }
}, tickMs);
monitor.start();
tell({ type: "ready", port: 0 });

await stopped;
clearInterval(load);
await Promise.all(running);
await calls.close();
await app.close();
monitor.stop();
tell({ type: "final", final: book.final(app) });
pen.close();
leave();
