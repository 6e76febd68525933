import { classicServer } from "../protocol/classic/server-protocol.js";
import { mprpcServer } from "../protocol/mprpc/server-protocol.js";
import { StreamBudget } from "../protocol/mprpc/streams/budget.js";
import type { ServerProtocol } from "../protocol/protocol.js";
import { inFlightPerConnectionMax, type Runtime } from "../runtime/runtime.js";

/** Reading from a caller stops while more than this waits to be sent to it, bytes. */
const pauseAtBytes = 1024 * 1024;

/** What a provider answers in on its one port, in the order in which each is asked what a new connection's first bytes are. */
export function serverProtocols({ settings, log }: Pick<Runtime, "settings" | "log">): ServerProtocol[] {
  const { limits, keepalive, unwrittenMaxBytes, callTimeoutMs: timeoutMs, provider } = settings;
  const { bodyMaxBytes } = limits;
  const maxInFlight = inFlightPerConnectionMax(settings);
  const streamBudget = new StreamBudget(provider.streamBufferBytes);
  return [
    mprpcServer({ limits, keepalive, maxInFlight, pauseAtBytes, unwrittenMaxBytes, streamBudget }),
    classicServer({ bodyMaxBytes, timeoutMs, pauseAtBytes, unwrittenMaxBytes }, log, provider.classic),
  ];
}
