import { Emitter } from "../base/emitter.js";
import type { Metadata } from "../base/metadata.js";
import type { Executed, RpcError } from "../error/rpc-error.js";
import type { StatusCode } from "../error/status.js";
import type { Logger } from "../log/logger.js";
import type { MethodDefinition } from "../protobuf/types.js";
import type { CallContext } from "./context.js";
import type { Peer, ProtocolName } from "./peer.js";

/** A call at its caller. One object from `clientStart` to `clientEnd`, so a listener can use it as a key. */
export interface ObservedCall {
  readonly method: MethodDefinition;
  /** Sent with the request, including what interceptors added. */
  readonly metadata: Metadata | undefined;
  readonly oneway: boolean;
}

/** One try of a call at a provider. One object from `attemptStart` to `attemptEnd`. */
export interface ObservedAttempt {
  /** 1 for the first of its call. */
  readonly number: number;
  /** `host:port` of the provider. */
  readonly endpoint: string | undefined;
}

/** The common fields of the end events of calls and attempts. */
export interface CallEnd {
  code: StatusCode;
  elapsedMs: number;
  /** Set when `code` is not OK. */
  error: RpcError | undefined;
}

/** The life of calls and connections, for metrics, tracing and logs. Events are built only when somebody listens. */
export interface CallEvents {
  clientStart: { call: ObservedCall };
  clientEnd: CallEnd & {
    call: ObservedCall;
    endpoint: string | undefined;
    attempts: number;
    executed: Executed;
  };
  /** The call is given to a provider. */
  attemptStart: { call: ObservedCall; attempt: ObservedAttempt };
  /** `again`: it failed without reaching a handler, and the call is tried again. */
  attemptEnd: CallEnd & { call: ObservedCall; attempt: ObservedAttempt; executed: Executed; again: boolean };
  /** `call` is the context of the handler, the same object at the end. */
  serverStart: { call: CallContext };
  serverEnd: CallEnd & { call: CallContext };
  /**
   * A call was refused because of its caller, before any handler ran (an open stream: during it). `method`: `pkg.Service/Method`, or
   * `any method` for a token that is not accepted.
   */
  callDenied: { method: string; peer: Peer; code: StatusCode; error: RpcError };
  connectionOpen: { side: "client" | "server"; protocol: ProtocolName; local: string; remote: string };
  connectionClose: {
    side: "client" | "server";
    protocol: ProtocolName;
    local: string;
    remote: string;
    /** Why, when it was not a clean end. */
    reason: string | undefined;
  };
}

export type CallEmitter = Emitter<CallEvents>;

/** All events; the compiler checks that none is missing. Other names are refused. */
const known: Readonly<Record<keyof CallEvents, true>> = {
  clientStart: true,
  clientEnd: true,
  attemptStart: true,
  attemptEnd: true,
  serverStart: true,
  serverEnd: true,
  callDenied: true,
  connectionOpen: true,
  connectionClose: true,
};
const names = Object.keys(known) as (keyof CallEvents)[];

/** Errors of listeners go to `log`. */
export function createCallEmitter(log: Logger): CallEmitter {
  return new Emitter<CallEvents>(
    (error, event) => log.error(`a listener of ${event} threw`, { error }),
    names,
  );
}
