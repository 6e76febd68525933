import { formatAddress } from "../../base/address.js";
import type { Clock } from "../../base/clock.js";
import { textOf } from "../../base/thrown.js";
import type { Attempt, CallCarrier } from "../../call/attempt.js";
import { messages } from "../../error/messages.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import type { Connection, ConnectionHandler } from "../../transport/transport.js";
import { type Http2ClientOwner, Http2ClientSession } from "../http2/client-session.js";
import type { Http2Options } from "../http2/options.js";
import type { OutgoingField } from "../http2/wire/hpack-encoder.js";
import type { ClientSession, ClientSessionOwner, ProviderPlace } from "../protocol.js";
import { GrpcClientCall, type GrpcClientPort } from "./client-call.js";
import { writeMessage } from "./message-body.js";
import { appendMetadata, idempotencyField, isPrintable, RepeatedMetadata } from "./metadata-fields.js";
import { RepeatedHead } from "./repeated-head.js";
import { RequestHeads } from "./request-heads.js";
import { formatTimeout, sentTimeoutMs } from "./timeout.js";

export interface GrpcClientOptions {
  http2: Partial<Http2Options>;
  /** Largest message, bytes, both ways. */
  bodyMaxBytes: number;
  /** Bytes that may wait to be sent before calls fail RESOURCE_EXHAUSTED. */
  unwrittenMaxBytes: number;
}

/** Streams wait for their turn while more than this waits to be sent, bytes. */
const streamsWaitBytes = 1024 * 1024;

