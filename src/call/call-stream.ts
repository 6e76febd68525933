import type { Metadata } from "../base/metadata.js";
import type { RpcError } from "../error/rpc-error.js";
import type { MessageSender } from "./message-pump.js";
import type { MessageQueue } from "./message-queue.js";

/** Sends the requests of a call on one connection. */
export interface RequestSender extends MessageSender {
  /** Sends a message that was encoded before; what it costs, bytes. */
  sendEncoded(bytes: Buffer): number;
  /** There are no more: to be called when all messages are whole. */
  end(): void;
}

/** The streams of a call, as the connections that carry its attempts see them. */
export interface CallStream {
  /** Where replies go; undefined when there is but one. */
  readonly replies: MessageQueue | undefined;
  /** The caller streams: its call has no message of its own. */
  readonly sendsMany: boolean;
  /** An attempt has been sent, and the requests may follow. */
  onOpen(sender: RequestSender): void;
  /** The provider has said the first word of the call: it will be sent nowhere else. `answered`: it was initial metadata or a message. */
  onProgress(answered: boolean, metadata: Metadata | undefined): void;
  /** Something of it has come. */
  onActivity(): void;
  /** A message is larger than this side takes, or was given up by its sender. Ends the call, and tells the provider. */
  onBroken(error: RpcError): void;
}
