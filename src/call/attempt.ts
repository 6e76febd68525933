import type { Metadata } from "../base/metadata.js";
import type { CallPhase, RpcError } from "../error/rpc-error.js";
import type { MethodDefinition } from "../protobuf/types.js";
import type { CallStream } from "./call-stream.js";

/** Where an attempt waits, or the connection it was sent on. */
export interface CallCarrier {
  /**
   * Gives the attempt up: the provider is notified where the protocol allows it, and no outcome is delivered. True: the request
   * was not sent completely and will not be, so it can never run.
   */
  abandon(attempt: Attempt): boolean;
}

/** Receives how long an endpoint took. */
export interface LatencyObserver {
  observe(elapsedMs: number, nowMs: number): void;
  /** There was no answer in this time. */
  observeAtLeast(elapsedMs: number, nowMs: number): void;
}

/** A call as its attempts see it: what to send, and where the outcome goes. */
export interface CallOutcomeSink {
  readonly method: MethodDefinition;
  readonly request: unknown;
  readonly metadata: Metadata | undefined;
  readonly idempotencyKey: string | undefined;
  /** The channel's credentials, the value of the metadata key `authorization`. Kept out of `metadata`, which listeners can see. */
  readonly authorization?: string | undefined;
  readonly oneway: boolean;
  /** Set for a call that streams. */
  readonly stream: CallStream | undefined;
  /** On the clock of the runtime; `Infinity`: none. */
  readonly deadlineMs: number;
  /** The attempt goes to an endpoint now. */
  onAttempt(attempt: Attempt): void;
  onReply(
    attempt: Attempt,
    message: unknown,
    metadata: Metadata | undefined,
    trailers: Metadata | undefined,
  ): void;
  /** `refused`: the provider itself refused the call; otherwise the failure arose on this side. */
  onFailure(attempt: Attempt, error: RpcError, refused: boolean): void;
}

/**
 * One try of a call. Its carriers (the picker, a subchannel, a connection) pass it on by `handTo`; it ends once, in
 * `onReply`, in `onFailure`, or given up by `abandon`.
 */
export class Attempt<Call extends CallOutcomeSink = CallOutcomeSink> {
  readonly call: Call;
  /** Its number among the call's attempts, from 1; 0 until it is given to a provider. */
  number = 0;
  /** `host:port` of the provider it was given to; until then that of the attempt before. */
  endpoint: string | undefined = undefined;
  /** How far it got. */
  phase: CallPhase = "resolve";
  /** What it waits for, as text, for the error when the deadline passes meanwhile. */
  waitsFor: (() => string) | undefined = undefined;
  /** When it was last routed. Read once for all steps of one turn, since reading the clock is not free. */
  nowMs: number;
  /** When the bytes of its reply arrived; 0: the carrier does not say. */
  repliedMs = 0;
  /** Receives how long it took since `sentMs`. */
  observer: LatencyObserver | undefined = undefined;
  sentMs = 0;
  /** Its number on the connection that carries it. */
  id = 0;
  /** Counts of frames and of calls on that connection when it was sent; they prove that it was never sent or never ran. */
  frame = 0;
  sequence = 0;
  #carrier: CallCarrier | undefined = undefined;

  constructor(call: Call, nowMs: number) {
    this.call = call;
    this.nowMs = nowMs;
  }

  get method(): MethodDefinition {
    return this.call.method;
  }

  get request(): unknown {
    return this.call.request;
  }

  get metadata(): Metadata | undefined {
    return this.call.metadata;
  }

  get idempotencyKey(): string | undefined {
    return this.call.idempotencyKey;
  }

  get authorization(): string | undefined {
    return this.call.authorization;
  }

  get oneway(): boolean {
    return this.call.oneway;
  }

  get stream(): CallStream | undefined {
    return this.call.stream;
  }

  get deadlineMs(): number {
    return this.call.deadlineMs;
  }

  /** Passes the attempt to `carrier`. */
  handTo(carrier: CallCarrier, phase: CallPhase, waitsFor?: () => string): void {
    this.#carrier = carrier;
    this.phase = phase;
    this.waitsFor = waitsFor;
  }

  /** It is being sent to the provider at `endpoint`. */
  begin(endpoint: string): void {
    this.endpoint = endpoint;
    this.call.onAttempt(this);
  }

  onReply(message: unknown, metadata: Metadata | undefined, trailers?: Metadata): void {
    this.#carrier = undefined;
    this.call.onReply(this, message, metadata, trailers);
  }

  onFailure(error: RpcError, refused = false): void {
    this.#carrier = undefined;
    this.call.onFailure(this, error, refused);
  }

  /** Gives it up. True: its request can never run. */
  abandon(): boolean {
    const carrier = this.#carrier;
    this.#carrier = undefined;
    return carrier?.abandon(this) ?? false;
  }
}
