import type { Clock } from "../../base/clock.js";
import type { SharedConnectionProtocol } from "../protocol.js";
import { type GrpcClientOptions, GrpcClientSession } from "./client-session.js";

/** Most connections to one server, if it allows few calls on each. */
const connectionsMax = 16;
/** The shortest ping interval that servers allow by default, ms; with a shorter one they close the connection. */
export const pingIntervalMinMs = 5 * 60_000;

/** `pingIntervalMs`: silence before a ping is sent, at least 5 min; `Infinity`: none is. */
export function grpcClient(
  clock: Clock,
  options: GrpcClientOptions,
  pingIntervalMs: number,
): SharedConnectionProtocol {
  /** The longer ping intervals of servers that complained of too many pings. */
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
