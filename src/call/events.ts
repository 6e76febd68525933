import { Emitter } from "../base/emitter.js";
import type { Executed, RpcError } from "../error/rpc-error.js";
import type { StatusCode } from "../error/status.js";
import type { Logger } from "../log/logger.js";
import type { MethodDefinition } from "../protobuf/types.js";
import type { ProtocolName } from "./peer.js";

/** What the ends of calls have in common, on either side. */
export interface CallEnd {
  method: MethodDefinition;
  code: StatusCode;
  elapsedMs: number;
  /** Set when `code` is not OK. */
  error: RpcError | undefined;
}

/** The life of calls and connections, for metrics, tracing and logs. Events are built only when somebody listens. */
export interface CallEvents {
  clientStart: { method: MethodDefinition };
  clientEnd: CallEnd & { endpoint: string | undefined; attempts: number; executed: Executed };
  /** An attempt failed without reaching a handler and the call goes on elsewhere. */
  clientRetry: { method: MethodDefinition; endpoint: string | undefined; attempt: number; error: RpcError };
  serverStart: { method: MethodDefinition; peer: string; classic: boolean };
  serverEnd: CallEnd & { peer: string; classic: boolean };
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

/** Each of them, or it does not compile: a name that is not here is refused. */
const known: Readonly<Record<keyof CallEvents, true>> = {
  clientStart: true,
  clientEnd: true,
  clientRetry: true,
  serverStart: true,
  serverEnd: true,
  connectionOpen: true,
  connectionClose: true,
};
const names = Object.keys(known) as (keyof CallEvents)[];

/** What a listener throws goes to `log`. */
export function createCallEmitter(log: Logger): CallEmitter {
  return new Emitter<CallEvents>(
    (error, event) => log.error(`a listener of ${event} threw`, { error }),
    names,
  );
}
