import type { Metadata } from "../base/metadata.js";
import type { RpcError } from "../error/rpc-error.js";
import type { MessageSender } from "./message-pump.js";
import type { MessageQueue } from "./message-queue.js";

/** Sends the requests of a call on one connection. */
export interface RequestSender extends MessageSender {
  /** Sends an encoded message; returns its cost in bytes. */
  sendEncoded(bytes: Buffer): number;
  /** There are no more messages. Called when all of them were sent completely. */
  end(): void;
}

/** The streams of a call, as the connections that carry its attempts see them. */
export interface CallStream {
  /** Where replies go; undefined when there is only one reply. */
  readonly replies: MessageQueue | undefined;
  /** The caller streams: its call has no message of its own. */
  readonly sendsMany: boolean;
  /** An attempt has been sent, and the requests may follow. */
  onOpen(sender: RequestSender): void;
  /** The first frame of the call from the provider has arrived: it will not be sent elsewhere. `answered`: it was initial metadata or a message. */
  onProgress(answered: boolean, metadata: Metadata | undefined): void;
  /** Data of the call has arrived. */
  onActivity(): void;
  /** A message is larger than this side's limit, or was abandoned by its sender. Ends the call, and notifies the provider. */
  onBroken(error: RpcError): void;
}
