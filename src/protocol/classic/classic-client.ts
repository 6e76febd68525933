import type { Address } from "../../base/address.js";
import type { Clock, Timer } from "../../base/clock.js";
import { NumberMap } from "../../base/number-map.js";
import { PeerTimer } from "../../base/peer-timer.js";
import { textOf } from "../../base/thrown.js";
import type { Attempt, CallCarrier } from "../../call/attempt.js";
import { messages } from "../../error/messages.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import { type MethodDefinition, shortName } from "../../protobuf/types.js";
import type { Connection, Transport } from "../../transport/transport.js";
import type { ConnectingCalls, ExpectedPeer, ReachObserver } from "../protocol.js";
import { ClassicExchange } from "./classic-exchange.js";
import { type ClassicDialect, writeClassicRequest } from "./classic-wire.js";

/** The dialect in which a provider has answered, if it is not configured. */
export interface FoundDialect {
  dialect: ClassicDialect | undefined;
}

export interface ClassicClientOptions {
  /** Undefined: not known. `le32`, the original framework's, is assumed, and others are tried where that is safe. */
  readonly dialect: ClassicDialect | undefined;
  /** The detected dialect; its owner may keep it longer than this object. */
  readonly found: FoundDialect;
  readonly expected?: ExpectedPeer;
  readonly connectTimeoutMs: number;
  readonly bodyMaxBytes: number;
  readonly clock: Clock;
  readonly transport: Transport;
  /** A reply of so many bytes in a dialect that does not say where a reply ends. */
  onLongBareReply(bytes: number): void;
}

/** A classic provider aborts on requests above this; they are refused here instead. */
export const classicRequestMaxBytes = 65_000;

/**
 * The dialects tried on a provider whose dialect is unknown. A request in one of them does not parse in the others, so nothing
 * runs. `be32` is not tried: the original framework aborts on some of its requests.
 */
const triedDialects: readonly ClassicDialect[] = ["le32", "varint", "framed"];
/** A provider that has not answered in one dialect for this long is asked in the next as well, ms. */
const tryNextAfterMs = 250;
/** Larger replies in the `varint` dialect are logged. */
const longBareReplyBytes = 1024;

const assumed = (): string => messages.dialectAssumed;

/** An mprpc provider understands every dialect, and would run the call once for each. */
function mayRunTwice({ idempotency }: MethodDefinition): boolean {
  return idempotency !== "unknown";
}

/** One call: an exchange in the dialect that is known, or one in each that may be the right one, until one is answered. */
class ClassicCall {
  readonly #client: ClassicClient;
  readonly #call: Attempt;
  readonly #options: ClassicClientOptions;
  readonly #observer: ReachObserver;
  readonly #requests: ReadonlyArray<readonly [ClassicDialect, Buffer]>;
  readonly #abort = new AbortController();
  readonly #exchanges = new Set<ClassicExchange>();
  #begun = 0;
  #open = 0;
  #timer: Timer | undefined;
  #failure: RpcError | undefined;
  /** An empty reply does not prove the dialect: a provider that understood nothing may also just close. */
  #empty: { readonly message: unknown } | undefined;
  #over = false;

  constructor(
    client: ClassicClient,
    call: Attempt,
    options: ClassicClientOptions,
    observer: ReachObserver,
    requests: ReadonlyArray<readonly [ClassicDialect, Buffer]>,
  ) {
    this.#client = client;
    this.#call = call;
    this.#options = options;
    this.#observer = observer;
    this.#requests = requests;
  }

