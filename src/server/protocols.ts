import { LimitedLog } from "../log/limited-log.js";
import { classicServer } from "../protocol/classic/server-protocol.js";
import { grpcServer } from "../protocol/grpc/server-protocol.js";
import { mprpcServer } from "../protocol/mprpc/server-protocol.js";
import { SharedBudget } from "../protocol/mprpc/streams/budget.js";
import type { ServerProtocol } from "../protocol/protocol.js";
import { inFlightPerConnectionMax, type Runtime } from "../runtime/runtime.js";

/** Reading from a caller stops while more than this many bytes wait to be sent to it. */
const pauseAtBytes = 1024 * 1024;

/** Most fields of one header list: a call has a few, plus those its user adds. */
const headerFieldsMax = 512;

/** The protocols of a provider's port, in the order in which they are shown the first bytes of a new connection. */
export function serverProtocols({
  settings,
  clock,
  log,
}: Pick<Runtime, "settings" | "clock" | "log">): ServerProtocol[] {
  const { limits, keepalive, unwrittenMaxBytes, callTimeoutMs: timeoutMs, provider } = settings;
  const { bodyMaxBytes } = limits;
  const maxInFlight = inFlightPerConnectionMax(settings);
  const streamBudget = new SharedBudget(provider.streamBufferBytes);
  const { protocols } = provider;
  const classicClosedBy = [
    ...(provider.classic ? [] : ["provider.classic"]),
    ...(protocols.includes("classic") ? [] : ["provider.protocols"]),
  ];
  const grpc = {
    http2: {
      headers: { listMaxBytes: limits.headerMaxBytes, fieldsMax: headerFieldsMax },
      streamsMax: maxInFlight,
      unreadMaxBytes: limits.streamBufferBytes,
      unwrittenMaxBytes: unwrittenMaxBytes * 2,
      pingIntervalMs: keepalive.intervalMs,
      pingTimeoutMs: keepalive.timeoutMs,
    },
    ...{ bodyMaxBytes, unwrittenMaxBytes, streamBudget, unreadMaxBytes: limits.streamBufferBytes },
    arrivingMaxBytes: limits.arrivingMaxBytes,
  };
  const mprpc = { limits, keepalive, maxInFlight, pauseAtBytes, unwrittenMaxBytes, streamBudget };
  const classicLog = new LimitedLog(clock, log, (more) => `classic call refused or failed: ${more} more`);
  const names = [
    ...(protocols.includes("mprpc") ? ["mprpc/2"] : []),
    ...(classicClosedBy.length === 0 ? ["classic mprpc"] : []),
    ...(protocols.includes("grpc") ? ["gRPC over HTTP/2 with prior knowledge"] : []),
  ];
  return [
    mprpcServer(mprpc, protocols.includes("mprpc")),
    grpcServer(grpc, names, protocols.includes("grpc")),
    classicServer({ bodyMaxBytes, timeoutMs, pauseAtBytes, unwrittenMaxBytes }, classicLog, classicClosedBy),
  ];
}
