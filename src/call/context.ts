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
  /** Sent behind the last message of a stream. A unary reply has none yet: what is put here stays at the provider. */
  readonly replyTrailers: Metadata;
  /** The caller. */
  readonly peer: Peer;
  /**
   * Aborted when the caller cancels, the deadline passes, the connection is lost or the provider stops; for a oneway call
   * only by its deadline and the provider: its caller may be gone long before it runs.
   */
  readonly signal: AbortSignal;
  /** The classic view of the same call. */
  readonly controller: RpcController;
  /** Milliseconds left until the deadline; `Infinity` without one. */
  timeLeftMs(): number;
  readonly idempotencyKey: string | undefined;
}
