import { Expiring } from "../base/deadlines.js";
import type { Metadata } from "../base/metadata.js";
import type { RpcError } from "../error/rpc-error.js";
import type { MethodDefinition } from "../protobuf/types.js";

/** Where a call in flight can be given up. */
export interface CallCarrier {
  /** `host:port` of the provider. */
  readonly endpoint: string;
  /**
   * Gives the call up: the provider is told where the protocol allows it, and no reply will be delivered. True: not all
   * of the request was sent, nor will it be, so that it can never run.
   */
  abandon(call: CallOutcomeSink): boolean;
}

/** A call as connections see it: what to send, and where the outcome goes. Exactly one of the two outcomes comes, once. */
export abstract class CallOutcomeSink extends Expiring {
  readonly method: MethodDefinition;
  request: unknown;
  metadata: Metadata | undefined = undefined;
  idempotencyKey: string | undefined = undefined;
  oneway = false;
  /** What it waits for, in words; told when its deadline passes meanwhile. */
  waitsFor: (() => string) | undefined = undefined;
  /** When it was last sent on its way: read once for all steps of one turn, since reading the time is not free. */
  nowMs = 0;
  /** When the bytes of its reply arrived; 0: the carrier does not say. */
  repliedMs = 0;

  /** Set while a connection carries the call. */
  carrier: CallCarrier | undefined = undefined;
  /** Its number on the connection that carries it. */
  id = 0;
  /** Counts of frames and of calls on that connection when it was sent; these prove what never left or never ran. */
  frame = 0;
  sequence = 0;

  constructor(method: MethodDefinition, request: unknown) {
    super();
    this.method = method;
    this.request = request;
  }

  abstract onReply(message: unknown, metadata: Metadata | undefined): void;
  /** `refused`: the provider itself said no; otherwise the failure arose on this side. */
  abstract onFailure(error: RpcError, refused?: boolean): void;
}
