import type { Metadata } from "../base/metadata.js";
import type { MethodDefinition } from "../protobuf/types.js";
import type { RpcController } from "./controller.js";
import type { Peer } from "./peer.js";

/** What a handler knows of the call it serves. */
export interface CallContext {
  readonly method: MethodDefinition;
  /** Sent by the caller. */
  readonly metadata: Metadata;
  /** Sent before the reply's message, also when the call fails. */
  readonly replyMetadata: Metadata;
  /** Sent at the end of the call, behind the last message, also when it fails. Of a unary call they stay at the provider. */
  readonly replyTrailers: Metadata;
  /** The caller. */
  readonly peer: Peer;
  /**
   * Aborted when the caller cancels, the deadline passes, the connection is lost or the provider stops; for a oneway call
   * only by its deadline and the provider: its caller may be gone long before it runs.
   */
  readonly signal: AbortSignal;
  /**
   * Aborted when the provider is about to stop, or the connection has reached its age: a stream that would go on may end itself, and
   * its caller calls again elsewhere. The call goes on meanwhile, at a provider that stops until `provider.draintimeout`.
   */
  readonly draining: AbortSignal;
  /** The classic view of the same call. */
  readonly controller: RpcController;
  /**
   * Sends `replyMetadata` now, before the first message of a stream of replies; later changes of them are not sent. In a call with one
   * reply it does nothing: they go with it.
   */
  sendMetadata(): void;
  /** Milliseconds left until the deadline; `Infinity` without one. */
  timeLeftMs(): number;
  readonly idempotencyKey: string | undefined;
}
