import { Metadata } from "../base/metadata.js";
import { callGuarded, textOf } from "../base/thrown.js";
import { type CallOptions, wrongCallOption } from "../call/options.js";
import { callScope } from "../call/scope.js";
import type { CallOrigin } from "../dynamic/json-calls.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status, type StatusCode } from "../error/status.js";
import type { MethodDefinition } from "../protobuf/types.js";
import type { Runtime } from "../runtime/runtime.js";
import type { ResolvedCallOptions } from "./client-call.js";

/** The channel's values for options a call leaves out. */
export interface CallDefaults {
  readonly timeoutMs: number;
  readonly waitForReady: boolean;
  /** Interceptors add to the metadata of a call, so that each call needs its own. */
  readonly changesMetadata: boolean;
}

/** Puts the options of a call, the channel's defaults and the calling handler's limits together. */
export class OptionsResolver {
  readonly #runtime: Pick<Runtime, "clock" | "log">;
  readonly #defaults: CallDefaults;

  constructor(runtime: Pick<Runtime, "clock" | "log">, defaults: CallDefaults) {
    this.#runtime = runtime;
    this.#defaults = defaults;
  }

  /** The plan of a call, or the error if its options are invalid. */
  resolve(
    method: MethodDefinition,
    options: CallOptions | undefined,
    signal: AbortSignal | undefined,
    oneway: boolean,
    origin: CallOrigin | undefined,
  ): ResolvedCallOptions | RpcError {
    if (options !== undefined && options !== null) {
      const wrong = wrongCallOption(options);
      if (wrong !== undefined) return localFailure(Status.INTERNAL, wrong, method.fullName);
      if (method.kind === "unary" && options.idleTimeoutMs !== undefined) {
        const text = messages.idleTimeoutOfUnary(method.fullName);
        return localFailure(Status.INTERNAL, text, method.fullName);
      }
    }
    const endless = method.kind === "server_streaming" || method.kind === "bidi_streaming";
    const timeoutMs = options?.timeoutMs ?? (endless ? Infinity : this.#defaults.timeoutMs);
    const parent = callScope.current;
    const startMs = this.#runtime.clock.now();
    const own = (origin?.sinceMs ?? startMs) + timeoutMs;
    let metadata: Metadata | undefined;
    if (options?.metadata !== undefined) {
      try {
        // Interceptors add to it, and the caller's own must not change.
        metadata = this.#defaults.changesMetadata
          ? new Metadata(options.metadata)
          : Metadata.from(options.metadata);
      } catch (error) {
        return localFailure(Status.INTERNAL, textOf(error), method.fullName);
      }
    }
    const inherited = parent !== undefined && parent.deadlineMs < own;
    return {
      deadlineMs: inherited ? parent.deadlineMs : own,
      inherited,
      timeoutMs,
      startMs,
      sinceMs: origin?.sinceMs,
      signals: signalsOf(options?.signal, signal),
      metadata,
      onMetadata: options?.onMetadata === undefined ? undefined : this.#guarded(options.onMetadata),
      idempotencyKey: options?.idempotencyKey,
      idleTimeoutMs: options?.idleTimeoutMs ?? Infinity,
      waitForReady: options?.waitForReady ?? this.#defaults.waitForReady,
      oneway,
      parent,
      lookup: origin?.lookup,
    };
  }

  /** The caller's callback; an error in it must not affect the connection that calls it. */
  #guarded(onMetadata: (metadata: Metadata) => void): (metadata: Metadata) => void {
    return (metadata) =>
      callGuarded(
        () => onMetadata(metadata),
        (error) => this.#runtime.log.error("a caller's onMetadata threw", { error }),
      );
  }
}

const noSignals: readonly AbortSignal[] = [];

function signalsOf(first: AbortSignal | undefined, second: AbortSignal | undefined): readonly AbortSignal[] {
  if (first === undefined) return second === undefined ? noSignals : [second];
  return second === undefined ? [first] : [first, second];
}

/** A failure before anything was sent. */
export function localFailure(code: StatusCode, text: string, method: string): RpcError {
  return new RpcError(code, text, { executed: "never" }, { method });
}
