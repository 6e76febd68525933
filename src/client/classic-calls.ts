import type { Address } from "../base/address.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import { ClassicClient, type FoundDialect } from "../protocol/classic/classic-client.js";
import { type ClassicDialect, classicDialects } from "../protocol/classic/classic-wire.js";
import type { Endpoint } from "../registry/registry.js";
import type { Runtime } from "../runtime/runtime.js";
import type { ClientCall } from "./client-call.js";

/** Wants to know whether a classic provider can be reached. */
export interface ReachObserver {
  onReached(): void;
  onUnreachable(reason: string): void;
}

/** Calls to one classic provider, which has no connection that lasts: each call makes its own. */
export class ClassicCalls {
  readonly #client: ClassicClient;
  readonly #observer: ReachObserver;
  readonly #runtime: Runtime;
  #longReplyTold = false;

  constructor(
    address: Address,
    endpoint: Endpoint,
    runtime: Runtime,
    found: FoundDialect,
    observer: ReachObserver,
  ) {
    this.#runtime = runtime;
    this.#observer = observer;
    const { settings, clock, transport } = runtime;
    this.#client = new ClassicClient(address, {
      ...{ dialect: dialectOf(endpoint), found, clock, transport },
      connectTimeoutMs: settings.channel.connectTimeoutMs,
      bodyMaxBytes: settings.limits.bodyMaxBytes,
      onLongBareReply: (bytes) => this.#onLongBareReply(bytes),
    });
  }

  get inFlight(): number {
    return this.#client.inFlight;
  }

  start(call: ClientCall): void {
    if (call.oneway) {
      const text = messages.onewayToClassic;
      call.onFailure(new RpcError(Status.UNIMPLEMENTED, text, { executed: "never" }));
      return;
    }
    call.phase = "wait";
    this.#client.start(call, {
      onConnected: () => this.#observer.onReached(),
      onConnectFailed: (reason) => {
        call.phase = "connect";
        this.#observer.onUnreachable(reason);
      },
    });
  }

  #onLongBareReply(bytes: number): void {
    if (this.#longReplyTold) return;
    this.#longReplyTold = true;
    this.#runtime.log.warn(
      `a reply of ${bytes} bytes in the varint dialect, which does not say where a reply ends: silence is taken for it`,
      { endpoint: this.#client.endpoint },
    );
  }
}

function dialectOf({ attributes }: Endpoint): ClassicDialect | undefined {
  return classicDialects.find((one) => one === attributes.dialect);
}
