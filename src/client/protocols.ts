import type { ProtocolName } from "../call/peer.js";
import { classicClient } from "../protocol/classic/client-protocol.js";
import { mprpcClient } from "../protocol/mprpc/client-protocol.js";
import type { ClientProtocol } from "../protocol/protocol.js";
import type { Runtime } from "../runtime/runtime.js";

/** What a channel speaks, by the names that registries give protocols. */
export function clientProtocols(runtime: Runtime): ReadonlyMap<ProtocolName, ClientProtocol> {
  const { clock, transport, log, settings } = runtime;
  const { connectTimeoutMs } = settings.channel;
  const { bodyMaxBytes } = settings.limits;
  const all: ClientProtocol[] = [
    mprpcClient(clock, settings),
    classicClient({ clock, transport, log, connectTimeoutMs, bodyMaxBytes }),
  ];
  return new Map(all.map((one) => [one.name, one]));
}
