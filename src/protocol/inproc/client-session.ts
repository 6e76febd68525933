import type { Attempt } from "../../call/attempt.js";
import { messages } from "../../error/messages.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import type { ClientSession, ClientSessionOwner } from "../protocol.js";
import { InprocCall } from "./call.js";
import { CallList } from "./call-list.js";
import { metadataBytes } from "./copy.js";
import type { CallerEnd } from "./ends.js";
import type { InprocLimits, InprocServerSession } from "./server-session.js";

const never = { executed: "never" } as const;

/** The caller's end of a connection within the process. */
export class InprocClientSession implements ClientSession, CallerEnd<InprocCall> {
  readonly local = "inproc:node";
  readonly confidential = true;
  readonly endpoint: string;
  readonly welcomed = true;
  readonly silent = false;
  readonly malformed = false;
  answered = false;
  lostCalls = 0;
  readonly #server: InprocServerSession;
  readonly #limits: InprocLimits;
  readonly #owner: ClientSessionOwner;
  readonly #calls = new CallList<InprocCall>("atCaller");
  #state: "open" | "draining" | "closed" = "open";
  #nextId = 1;
  #sent = 0;

  /** `endpoint`: the address by which the registry knows the provider. */
  constructor(
    endpoint: string,
    server: InprocServerSession,
    limits: InprocLimits,
    owner: ClientSessionOwner,
  ) {
    this.endpoint = endpoint;
    this.#server = server;
    this.#limits = limits;
    this.#owner = owner;
    server.meet(this, limits);
  }

  get inFlight(): number {
    return this.#calls.size;
  }

  get hasRoom(): boolean {
    return true;
  }

  start(attempt: Attempt): void {
    const error = this.#send(attempt);
    if (error !== undefined) attempt.onFailure(error);
  }

  /** Returns why it cannot be sent. */
  #send(attempt: Attempt): RpcError | undefined {
    if (this.#state !== "open") return new RpcError(Status.UNAVAILABLE, messages.connectionClosing, never);
    if (this.#calls.size >= this.#server.maxInFlight) {
      const text = messages.tooManyCallsForProvider(this.#calls.size);
      return new RpcError(Status.RESOURCE_EXHAUSTED, text, never);
    }
    const { deadlineMs, oneway } = attempt;
    const timeoutMs = deadlineMs === Infinity ? -1 : Math.floor(deadlineMs - attempt.nowMs);
    if (deadlineMs !== Infinity && timeoutMs < 0) {
      return new RpcError(Status.DEADLINE_EXCEEDED, messages.deadlinePassedBeforeSending, never);
    }
    const { metadata } = attempt;
    if (metadata !== undefined && metadata.size > 0) {
      const tooLarge = this.#headerTooLarge(metadataBytes(metadata));
      if (tooLarge !== undefined) return new RpcError(Status.RESOURCE_EXHAUSTED, tooLarge, never);
    }
    const call = new InprocCall(this, this.#server, attempt, oneway ? 0 : this.#nextId++, timeoutMs);
    if (attempt.stream?.sendsMany !== true) {
      const unsendable = call.copyRequest(this.#bodyTooLarge);
      if (unsendable !== undefined) return unsendable;
    }
    this.#sent++;
    attempt.handTo(call, "wait");
    if (!oneway) this.#calls.add(call);
    this.#server.link.toProvider(call);
    if (oneway) attempt.onReply(undefined, undefined);
    return undefined;
  }

  #headerTooLarge(bytes: number): string | undefined {
    if (bytes > this.#limits.headerMaxBytes)
      return messages.headerTooLarge(bytes, this.#limits.headerMaxBytes);
    const { headerMaxBytes } = this.#server.limits;
    return bytes > headerMaxBytes ? messages.headerTooLargeForProvider(bytes, headerMaxBytes) : undefined;
  }

  readonly #bodyTooLarge = (bytes: number): string | undefined => {
    if (bytes > this.#limits.bodyMaxBytes) return messages.requestTooLarge(bytes, this.#limits.bodyMaxBytes);
    const { bodyMaxBytes } = this.#server.limits;
    return bytes > bodyMaxBytes ? messages.requestTooLargeForProvider(bytes, bodyMaxBytes) : undefined;
  };

  release(call: InprocCall): void {
    this.#calls.delete(call);
    if (this.#state === "draining" && this.#calls.size === 0) process.nextTick(() => this.#endIfIdle());
  }

  // --- the end ---

  drain(): void {
    if (this.#state !== "open") return;
    this.#state = "draining";
    this.#endIfIdle();
  }

  close(reason: string): void {
    this.#end(reason, true);
  }

  onGoingAway(why: string, acceptedNone: boolean, atOnce: boolean): void {
    if (this.#state !== "open") return;
    this.#state = "draining";
    const turnedAway = acceptedNone && (this.#sent > 0 || atOnce);
    this.#owner.onGoingAway(this, turnedAway ? why : undefined);
    this.#endIfIdle();
  }

  onProviderClosed(reason: string | undefined): void {
    this.#end(reason, false);
  }

  #endIfIdle(): void {
    if (this.#state === "draining" && this.#calls.size === 0) this.#end(undefined, true);
  }

  #end(reason: string | undefined, byCaller: boolean): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    if (byCaller) this.#server.onCallerClosed(reason);
    const lost = this.#calls.clear();
    this.lostCalls = lost.length;
    this.#owner.onClosed(this, reason);
    const text = messages.connectionLost(reason ?? messages.closed);
    for (const call of lost) {
      const executed = call.state === "sent" ? "never" : "maybe";
      call.lose(new RpcError(Status.UNAVAILABLE, text, { executed }));
    }
  }
}
