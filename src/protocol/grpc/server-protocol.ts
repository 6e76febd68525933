import { messages } from "../../error/messages.js";
import { clientPreface } from "../http2/wire/frame.js";
import type { Detection, ServerProtocol } from "../protocol.js";
import { Http1Refusal } from "./http1-refusal.js";
import { type GrpcServerOptions, GrpcServerSession } from "./server-session.js";

const http1Methods = ["GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"].map(
  (name) => Buffer.from(`${name} `, "latin1"),
);
const http1 = "http/1.1";

/** `names`: what the port answers in, for callers of HTTP/1.1. `served`: false recognises gRPC callers only to refuse them by name. */
export function grpcServer(
  options: GrpcServerOptions,
  names: readonly string[],
  served: boolean,
): ServerProtocol {
  return {
    name: "grpc",
    // HTTP/1.1 callers are accepted to be answered with the protocols served.
    alpn: served ? ["h2", http1] : [http1],
    refusal: undefined,
    tellsToLeave: true,
    turnsAway: (variant) => (served || variant === http1 ? undefined : messages.grpcNotServed),
    detect: detectHttp,
    serve(connection, dispatcher, variant) {
      if (variant === http1) return new Http1Refusal(connection, dispatcher, names);
      return new GrpcServerSession(connection, dispatcher, options);
    },
  };
}

function startOf(whole: Buffer, received: Buffer): "all" | "part" | "no" {
  const length = Math.min(whole.length, received.length);
  if (whole.compare(received, 0, length, 0, length) !== 0) return "no";
  return length === whole.length ? "all" : "part";
}

/** HTTP/2 begins with its preface; HTTP/1.1 with a method. */
export function detectHttp(received: Buffer): Detection {
  const preface = startOf(clientPreface, received);
  if (preface === "all") return { kind: "match" };
  if (preface === "part") return { kind: "need-more", bytes: clientPreface.length };
  let needed = 0;
  for (const method of http1Methods) {
    const found = startOf(method, received);
    if (found === "all") return { kind: "match", variant: http1 };
    if (found === "part") needed = needed === 0 ? method.length : Math.min(needed, method.length);
  }
  return needed === 0 ? { kind: "no" } : { kind: "need-more", bytes: needed };
}
