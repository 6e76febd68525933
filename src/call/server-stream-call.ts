import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import { isReply } from "./interceptor.js";
import { MessagePump, type MessageSender, wrongSource } from "./message-pump.js";
import type { MessageQueue } from "./message-queue.js";
import { callScope } from "./scope.js";
import { ServerCall } from "./server-call.js";
import type { MessageSource } from "./streams.js";

/** What a connection gives a call that streams. */
export interface ServerStreamPorts {
  /** The requests, where the caller streams. */
  readonly requests: MessageQueue | undefined;
  /** Sends the replies, where the provider streams. */
  readonly replies: MessageSender | undefined;
  /** Sends the initial metadata, unless they have been sent. */
  sendMetadata(): void;
}

/** A call at the provider of a method that streams. */
export class ServerStreamCall extends ServerCall {
  ports: ServerStreamPorts | undefined;
  #pump: MessagePump | undefined;

  override sendMetadata(): void {
    if (!this.ended) this.ports?.sendMetadata();
  }

  protected override succeed(given: unknown): void {
    const sender = this.ports?.replies;
    if (sender === undefined) {
      super.succeed(given);
      return;
    }
    if (this.trail !== undefined && !isReply(given)) {
      super.succeed(given);
      return;
    }
    const source = isReply(given) && this.trail !== undefined ? this.unwrapped(given) : given;
    const wrong = wrongSource(source);
    if (wrong !== undefined) {
      this.failWith(new TypeError(messages.handlerGaveNoSource(this.method.fullName, wrong)));
      return;
    }
    const pump = new MessagePump(source as MessageSource<unknown>);
    this.#pump = pump;
    if (this.ended) this.#stop(pump);
    else callScope.run<ServerStreamCall>(this, () => this.#send(pump, sender));
  }

  #send(pump: MessagePump, sender: MessageSender): void {
    void pump.run(sender).then((outcome) => {
      // A stopped pump finishes with `stop`, which also waits for the handler's `finally`.
      if (outcome.kind === "ended") this.complete(undefined);
      else if (outcome.kind === "failed") this.failWith(outcome.thrown);
    });
  }

  #stop(pump: MessagePump): void {
    void pump.stop().then(() => this.comeBack());
  }

  protected override onEnded(): void {
    const requests = this.ports?.requests;
    if (requests !== undefined) {
      const error = this.cancelReason ?? new RpcError(Status.CANCELLED, messages.requestsAfterCall);
      requests.fail(error, true);
    }
    if (this.#pump !== undefined) this.#stop(this.#pump);
  }
}