  get #tries(): boolean {
    return this.#requests.length > 1;
  }

  next(): void {
    const request = this.#requests[this.#begun];
    if (request === undefined || this.#over) return;
    this.#begun++;
    this.#open++;
    this.#timer?.cancel();
    const { clock, transport, connectTimeoutMs, expected } = this.#options;
    if (this.#begun < this.#requests.length)
      this.#timer = new PeerTimer(clock, () => this.next(), tryNextAfterMs);
    else if (this.#empty !== undefined) this.#endSoon();
    const options = { timeoutMs: connectTimeoutMs, signal: this.#abort.signal, ...expected };
    // The transport may be the user's and throw synchronously.
    const connecting = (async () => transport.connect(this.#client.address, options))();
    connecting.then(
      (connection) => {
        this.#observer.onReached();
        if (this.#over) connection.destroy();
        else this.#exchange(connection, ...request);
      },
      (error: unknown) => this.#onConnectFailed(error),
    );
  }

  #exchange(connection: Connection, dialect: ClassicDialect, request: Buffer): void {
    const { bodyMaxBytes, clock } = this.#options;
    const { output } = this.#call.method;
    const exchange: ClassicExchange = new ClassicExchange(
      connection,
      request,
      { dialect, output, bodyMaxBytes, clock },
      {
        onReply: (message, bytes) => {
          this.#exchanges.delete(exchange);
          this.#onReply(dialect, message, bytes);
        },
        onFailure: (error) => {
          this.#exchanges.delete(exchange);
          this.#onFailure(error);
        },
      },
    );
    this.#exchanges.add(exchange);
  }

  #onConnectFailed(error: unknown): void {
    if (this.#over) return;
    const reason = textOf(error);
    const failure = new RpcError(Status.UNAVAILABLE, reason, { executed: "never", cause: error });
    if (this.#begun > 1) this.#onFailure(failure);
    else {
      // The next process at this address may speak another dialect.
      this.#options.found.dialect = undefined;
      this.#call.handTo(this.#client, "connect");
      this.#observer.onUnreachable(reason);
      this.#failure = failure;
      this.#end();
    }
  }

  #onReply(dialect: ClassicDialect, message: unknown, bytes: number): void {
    if (this.#tries && bytes === 0) {
      this.#empty ??= { message };
      this.#onOneOver();
      return;
    }
    if (this.#options.dialect === undefined && bytes > 0) this.#options.found.dialect = dialect;
    if (dialect === "varint" && bytes > longBareReplyBytes) this.#options.onLongBareReply(bytes);
    if (this.#finish()) this.#call.onReply(message, undefined);
  }

  #onFailure(error: RpcError): void {
    // The failure of the most likely dialect.
    this.#failure ??= error;
    this.#onOneOver();
  }

  /** An exchange had no usable answer: the next is started at once, and the last one ends the call. */
  #onOneOver(): void {
    this.#open--;
    if (this.#begun < this.#requests.length) this.next();
    else if (this.#open === 0) this.#end();
    else if (this.#empty !== undefined) this.#endSoon();
  }

  /** Most providers neither answer nor close when they do not understand a request: do not wait for them. */
  #endSoon(): void {
    this.#timer?.cancel();
    this.#timer = new PeerTimer(this.#options.clock, () => this.#end(), tryNextAfterMs);
  }

  #end(): void {
    if (!this.#finish()) return;
    if (this.#empty !== undefined) this.#call.onReply(this.#empty.message, undefined);
    else this.#call.onFailure(this.#failure as RpcError);
  }

  cancel(): void {
    this.#finish();
  }

  #finish(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#timer?.cancel();
    this.#abort.abort();
    for (const exchange of this.#exchanges) exchange.cancel();
    this.#client.onOver(this.#call);
    return true;
  }
}

/** Calls to one provider of the classic framework, one connection each, as it demands. */
export class ClassicClient implements CallCarrier, ConnectingCalls {
  readonly address: Address;
  readonly #options: ClassicClientOptions;
  readonly #observer: ReachObserver;
  readonly #inFlight = new NumberMap<ClassicCall>();
  #started = 0;

  constructor(address: Address, options: ClassicClientOptions, observer: ReachObserver) {
    this.address = address;
    this.#options = options;
    this.#observer = observer;
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  start(call: Attempt): void {
    const { method } = call;
    if (call.oneway) {
      const text = messages.onewayToClassic;
      call.onFailure(new RpcError(Status.UNIMPLEMENTED, text, { executed: "never" }));
      return;
    }
    const known = this.#options.dialect ?? this.#options.found.dialect;
    const tried = mayRunTwice(method) ? triedDialects : triedDialects.slice(0, 1);
    const dialects = known === undefined ? tried : [known];
    call.handTo(this, "wait", known === undefined && dialects.length === 1 ? assumed : undefined);
    let requests: Array<readonly [ClassicDialect, Buffer]>;
    try {
      requests = dialects.map((one) => [one, requestOf(call, one)]);
    } catch (error) {
      const text = messages.requestUnencodable(textOf(error));
      call.onFailure(new RpcError(Status.INTERNAL, text, { executed: "never", cause: error }));
      return;
    }
    const bytes = Math.max(...requests.map(([, { length }]) => length));
    if (bytes > classicRequestMaxBytes) {
      const text = messages.requestTooLargeForClassic(bytes, classicRequestMaxBytes);
      call.onFailure(new RpcError(Status.RESOURCE_EXHAUSTED, text, { executed: "never" }));
      return;
    }
    const one = new ClassicCall(this, call, this.#options, this.#observer, requests);
    call.id = ++this.#started;
    this.#inFlight.set(call.id, one);
    one.next();
  }

  /** The classic wire has no cancel; all it can do is close the connection. */
  abandon(call: Attempt): boolean {
    this.#inFlight.get(call.id)?.cancel();
    return false;
  }

  /** A call has ended. */
  onOver(call: Attempt): void {
    this.#inFlight.delete(call.id);
  }
}

function requestOf({ method, request }: Attempt, dialect: ClassicDialect): Buffer {
  return writeClassicRequest(dialect, shortName(method.service), method.name, (writer) =>
    method.input.encode(request, writer),
  );
}
