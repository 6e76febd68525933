import type { NatsConnection, NodeConnectionOptions } from "@nats-io/transport-node";
import { textOf } from "../../base/thrown.js";
import { messages } from "../../error/messages.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import type { DriverDeps, Wait } from "../driver.js";
import { natsError } from "./errors.js";

const connectTimeoutMs = 5000;
/** A ping in this time, and two of them unanswered: the server is dead. */
const pingIntervalMs = 4000;
const pingsOutMax = 2;
const reconnectWaitMs = 200;

type Connect = (options: NodeConnectionOptions) => Promise<NatsConnection>;

interface Waiting {
  resolve(connection: NatsConnection): void;
  reject(error: RpcError): void;
}

/** The connection, made again for as long as it is not closed. The client keeps it; this knows whether it is up. */
export class NatsLink {
  readonly #connect: Connect;
  readonly #options: NodeConnectionOptions;
  readonly #name: string;
  readonly #deps: DriverDeps;
  readonly #onChange: (up: boolean) => void;
  readonly #waiting = new Set<Waiting>();
  #connection: NatsConnection | undefined;
  #up = false;
  #started = false;
  #closed = false;
  #reason = "";

  constructor(
    connect: Connect,
    options: NodeConnectionOptions,
    parts: { readonly name: string; readonly deps: DriverDeps; readonly onChange: (up: boolean) => void },
  ) {
    this.#connect = connect;
    this.#options = {
      ...options,
      timeout: connectTimeoutMs,
      pingInterval: pingIntervalMs,
      maxPingOut: pingsOutMax,
      maxReconnectAttempts: -1,
      reconnectTimeWait: reconnectWaitMs,
      reconnectJitter: reconnectWaitMs,
      // A password that is changed on both sides one after the other must not end a program.
      ignoreAuthErrorAbort: true,
      noAsyncTraces: true,
    };
    this.#name = parts.name;
    this.#deps = parts.deps;
    this.#onChange = parts.onChange;
  }

  /** The connection while it is up. */
  get now(): NatsConnection | undefined {
    return this.#up ? this.#connection : undefined;
  }

  /** Resolves when it is up. Rejects with RpcError when somebody has to change something first, or when `wait` is over. */
  ready(wait: Wait | undefined): Promise<NatsConnection> {
    if (this.#closed) {
      return Promise.reject(new RpcError(Status.UNAVAILABLE, messages.brokerClosed, { executed: "never" }));
    }
    const { now } = this;
    if (now !== undefined) return Promise.resolve(now);
    if (!this.#started) {
      this.#started = true;
      void this.#open();
    }
    return new Promise<NatsConnection>((resolve, reject) => {
      const signal = wait?.signal;
      const onAbort = (): void => {
        this.#waiting.delete(waiting);
        const text = messages.brokerUnreachable(this.#name, this.#reason || "no connection yet");
        reject(new RpcError(Status.UNAVAILABLE, text, { executed: "never" }));
      };
      const end = (): void => signal?.removeEventListener("abort", onAbort);
      const waiting: Waiting = {
        resolve: (connection) => {
          end();
          resolve(connection);
        },
        reject: (error) => {
          end();
          reject(error);
        },
      };
      this.#waiting.add(waiting);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  #take(): Waiting[] {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    return waiting;
  }

  /** Never rejects. Until it is there for the first time; from then on the client itself makes it again. */
  async #open(): Promise<void> {
    const { clock, random, onConnection } = this.#deps;
    while (!this.#closed) {
      try {
        const connection = await this.#connect(this.#options);
        if (this.#closed) return void connection.close().catch(() => {});
        this.#connection = connection;
        this.#setUp(true, undefined);
        void this.#follow(connection);
        return;
      } catch (thrown) {
        this.#failed(thrown);
        onConnection(false, this.#reason);
        await new Promise<void>((resolve) => {
          clock.setTimer(resolve, reconnectWaitMs * (1 + random()));
        });
      }
    }
  }

  #failed(thrown: unknown): void {
    const { cause } = (thrown ?? {}) as { cause?: unknown };
    this.#reason = textOf(thrown) + (cause === undefined ? "" : `: ${textOf(cause)}`);
    const error = natsError(this.#name, thrown);
    const isOther = /parse|protocol|invalid|JSON/i.test(this.#reason) && error.code === Status.UNAVAILABLE;
    if (error.code !== Status.UNAUTHENTICATED && error.code !== Status.PERMISSION_DENIED && !isOther) return;
    const told = isOther
      ? new RpcError(
          Status.FAILED_PRECONDITION,
          messages.brokerOtherServer(this.#name, "NATS", this.#reason),
          { executed: "never", cause: thrown },
        )
      : error;
    for (const one of this.#take()) one.reject(told);
  }

  #setUp(up: boolean, reason: string | undefined): void {
    if (this.#up === up || this.#closed) return;
    this.#up = up;
    this.#reason = reason ?? "";
    if (up) for (const one of this.#take()) one.resolve(this.#connection as NatsConnection);
    this.#onChange(up);
    this.#deps.onConnection(up, reason);
  }

  async #follow(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === "disconnect") this.#setUp(false, "closed");
      else if (status.type === "staleConnection") this.#setUp(false, "no answer to pings");
      else if (status.type === "error") this.#failed(status.error);
      else if (status.type === "reconnect") this.#setUp(true, undefined);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const error = new RpcError(Status.UNAVAILABLE, messages.brokerClosed, { executed: "never" });
    for (const one of this.#take()) one.reject(error);
    const connection = this.#connection;
    if (connection === undefined) return;
    // What was published last, acks above all, goes first; unless nobody is there to take it.
    if (this.#up) await connection.flush().catch(() => {});
    await connection.close().catch(() => {});
  }
}
