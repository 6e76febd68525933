import { messages } from "../../error/messages.js";
import type { Detection, ServerProtocol } from "../protocol.js";
import { MprpcServerSession, type ServerSessionOptions } from "./server-session.js";
import { mprpcAlpn } from "./wire/limits.js";

/** How many bytes stand in front of a header. */
const prefixBytes = 4;
/** The first field of the settings' header, with which each connection begins. */
const settingsTag = 0x20;

/** `served`: false recognises such callers only to refuse them by name. */
export function mprpcServer(options: ServerSessionOptions, served = true): ServerProtocol {
  return {
    name: "mprpc",
    refusal: undefined,
    tellsToLeave: true,
    turnsAway: () => (served ? undefined : messages.mprpcNotServed),
    alpn: [mprpcAlpn],
    detect: detectMprpc,
    serve: (connection, dispatcher) => new MprpcServerSession(connection, dispatcher, options),
  };
}

/**
 * mprpc/2 begins with a settings frame, whose header starts with field 4 (`0x20`). Wait for the whole header: otherwise a peer that
 * never completes it would count as a normal connection.
 */
export function detectMprpc(received: Buffer): Detection {
  // A header below 64 KiB has two zero bytes at the top of its little-endian length.
  if (received.length > 2 && received[2] !== 0) return { kind: "no" };
  if (received.length > 3 && received[3] !== 0) return { kind: "no" };
  if (received.length <= prefixBytes) return { kind: "need-more", bytes: received.length + 1 };
  if (received[prefixBytes] !== settingsTag) return { kind: "no" };
  const headerEnd = prefixBytes + received.readUInt32LE(0);
  if (received.length >= headerEnd) return { kind: "match" };
  return { kind: "need-more", bytes: headerEnd, recognised: "its first header was not whole" };
}
