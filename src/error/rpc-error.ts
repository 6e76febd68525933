import type { Metadata } from "../base/metadata.js";
import { printable } from "../base/printable.js";
import { isOf, textOf } from "../base/thrown.js";
import { decodeMessage, encodeMessage, type MessageType } from "../protobuf/types.js";
import { messages } from "./messages.js";
import { Status, type StatusCode, type StatusName, statusName, toStatusCode } from "./status.js";

/**
 * Whether the handler ran. `never`: provably not, so the call may be sent again. `yes`: its answer or its throw came
 * back. `maybe`: everything between.
 */
export type Executed = "never" | "maybe" | "yes";

/** Where a call was when it failed. */
export type CallPhase = "resolve" | "connect" | "send" | "wait" | "receive" | "handle";

/** A typed, machine-readable detail, in the shape of `google.protobuf.Any`: see `RpcError.detail` and `findDetails`. */
export interface ErrorDetail {
  /** A type name the two sides agreed on, e.g. `fixbug.RetryInfo`. */
  type: string;
  /** Its encoded bytes. */
  value: Uint8Array;
}

export interface RpcErrorOptions {
  cause?: unknown;
  details?: readonly ErrorDetail[] | undefined;
  /** Default: `maybe`. */
  executed?: Executed | undefined;
  metadata?: Metadata | undefined;
  trailers?: Metadata | undefined;
  sourceConsumed?: boolean | undefined;
}

/** What is known of the call, added by the framework as the error passes through it. */
export interface CallFacts {
  /** `package.Service.method`. */
  method?: string | undefined;
  /** `host:port` of the last attempt. */
  endpoint?: string | undefined;
  phase?: CallPhase | undefined;
  elapsedMs?: number | undefined;
  attempts?: number | undefined;
}

/**
 * The one error every call fails with. `message` begins with the code in brackets, `[unavailable] ...`, and ends with
 * what is known of the call; it is one line for people, in which control characters of the text, which the other side may
 * have chosen, are escaped. `rawMessage` is the text alone, as it came.
 *
 * A handler throws it to choose the code the caller sees; anything else it throws reaches the caller as UNKNOWN with a
 * generic text.
 */
export class RpcError extends Error implements CallFacts {
  override readonly name = "RpcError";
  readonly code: StatusCode;
  readonly rawMessage: string;
  readonly details: readonly ErrorDetail[];
  readonly executed: Executed;
  /** Metadata that came with the failing reply; a handler's own for the caller. */
  readonly metadata: Metadata | undefined;
  /** Trailers that came with the failing reply. */
  readonly trailers?: Metadata;
  /**
   * True when messages were taken from the source of requests that cannot be sent once more: a call that is to be tried again needs a
   * new source, also when no handler ran.
   */
  readonly sourceConsumed?: boolean;
  readonly method?: string;
  readonly endpoint?: string;
  readonly phase?: CallPhase;
  readonly elapsedMs?: number;
  readonly attempts?: number;

  /** Throws `TypeError` for a code that is none, `Status.OK` included. */
  constructor(code: StatusCode, message = "", options: RpcErrorOptions = {}, facts: CallFacts = {}) {
    if (!isFailure(code)) {
      const text = typeof code === "string" && Object.hasOwn(Status, code) ? `: write Status.${code}` : "";
      throw new TypeError(messages.notAStatus(JSON.stringify(code), text));
    }
    super(
      `[${statusName(code).toLowerCase()}] ${printable(message)}${printable(describe(facts))}`,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.code = code;
    this.rawMessage = message;
    this.details = options.details ?? [];
    this.executed = options.executed ?? "maybe";
    this.metadata = options.metadata;
    if (options.trailers !== undefined) this.trailers = options.trailers;
    if (options.sourceConsumed === true) this.sourceConsumed = true;
    Object.assign(this, facts);
  }

  /** `UNAVAILABLE`, `NOT_FOUND` ... */
  get codeName(): StatusName {
    return statusName(this.code);
  }

  /** A message as a detail: `new RpcError(code, text, { details: [RpcError.detail(RetryInfo, { afterMs: 500 })] })`. */
  static detail<In>(type: MessageType<unknown, In>, value: In): ErrorDetail {
    return { type: type.typeName, value: encodeMessage(type, value) };
  }

  /** The details of a type, in order. Throws for one whose bytes are not a message of it. */
  findDetails<Out>(type: MessageType<Out>): Out[] {
    // Other languages may send the name as google.protobuf.Any has it, behind a prefix.
    const isIts = (name: string): boolean => name.slice(name.lastIndexOf("/") + 1) === type.typeName;
    return this.details.filter((one) => isIts(one.type)).map(({ value }) => decodeMessage(type, value));
  }

  /** Any thrown value as an RpcError: itself, or UNKNOWN (`CANCELLED` for an AbortError) with the value as `cause`. */
  static from(thrown: unknown): RpcError {
    if (isOf(thrown, RpcError)) return thrown;
    const text = textOf(thrown);
    const aborted = isAbort(thrown);
    return new RpcError(aborted ? Status.CANCELLED : Status.UNKNOWN, text, { cause: thrown });
  }

  /** The same failure with more known of its call. The stack stays that of the first. */
  with(facts: CallFacts, executed: Executed = this.executed, sourceConsumed = this.sourceConsumed): RpcError {
    const { method, endpoint, phase, elapsedMs, attempts } = this;
    const known: CallFacts = {};
    for (const [key, value] of Object.entries({ method, endpoint, phase, elapsedMs, attempts, ...facts })) {
      if (value !== undefined) Object.assign(known, { [key]: value });
    }
    const options: RpcErrorOptions = { details: this.details, executed, cause: this.cause };
    if (this.metadata !== undefined) options.metadata = this.metadata;
    if (this.trailers !== undefined) options.trailers = this.trailers;
    if (sourceConsumed === true) options.sourceConsumed = true;
    // Whoever made it may have changed it since.
    const code = isFailure(this.code) ? this.code : Status.UNKNOWN;
    const error = new RpcError(code, this.rawMessage, options, known);
    if (this.stack !== undefined) error.stack = this.stack.replace(this.message, () => error.message);
    return error;
  }
}

function isFailure(code: StatusCode): boolean {
  return code !== Status.OK && toStatusCode(code) === code;
}

function isAbort(thrown: unknown): boolean {
  try {
    return thrown instanceof Error && thrown.name === "AbortError";
  } catch {
    return false;
  }
}

/** ` (pkg.Service.method at 127.0.0.1:8000, wait, after 12.3 ms, attempt 2)`: only what is known. */
function describe({ method, endpoint, phase, elapsedMs, attempts }: CallFacts): string {
  const parts: string[] = [];
  if (method !== undefined) parts.push(endpoint === undefined ? method : `${method} at ${endpoint}`);
  else if (endpoint !== undefined) parts.push(`at ${endpoint}`);
  if (phase !== undefined) parts.push(`phase ${phase}`);
  if (elapsedMs !== undefined) parts.push(`after ${elapsedMs.toFixed(1)} ms`);
  if (attempts !== undefined) parts.push(attempts === 1 ? "1 attempt" : `${attempts} attempts`);
  return parts.length === 0 ? "" : ` (${parts.join(", ")})`;
}
