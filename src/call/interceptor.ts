import type { Metadata } from "../base/metadata.js";
import type { MethodDefinition } from "../wire/codec/types.js";
import type { CallContext } from "./context.js";

/** A call on its way out. Interceptors may change `request` and `metadata`. */
export interface OutgoingCall {
  readonly method: MethodDefinition;
  request: unknown;
  /** Sent with the request. */
  readonly metadata: Metadata;
  readonly signal: AbortSignal | undefined;
  /** Milliseconds left until the deadline; `Infinity` without one. */
  timeLeftMs(): number;
}

export interface IncomingReply {
  message: unknown;
  /** Came with the reply. */
  readonly metadata: Metadata;
}

/** A call on its way to the handler. Interceptors may change `request`. */
export interface IncomingCall {
  readonly method: MethodDefinition;
  request: unknown;
  readonly context: CallContext;
}

/** Rejects with RpcError, whose `executed` tells whether another `next` is safe. May be called more than once. */
export type ClientNext = (call: OutgoingCall) => Promise<IncomingReply>;
export type ClientInterceptor = (next: ClientNext) => ClientNext;

/** Resolves to the response message. */
export type ServerNext = (call: IncomingCall) => Promise<unknown>;
export type ServerInterceptor = (next: ServerNext) => ServerNext;

/** The first interceptor is the outermost. */
export function compose<Next>(interceptors: ReadonlyArray<(next: Next) => Next>, last: Next): Next {
  return interceptors.reduceRight((next, interceptor) => interceptor(next), last);
}
