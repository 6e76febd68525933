import type { CallContext } from "../../src/call/context.js";
import { RpcError } from "../../src/error/rpc-error.js";
import { type StatusCode, toStatusCode } from "../../src/error/status.js";
import type {
  EchoStatusInput,
  InteropServiceHandler,
  SimpleRequest,
  StreamRequest,
  StreamResponseInput,
} from "./gen/interop.js";

/** The metadata that the case custom_metadata sends and wants back: the first as initial metadata, the second in the trailers. */
export const echoInitial = "x-interop-echo-initial";
export const echoTrailing = "x-interop-echo-trailing-bin";

function echoMetadata(context: CallContext): void {
  const initial = context.metadata.getText(echoInitial);
  if (initial !== undefined) context.replyMetadata.set(echoInitial, initial);
  const trailing = context.metadata.get(echoTrailing);
  if (trailing !== undefined) context.replyTrailers.set(echoTrailing, trailing as Buffer);
}

function throwStatus(status: EchoStatusInput | undefined): void {
  if (status === undefined || (status.code ?? 0) === 0) return;
  throw new RpcError(toStatusCode(status.code ?? 0) as StatusCode, status.message ?? "");
}

async function* respond(request: StreamRequest): AsyncGenerator<StreamResponseInput, void> {
  throwStatus(request.responseStatus);
  for (const size of request.responseSizes) {
    if (request.intervalMs > 0) await new Promise((resolve) => setTimeout(resolve, request.intervalMs));
    yield { payload: { body: Buffer.alloc(size) } };
  }
}

/** What gRPC's interoperability cases want of a server. */
export const interopHandlers: InteropServiceHandler = {
  emptyCall: () => ({}),
  unaryCall(request: SimpleRequest, context: CallContext) {
    echoMetadata(context);
    throwStatus(request.responseStatus);
    return { payload: { body: Buffer.alloc(request.responseSize) } };
  },
  streamingOutputCall: (request) => respond(request),
  async streamingInputCall(requests) {
    let size = 0;
    for await (const { payload } of requests) size += payload?.body.length ?? 0;
    return { aggregatedPayloadSize: size };
  },
  async *fullDuplexCall(requests, context) {
    echoMetadata(context);
    for await (const request of requests) yield* respond(request);
  },
  unimplementedCall: () => {
    throw new RpcError(12, "nobody implements it");
  },
};
