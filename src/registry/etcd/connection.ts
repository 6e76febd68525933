import { type Address, formatAddress } from "../../base/address.js";
import { Backoff, registryBackoff } from "../../base/backoff.js";
import { Emitter } from "../../base/emitter.js";
import { Metadata } from "../../base/metadata.js";
import type { Filled } from "../../base/options.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import type { MethodDefinition } from "../../protobuf/types.js";
import { GrpcClientSession } from "../../protocol/grpc/client-session.js";
import type { Transport } from "../../transport/transport.js";
import type { RegistryDeps } from "../deps.js";
import { reasonOf } from "../errors.js";
import { Reconciler } from "../reconciler.js";
import type { Link, LinkEvents } from "../served/link.js";
import { callUnary, type RequestOf, type ResponseOf, SessionStream } from "./calls.js";
import { Auth, Maintenance } from "./gen/rpc.js";
import { explainFailure, isTokenOver } from "./refusal.js";

export interface EtcdCredentials {
  readonly user: string;
  readonly password: string;
}

export interface EtcdConnectionOptions {
  addresses: readonly Address[];
  transport: Transport;
  credentials: EtcdCredentials | undefined;
  /** What all keys begin with, for messages. */
  folder: string;
  deps: Filled<RegistryDeps>;
  /** How often the member in use is asked whether it is there, ms. */
  pingMs: number;
  /** How long it may take to connect and to answer that, ms. */
  pingTimeoutMs: number;
}

/** A list of thousands of instances is far below it. */
const answerMaxBytes = 16 * 1024 * 1024;
const grpcOptions = {
  bodyMaxBytes: answerMaxBytes,
  unwrittenMaxBytes: answerMaxBytes,
  // `Status` is asked instead: it says more, and etcd closes connections that ping too often.
  http2: { pingIntervalMs: Infinity },
};

/**
 * One connection to one member at a time, of those of the URL. The member is asked for its leader again and again: one that
 * hangs, knows no leader or is gone is left for the next, and all calls to it fail.
 */
export class EtcdConnection implements Link {
  readonly #options: EtcdConnectionOptions;
  readonly #events = new Emitter<LinkEvents>();
  readonly #backoff: Backoff;
  readonly #pinger: Reconciler;
  #index: number;
  #session: GrpcClientSession | undefined;
  /** The session that was made last. */
  #tried: GrpcClientSession | undefined;
  /** The session that `up` was told of. */
  #announced: GrpcClientSession | undefined;
  /** Members tried in a row that did not answer. */
  #failures = 0;
  /** Proof of who we are, for the next calls. */
  #token: Promise<Metadata> | undefined;
  #started = false;
  #lastWarning = "";
  readonly #stopped = new AbortController();