/** The calling side of one gRPC connection. */
export class GrpcClientSession
  implements ClientSession, CallCarrier, GrpcClientPort, Http2ClientOwner, ConnectionHandler
{
  readonly endpoint: string;
  readonly bodyMaxBytes: number;
  readonly gzip: boolean;
  /** When bytes last came. */
  nowMs: number;
  welcomed = false;
  answered = false;
  silent = false;
  malformed = false;
  lostCalls = 0;
  #goingAway = false;
  readonly #repeated = new RepeatedMetadata();
  readonly #repeatedHead = new RepeatedHead((fields) => this.#http2.prepare(fields));
  #reported = false;
  /** Calls for which the connection is lost. */
  #lost: Array<{ readonly attempt: Attempt; readonly error: RpcError }> = [];
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #options: GrpcClientOptions;
  readonly #owner: ClientSessionOwner;
  readonly #onGoAway: (debug: string) => void;
  readonly #http2: Http2ClientSession;
  readonly #heads: RequestHeads;

  /** `onGoAway` gets the server's reason. */
  constructor(
    connection: Connection,
    clock: Clock,
    options: GrpcClientOptions,
    owner: ClientSessionOwner,
    place: ProviderPlace,
    onGoAway: (debug: string) => void,
  ) {
    this.endpoint = connection.remote;
    this.bodyMaxBytes = options.bodyMaxBytes;
    this.gzip = place.attributes.compression === "gzip";
    this.#connection = connection;
    this.#clock = clock;
    this.#options = options;
    this.#owner = owner;
    this.#onGoAway = onGoAway;
    this.nowMs = clock.now();
    this.#http2 = new Http2ClientSession(connection, clock, this, options.http2);
    this.#heads = new RequestHeads((fields) => this.#http2.prepare(fields), {
      scheme: connection.security?.kind === "tls" ? "https" : "http",
      authority: place.attributes.authority ?? formatAddress(place.address),
      gzip: this.gzip,
    });
    connection.setHandler(this);
  }

  get local(): string {
    return this.#http2.local;
  }

  get inFlight(): number {
    return this.#http2.inFlight;
  }

  get hasRoom(): boolean {
    return this.#http2.hasRoom;
  }

  get ending(): boolean {
    return this.#http2.draining;
  }

  get closed(): boolean {
    return this.#http2.closed;
  }

  get takesMore(): boolean {
    return this.#http2.pendingBytes < streamsWaitBytes;
  }

  start(attempt: Attempt): void {
    attempt.handTo(this, "wait");
    const refusal = this.#refusal(attempt);
    if (refusal !== undefined) {
      attempt.onFailure(refusal);
      return;
    }
    const leftMs = attempt.deadlineMs - attempt.nowMs;
    const timeoutMs = leftMs === Infinity ? -1 : sentTimeoutMs(Math.max(0, leftMs));
    const head = this.#heads.find(attempt.method, timeoutMs);
    const extra = this.#extraOf(attempt, this.#heads.timed ? -1 : timeoutMs);
    if (typeof extra === "string") {
      const text = messages.grpcMetadataUnsendable(extra);
      attempt.onFailure(new RpcError(Status.INTERNAL, text, { executed: "never" }));
      return;
    }
    const call = new GrpcClientCall(attempt, this);
    const whole = extra === undefined ? undefined : this.#repeatedHead.find(head, extra);
    const stream = this.#http2.open(call, whole ?? head, whole === undefined ? extra : undefined, false);
    if (stream === undefined) {
      const text = messages.tooManyCallsForProvider(this.inFlight);
      attempt.onFailure(new RpcError(Status.RESOURCE_EXHAUSTED, text, { executed: "never" }));
      return;
    }
    call.stream = stream;
    attempt.id = stream.id;
    if (attempt.stream?.sendsMany) {
      attempt.stream.onOpen(call);
      return;
    }
    try {
      writeMessage(stream, attempt.method.input, attempt.request, this.bodyMaxBytes, this.gzip);
    } catch (error) {
      call.abandon();
      attempt.onFailure(unsendable(error));
      return;
    }
    stream.endData(true);
    if (!attempt.oneway) return;
    call.ignore();
    attempt.onReply(undefined, undefined);
  }

  #refusal(attempt: Attempt): RpcError | undefined {
    const never = { executed: "never" } as const;
    if (this.#http2.draining) return new RpcError(Status.UNAVAILABLE, messages.connectionClosing, never);
    const { pendingBytes } = this.#http2;
    const { unwrittenMaxBytes } = this.#options;
    if (pendingBytes > unwrittenMaxBytes) {
      const text = messages.tooMuchUnwritten(pendingBytes, unwrittenMaxBytes);
      return new RpcError(Status.RESOURCE_EXHAUSTED, text, never);
    }
    if (attempt.deadlineMs - attempt.nowMs < 0)
      return new RpcError(Status.DEADLINE_EXCEEDED, messages.deadlinePassedBeforeSending, never);
    return undefined;
  }

  get confidential(): boolean {
    return this.#connection.security?.confidential ?? false;
  }

  /** The fields that differ from call to call; a text: why they cannot be sent. `timeoutMs`: -1 when it needs no field. */
  #extraOf(attempt: Attempt, timeoutMs: number): OutgoingField[] | string | undefined {
    const { metadata, idempotencyKey, number, authorization } = attempt;
    let extra: OutgoingField[] | undefined;
    if (timeoutMs >= 0) {
      extra = [{ name: "grpc-timeout", value: formatTimeout(timeoutMs), indexing: "name" }];
    }
    if (number > 1) {
      extra ??= [];
      extra.push({ name: "grpc-previous-rpc-attempts", value: String(number - 1), indexing: "name" });
    }
    if (idempotencyKey !== undefined) {
      if (!isPrintable(idempotencyKey)) return messages.grpcIdempotencyKey;
      extra ??= [];
      extra.push({ name: idempotencyField, value: idempotencyKey, indexing: "name" });
    }
    if (authorization !== undefined) {
      extra ??= [];
      extra.push({ name: "authorization", value: authorization, indexing: "never" });
    }
    if (metadata === undefined || metadata.size === 0) return extra;
    extra ??= [];
    return appendMetadata(extra, metadata, this.#repeated) ?? extra;
  }

  abandon(attempt: Attempt): boolean {
    const handler = this.#http2.streamOf(attempt.id)?.handler;
    if (!(handler instanceof GrpcClientCall)) return this.#forgetLost(attempt);
    return handler.abandon();
  }

  /** The call was about to fail. True: it has never run. */
  #forgetLost(attempt: Attempt): boolean {
    const found = this.#lost.find((one) => one.attempt === attempt);
    this.#lost = this.#lost.filter((one) => one !== found);
    return found?.error.executed === "never";
  }

  drain(): void {
    this.#http2.drain();
  }

  close(reason: string): void {
    this.#http2.close(reason);
    this.#connection.destroy();
    this.#report(reason);
  }

  onAnswered(): void {
    this.answered = true;
  }

  // --- from the connection ---

  onData(chunk: Buffer): void {
    this.nowMs = this.#clock.now();
    this.#http2.onData(chunk);
  }

  onEnd(): void {
    this.#http2.onEnd();
  }

  onDrain(): void {
    this.#http2.onDrain();
  }

  onClose(error: Error | undefined): void {
    this.#http2.onClose(error);
    this.#report(undefined);
  }

  onWelcome(): void {
    this.welcomed = true;
    this.#owner.onWelcome(this);
  }

  onRoom(): void {
    this.#owner.onRoom(this);
  }

  onGoAway(_code: number, debug: string, turnedAway: boolean): void {
    if (!this.#goingAway) {
      this.#goingAway = true;
      this.#onGoAway(debug);
      // A server that says nothing may only have been idle for too long.
      this.#owner.onGoingAway(this, turnedAway && !this.answered && debug !== "" ? debug : undefined);
    }
    this.#failLost();
  }

  onSessionClosed(reason: string | undefined): void {
    this.silent = this.#http2.silent;
    this.malformed = this.#http2.malformed;
    // At the end of a drain nothing is lost, so give the server time to close.
    if (reason === undefined && this.#lost.length === 0) return;
    this.#connection.destroy();
    this.#report(reason);
    this.#failLost();
  }

  #report(reason: string | undefined): void {
    if (this.#reported) return;
    this.#reported = true;
    this.#owner.onClosed(this, reason);
  }

  /** The endpoint is down for us, as if GOAWAY had said so. */
  onTurnedAway(reason: string): void {
    if (this.#goingAway) return;
    this.#goingAway = true;
    this.#owner.onGoingAway(this, reason);
  }

  lose(attempt: Attempt, error: RpcError): void {
    if (this.closed) this.lostCalls++;
    // In a later tick: calls that never ran are retried at once, and this connection must not be offered any more by then.
    if (this.#lost.push({ attempt, error }) === 1) process.nextTick(() => this.#failLost());
  }

  #failLost(): void {
    const lost = this.#lost;
    this.#lost = [];
    for (const { attempt, error } of lost) attempt.onFailure(error);
  }
}

function unsendable(error: unknown): RpcError {
  if (error instanceof RpcError) return error.with({}, "never");
  const text = messages.requestUnencodable(textOf(error));
  return new RpcError(Status.INTERNAL, text, { executed: "never", cause: error });
}
