import type { Clock } from "../../base/clock.js";
import type { SharedConnectionProtocol } from "../protocol.js";
import { type GrpcClientOptions, GrpcClientSession } from "./client-session.js";

/** Connections to one server at most, when it lets each carry few calls. */
const connectionsMax = 16;
/** What servers as they come allow pings every so often; a shorter interval has them close the connection, ms. */
export const pingIntervalMinMs = 5 * 60_000;

/** `pingIntervalMs`: silence before a ping is sent, at least 5 min; `Infinity`: none is. */
export function grpcClient(
  clock: Clock,
  options: GrpcClientOptions,
  pingIntervalMs: number,
): SharedConnectionProtocol {
  /** Of servers that found pings too many: what they get from now on. */
  const slower = new Map<string, number>();
  return {
    name: "grpc",
    alpn: "h2",
    connects: "once",
    connectionsMax,
    open(connection, owner, place) {
      const interval = slower.get(connection.remote) ?? Math.max(pingIntervalMs, pingIntervalMinMs);
      const http2 = { ...options.http2, pingIntervalMs: interval };
      return new GrpcClientSession(connection, clock, { ...options, http2 }, owner, place, (debug) => {
        if (debug.includes("too_many_pings")) slower.set(connection.remote, interval * 2);
      });
    },
  };
}
