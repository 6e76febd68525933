import type { ProtocolName } from "../call/peer.js";
import { classicClient } from "../protocol/classic/client-protocol.js";
import { grpcClient } from "../protocol/grpc/client-protocol.js";
import { mprpcClient } from "../protocol/mprpc/client-protocol.js";
import type { ClientProtocol } from "../protocol/protocol.js";
import type { Runtime } from "../runtime/runtime.js";

/** Most fields of one header list: a reply has a few, plus those its handler adds. */
const headerFieldsMax = 512;

/** What a channel speaks, by the names that registries give protocols. */
export function clientProtocols(runtime: Runtime): ReadonlyMap<ProtocolName, ClientProtocol> {
  const { clock, transport, log, settings } = runtime;
  const { connectTimeoutMs } = settings.channel;
  const { bodyMaxBytes } = settings.limits;
  const { limits, unwrittenMaxBytes } = settings;
  const grpc = {
    http2: {
      headers: { listMaxBytes: limits.headerMaxBytes, fieldsMax: headerFieldsMax },
      unreadMaxBytes: limits.streamBufferBytes,
      unwrittenMaxBytes: unwrittenMaxBytes * 2,
      doubtMs: settings.keepalive.intervalMs,
      pingTimeoutMs: settings.keepalive.timeoutMs,
    },
    ...{ bodyMaxBytes, unwrittenMaxBytes },
  };
  const all: ClientProtocol[] = [
    mprpcClient(clock, settings),
    grpcClient(clock, grpc, settings.channel.grpcPingIntervalMs),
    classicClient({ clock, transport, log, connectTimeoutMs, bodyMaxBytes }),
  ];
  return new Map(all.map((one) => [one.name, one]));
}
