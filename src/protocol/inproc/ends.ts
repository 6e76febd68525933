import type { Peer } from "../../call/peer.js";
import type { BoundMethod } from "../../call/server-call.js";
import type { RpcError } from "../../error/rpc-error.js";
import type { MethodDefinition } from "../../protobuf/types.js";
import type { InprocLink } from "./link.js";

/** The caller's end of a connection, as its calls and the other end see it. */
export interface CallerEnd<Call> {
  /** A reply has arrived. */
  answered: boolean;
  /** A call has ended, or was given up. */
  release(call: Call): void;
  /**
   * The provider accepts no more calls; with `acceptedNone` it has accepted none at all. `atOnce`: it refused before this end existed.
   */
  onGoingAway(why: string, acceptedNone: boolean, atOnce: boolean): void;
  onProviderClosed(reason: string | undefined): void;
}

/** The provider's end, as its calls see it. */
export interface ProviderEnd<Call> {
  readonly peer: Peer;
  readonly link: InprocLink;
  readonly draining: boolean;
  readonly closed: boolean;
  /** The smaller limit of both ends. */
  readonly headerMaxBytes: number;
  find(method: MethodDefinition): BoundMethod | undefined;
  /** A call has arrived. */
  begin(call: Call): void;
  /** The caller has given it up. */
  cancelLater(call: Call): void;
  /** It has ended. */
  release(call: Call): void;
  onDetached(by: 1 | -1): void;
  /** Returns why a reply of this size cannot be sent. */
  refuseReply(bytes: number, headerBytes: number): RpcError | undefined;
}
