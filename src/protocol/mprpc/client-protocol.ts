import type { Clock } from "../../base/clock.js";
import type { SharedConnectionProtocol } from "../protocol.js";
import { type ClientSessionOptions, MprpcClientSession } from "./client-session.js";
import { mprpcAlpn } from "./wire/limits.js";

export function mprpcClient(clock: Clock, options: ClientSessionOptions): SharedConnectionProtocol {
  return {
    name: "mprpc",
    alpn: mprpcAlpn,
    connects: "once",
    open: (connection, owner) => new MprpcClientSession(connection, clock, options, owner),
  };
}
