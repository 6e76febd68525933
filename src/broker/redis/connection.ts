import type { Redis, RedisOptions } from "ioredis";
import { textOf } from "../../base/thrown.js";
import { messages } from "../../error/messages.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import type { Wait } from "../driver.js";
import { redisFault } from "./errors.js";

/** A connection on which nothing comes for so long, while something is waited for, is dead, ms. */
const silenceMaxMs = 10_000;
const connectTimeoutMs = 5000;
const reconnectMaxMs = 2000;

/** Takes no options: `new` as ioredis has it. */
export type RedisClass = new (options: RedisOptions) => Redis;

interface Waiting {
  resolve(): void;
  reject(error: RpcError): void;
}

/**
 * One connection that is made again for as long as it is not closed. Commands are sent only while it is up, and none is sent twice: whether it
 * may be is for the caller to know.
 */
export class RedisConnection {
  readonly client: Redis;
  readonly #name: string;
  readonly #waiting = new Set<Waiting>();
  #started = false;
  #closed = false;
  #reason = "";

  constructor(
    Class: RedisClass,
    options: RedisOptions,
    {
      name,
      random,
      onState,
    }: {
      readonly name: string;
      readonly random: () => number;
      readonly onState: (connected: boolean, reason: string | undefined) => void;
    },
  ) {
    this.#name = name;
    this.client = new Class({
      lazyConnect: true,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      // What is in flight when the connection closes fails at once: with `null` it would never be settled.
      maxRetriesPerRequest: 0,
      connectTimeout: connectTimeoutMs,
      socketTimeout: silenceMaxMs,
      protocol: 2,
      disableClientInfo: true,
      // Doubled from 50 ms on, and spread over the upper half.
      retryStrategy: (times) =>
        Math.min(50 * 2 ** Math.min(times, 10), reconnectMaxMs) * (0.5 + random() / 2),
      ...options,
    });
    this.client.on("ready", () => {
      this.#reason = "";
      for (const one of this.#take()) one.resolve();
      onState(true, undefined);
    });
    this.client.on("error", (error: unknown) => {
      this.#reason = textOf(error) || String((error as { code?: unknown } | undefined)?.code);
      const fault = redisFault(name, error);
      if (fault.fatal) for (const one of this.#take()) one.reject(fault.error);
      onState(false, this.#reason);
    });
    this.client.on("close", () => {
      if (!this.#closed) onState(false, this.#reason === "" ? "closed" : this.#reason);
    });
  }

  get up(): boolean {
    return this.client.status === "ready";
  }

  /** Why the last connect failed. */
  get reason(): string {
    return this.#reason;
  }

  #take(): Waiting[] {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    return waiting;
  }

  /** Resolves when commands can be sent. Rejects with RpcError when somebody has to change something first, or when `wait` is over. */
  ready(wait: Wait | undefined): Promise<void> {
    if (this.#closed) {
      return Promise.reject(new RpcError(Status.UNAVAILABLE, messages.brokerClosed, { executed: "never" }));
    }
    if (this.up) return Promise.resolve();
    this.#start();
    return new Promise<void>((resolve, reject) => {
      const signal = wait?.signal;
      const waiting: Waiting = {
        resolve: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
        reject: (error) => {
          signal?.removeEventListener("abort", onAbort);
          reject(error);
        },
      };
      const onAbort = (): void => {
        this.#waiting.delete(waiting);
        const text = messages.brokerUnreachable(this.#name, this.#reason || "no connection yet");
        reject(new RpcError(Status.UNAVAILABLE, text, { executed: "never" }));
      };
      this.#waiting.add(waiting);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  #start(): void {
    if (this.#started) return;
    this.#started = true;
    // It goes on trying; what becomes of it comes as events.
    this.client.connect().catch(() => {});
  }

  /** Idempotent. What is in flight fails. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const error = new RpcError(Status.UNAVAILABLE, messages.brokerClosed, { executed: "never" });
    for (const one of this.#take()) one.reject(error);
    this.client.disconnect();
  }
}