  constructor(options: EtcdConnectionOptions) {
    this.#options = options;
    const { addresses, deps } = options;
    this.#index = Math.floor(deps.random() * addresses.length);
    this.#backoff = new Backoff(registryBackoff, deps.random);
    this.#pinger = new Reconciler({
      clock: deps.clock,
      run: () => this.#ping(),
      onError: (error) => this.#onSilence(error),
    });
  }

  /** Whether the member in use answered last time. */
  get up(): boolean {
    return this.#announced !== undefined;
  }

  readonly on = this.#events.on.bind(this.#events) as Link["on"];

  /** Idempotent. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#pinger.trigger();
  }

  /** Something went wrong with the member in use: it is asked now. */
  suspect(): void {
    this.#pinger.trigger();
  }

  /** The reply of the member in use. Rejects with EtcdRefusal, or an Error whose text is for people. */
  async call<Method extends MethodDefinition>(
    method: Method,
    request: RequestOf<Method>,
    timeoutMs: number,
  ): Promise<ResponseOf<Method>> {
    const session = this.#required();
    const { clock } = this.#options.deps;
    for (let attempt = 1; ; attempt++) {
      const token = this.#tokenFor(session);
      try {
        return await callUnary({ session, clock, metadata: await token }, method, request, timeoutMs);
      } catch (error) {
        if (this.#token === token) this.#token = isTokenOver(error) ? undefined : this.#token;
        if (isTokenOver(error) && attempt === 1 && token !== undefined) continue;
        if (error instanceof RpcError && isSilence(error)) this.suspect();
        throw explainFailure(error, this.#options.folder);
      }
    }
  }

  /** A stream to the member in use, which ends when that is left or knows no leader any more. */
  async stream<Method extends MethodDefinition>(method: Method): Promise<SessionStream<Method>> {
    const session = this.#required();
    const metadata = new Metadata(await this.#tokenFor(session)).set("hasleader", "true");
    return new SessionStream({ session, clock: this.#options.deps.clock, metadata }, method);
  }

  /** Why a stream has ended, for people. */
  explain(error: unknown): Error {
    if (isTokenOver(error)) this.#token = undefined;
    return explainFailure(error, this.#options.folder);
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    const stopped = this.#pinger.stop();
    this.#leave("the registry is closed");
    await stopped;
    // One that was just being made.
    this.#leave("the registry is closed");
    this.#options.transport.close?.();
  }

  #required(): GrpcClientSession {
    if (this.#announced === undefined) throw new Error("there is no connection to etcd");
    return this.#announced;
  }

  #tokenFor(session: GrpcClientSession): Promise<Metadata> | undefined {
    const { credentials, deps } = this.#options;
    if (credentials === undefined) return undefined;
    if (this.#token !== undefined) return this.#token;
    const token = this.#authenticate(session, credentials, deps);
    token.catch(() => {
      if (this.#token === token) this.#token = undefined;
    });
    this.#token = token;
    return token;
  }

  async #authenticate(
    session: GrpcClientSession,
    { user, password }: EtcdCredentials,
    { clock, log }: Filled<RegistryDeps>,
  ): Promise<Metadata> {
    const request = { name: user, password };
    try {
      const timeoutMs = this.#options.pingTimeoutMs;
      const options = { session, clock, metadata: undefined };
      const { token } = await callUnary(options, Auth.methods.authenticate, request, timeoutMs);
      return new Metadata({ token });
    } catch (error) {
      if (!(error instanceof RpcError) || !/authentication is not enabled/.test(error.rawMessage))
        throw error;
      log.warn(
        "etcd asks nobody who they are, so user= protects nothing; turn it on with: etcdctl auth enable",
      );
      return new Metadata();
    }
  }

  async #ping(): Promise<number> {
    const { pingMs, pingTimeoutMs, deps } = this.#options;
    const session = this.#session ?? (await this.#connect());
    const options = { session, clock: deps.clock, metadata: undefined };
    const { leader } = await callUnary(options, Maintenance.methods.status, {}, pingTimeoutMs);
    if (leader === 0n) throw new Error("it knows no leader of the cluster");
    this.#failures = 0;
    this.#backoff.reset();
    this.#lastWarning = "";
    if (this.#announced !== session && !this.#stopped.signal.aborted) {
      this.#announced = session;
      this.#token = undefined;
      this.#events.emit("up", undefined);
    }
    return pingMs * (0.9 + 0.2 * deps.random());
  }

  async #connect(): Promise<GrpcClientSession> {
    const { addresses, transport, deps, pingTimeoutMs } = this.#options;
    const address = addresses[this.#index] as Address;
    this.#tried = undefined;
    const connection = await transport.connect(address, {
      ...{ timeoutMs: pingTimeoutMs, alpn: ["h2"], signal: this.#stopped.signal },
    });
    const owner = {
      onWelcome: () => {},
      onRoom: () => {},
      onGoingAway: (session: unknown) => this.#onEnding(session),
      onClosed: (session: unknown) => this.#onEnding(session),
    };
    const place = { address, expected: {}, attributes: {} };
    this.#session = new GrpcClientSession(connection, deps.clock, grpcOptions, owner, place, () => {});
    this.#tried = this.#session;
    return this.#session;
  }

  /** The connection is over, or about to be: another one is made. */
  #onEnding(session: unknown): void {
    if (session !== this.#session) return;
    this.#session = undefined;
    this.#pinger.trigger();
  }

  #onSilence(error: unknown): number | undefined {
    if (this.#stopped.signal.aborted) return undefined;
    const { addresses, deps, folder } = this.#options;
    const address = formatAddress(addresses[this.#index] as Address);
    const message = explainSession(this.#tried, explainFailure(error, folder).message);
    // The transport's own errors name the address themselves.
    const reason = new Error(message.includes(address) ? message : `${address}: ${message}`, {
      cause: error,
    });
    this.#index = (this.#index + 1) % addresses.length;
    this.#failures += 1;
    this.#leave(reason.message);
    if (reason.message !== this.#lastWarning)
      deps.log.warn("a member of etcd does not answer", { error: reasonOf(reason) });
    this.#lastWarning = reason.message;
    this.#events.emit("down", { reason });
    // Each once at once: the next may be well.
    return this.#failures < addresses.length ? 0 : this.#backoff.next();
  }

  #leave(reason: string): void {
    const sessions = new Set([this.#session, this.#announced]);
    this.#session = undefined;
    this.#announced = undefined;
    for (const session of sessions) session?.close(reason);
  }
}

function isSilence({ code }: RpcError): boolean {
  return code === Status.UNAVAILABLE || code === Status.DEADLINE_EXCEEDED;
}

/** `text` of a failure, with what to change when the session never was one. */
function explainSession(session: GrpcClientSession | undefined, text: string): string {
  if (session?.malformed)
    return `it does not speak gRPC (${text}); name the client port of etcd, which is 2379 by default`;
  if (session?.closed && !session.welcomed)
    return `${text}; where etcd takes TLS only, add tls=yes or ca=/file.pem to the registry URL`;
  return text;
}
