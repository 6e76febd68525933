import type { UnreadMetadata } from "../../base/metadata.js";
import type { ReplySender } from "../../call/server-call.js";
import type { RpcError } from "../../error/rpc-error.js";
import type { CallerAgain } from "../caller-wait.js";
import type { PreparedHeaders } from "../http2/wire/hpack-encoder.js";
import type { MessageFormat } from "./content-type.js";
import type { RepeatedMetadata } from "./metadata-fields.js";
import type { RepeatedHead } from "./repeated-head.js";

/** Memory that several connections share. */
export interface UnreadBudget {
  readonly free: number;
  /** Takes (or, if negative, releases) bytes even if there is no room. */
  force(bytes: number): void;
}

/** What a call, a `Call`, needs from its connection. */
export interface GrpcCallPort<Call> extends ReplySender {
  readonly bodyMaxBytes: number;
  readonly repeated: RepeatedMetadata;
  readonly repeatedHead: RepeatedHead;
  /** Header blocks that all replies have in common. */
  readonly headOf: Readonly<Record<MessageFormat, PreparedHeaders>>;
  readonly gzipHeadOf: Readonly<Record<MessageFormat, PreparedHeaders>>;
  readonly okTail: PreparedHeaders;
  /** Little waits to be sent to the caller, on all streams. */
  readonly takesMore: boolean;
  /** The request is complete. Returns why it cannot run after all, or what it waits for, to be followed by `onJudgedAgain`. */
  onWhole(call: Call): RpcError | CallerAgain | undefined;
  /** It may still be made. Returns why it cannot run after all. */
  onJudgedAgain(call: Call): RpcError | undefined;
  /** The caller of a waiting call is known. Returns why it cannot be served after all. */
  onCallerKnown(call: Call): RpcError | undefined;
  /** It ends although its request is incomplete. */
  onNeverWhole(call: Call): void;
  /** A handler was called and has returned a value or a promise. */
  onRun(): void;
  /** Reserves memory for unread bytes of that call. False: there is no room. */
  hold(call: Call, bytes: number): boolean;
  /** So many bytes of its body begin to wait for a check, or, negative, wait no more. Returns why they may not. */
  wait(bytes: number): RpcError | undefined;
}

/** What the header block of a call contains. */
export interface GrpcRequestHead {
  readonly format: MessageFormat;
  /** -1: no deadline. */
  readonly timeoutMs: number;
  /** The caller's user agent, if that is the only metadata. */
  readonly unread: UnreadMetadata | undefined;
  /** What its fields count, bytes. */
  readonly sizeBytes: number;
  /** What `grpc-encoding` says. */
  readonly encoding: string;
  /** Replies may be compressed. */
  readonly gzip: boolean;
}
