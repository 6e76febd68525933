import { messages } from "../../error/messages.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import type { Http2Stream } from "../http2/stream.js";
import type { OutgoingField, PreparedHeaders } from "../http2/wire/hpack-encoder.js";
import type { PlainAnswer } from "./plain-answer.js";
import type { RequestHead } from "./request-head.js";
import { failureFields } from "./status-fields.js";

/** Answers a call that no handler gets. `headers`: of a gRPC response; `more`: further trailers. */
export function refuse(
  stream: Http2Stream,
  headers: PreparedHeaders,
  { knownEncoding }: RequestHead,
  error: RpcError,
  ...more: OutgoingField[]
): void {
  const fields = [...failureFields(error.with({}, "never"), undefined), ...more];
  // What it may send instead.
  if (!knownEncoding) fields.push({ name: "grpc-accept-encoding", value: "identity,gzip" });
  stream.headers(headers, fields, true);
}

export function noMethod({ path }: RequestHead): RpcError {
  return new RpcError(Status.UNIMPLEMENTED, messages.noMethod(` ${path}`));
}

/** What a request that is not gRPC is told in plain HTTP. */
export function plainAnswerTo({ bound, post, path, contentType }: RequestHead): PlainAnswer {
  if (bound === undefined) return { status: "404", text: `${messages.noMethod(` ${path}`)}\n` };
  return post
    ? { status: "415", text: `${messages.grpcContentType(contentType)}\n` }
    : { status: "405", text: `${messages.grpcPostOnly}\n`, allow: "POST" };
}
