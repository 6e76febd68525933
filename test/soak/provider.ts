// A provider of the soak. It counts each run in the ledger before it does anything else.

import {
  type App,
  type CallContext,
  MprpcApplication,
  RpcChannel,
  RpcError,
  RpcProvider,
  type ServerInterceptor,
  Status,
} from "mprpc";
import { systemClock } from "../../src/base/clock.js";
import { internals, runtimeOf } from "../../src/runtime/app.js";
import { type Blob, ProbeService, SideService, SideServiceStub } from "../support/gen/probe.js";
import { CallBook, failsByBug, failsOnPurpose, keyMetadata, parseKey } from "./call-book.js";
import { leave, Monitor, watchOver } from "./child.js";
import { LedgerPen } from "./ledger.js";
import { nodeArguments, specOf, tell } from "./protocol.js";

const spec = specOf(process.argv);
watchOver();
const app = await MprpcApplication.init(nodeArguments(spec), { cwd: spec.folder });
const pen = new LedgerPen(`${spec.folder}/ledger`, spec.life);
const monitor = new Monitor(spec, () => ({
  inFlight: provider.inFlight,
  connections: provider.connections,
  unservedMs: 0,
}));
const book = new CallBook(spec.life, pen, monitor);
book.listen(app.events);
const channel = new RpcChannel(app);
const side = new SideServiceStub(channel);

/** What the conf has no key for; all else is the application's. */
function withConnectionAge(connectionMaxAgeMs: number): App {
  if (connectionMaxAgeMs === 0) return app;
  const runtime = runtimeOf("soak", app);
  const { log, registry, events, closed } = app;
  const { settings } = runtime;
  const aged = { ...settings, provider: { ...settings.provider, connectionMaxAgeMs } };
  const inside = { ...runtime, settings: aged };
  return { log, registry, events, closed, close: () => app.close(), [internals]: inside };
}

/** As long as the caller waits, and no longer. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = systemClock.setTimer(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    const onAbort = (): void => {
      timer.cancel();
      reject(signal.reason);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
}

async function serve(request: Blob, context: CallContext): Promise<Blob> {
  const { life, call } = parseKey(request.text);
  pen.run(life, call);
  monitor.served();
  context.replyMetadata.set(keyMetadata, request.text);
  if (request.number === failsOnPurpose) throw new RpcError(Status.FAILED_PRECONDITION, "not today");
  if (request.number === failsByBug) throw new Error("a bug");
  if (request.number > 0) await pause(request.number, context.signal);
  return request;
}

/** Asks another provider, or itself; what goes wrong there is this handler's failure, of a code of its own. */
async function relay(request: Blob, context: CallContext): Promise<Blob> {
  await serve(request, context);
  // All the time that its caller has left: nothing but that may end it.
  const timeoutMs = context.timeLeftMs();
  const end = book.begin("nested", timeoutMs);
  const nested = { ...request, text: end.key, number: 0 };
  try {
    await end.settle(side.echo(nested, { timeoutMs }), nested);
  } catch (error) {
    throw new RpcError(Status.ABORTED, "the call behind this one failed", { cause: error });
  }
  return request;
}

const marks: ServerInterceptor = (next) => async (call) => {
  const reply = await next(call);
  call.context.replyMetadata.set("served-by", spec.name);
  return reply;
};

const provider = new RpcProvider(withConnectionAge(spec.connectionMaxAgeMs), { interceptors: [marks] })
  .notifyService(ProbeService, { echo: serve, relay, note: serve })
  .notifyService(SideService, { echo: serve });

monitor.start();
await provider.run(({ port }) => tell({ type: "ready", port }));
await channel.close();
monitor.stop();
tell({ type: "final", final: book.final(app, provider) });
pen.close();
leave();
