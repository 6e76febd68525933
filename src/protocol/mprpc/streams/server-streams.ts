import type { Caller } from "../../../auth/caller.js";
import type { Clock } from "../../../base/clock.js";
import { NumberMap } from "../../../base/number-map.js";
import { MessageQueue, type MessageQueueOwner } from "../../../call/message-queue.js";
import type { Peer } from "../../../call/peer.js";
import type { ServerStreamCall, ServerStreamPorts } from "../../../call/server-stream-call.js";
import { messages } from "../../../error/messages.js";
import { RpcError } from "../../../error/rpc-error.js";
import { Status } from "../../../error/status.js";
import { stalledAfterMs } from "../arrivals.js";
import { undecodable } from "../arriving-requests.js";
import type { SendQueue } from "../send-queue.js";
import type { ChunkedMessage } from "../wire/frame-decoder.js";
import { type FrameHeader, Kind } from "../wire/header.js";
import type { ConnectionBudget, StreamBudget } from "./budget.js";
import { ReceiveWindow, requestStartBytes, SendWindow } from "./credit.js";
import { GrantedMessages } from "./granted-messages.js";
import { type ReaderHost, StreamReader } from "./stream-reader.js";
import { StreamWriter } from "./stream-writer.js";

/** What the streams of a connection need from it. */
export interface ServerStreamsHost {
  replyMaxBytes(): number;
  control(kind: number, callId: number, credit: number): void;
  forget(callId: number): void;
}

/** One call that streams. */
class ServedStream implements ServerStreamPorts, MessageQueueOwner {
  readonly call: ServerStreamCall;
  readonly reader: StreamReader | undefined;
  readonly replies: ReplyStream | undefined;
  halfClosed = false;

  constructor(call: ServerStreamCall, reader: StreamReader | undefined, replies: ReplyStream | undefined) {
    this.call = call;
    this.reader = reader;
    this.replies = replies;
    if (reader !== undefined) reader.queue.owner = this;
  }

  get requests(): MessageQueue | undefined {
    return this.reader?.queue;
  }

  sendMetadata(): void {
    this.replies?.begin();
  }

  /** The handler may still reply. */
  onReaderLeft(): void {}

  onUndecodable(reason: unknown): unknown {
    const error = undecodable(this.call.bound, reason);
    this.call.cancel(error);
    return error;
  }
}

/** The calls of one connection that stream, at the provider. */
export class ServerStreams implements ReaderHost {
  readonly granted: GrantedMessages;
  readonly #host: ServerStreamsHost;
  readonly #sendQueue: SendQueue;
  readonly #budget: ConnectionBudget;
  readonly #served = new NumberMap<ServedStream>();

  constructor(host: ServerStreamsHost, sendQueue: SendQueue, clock: Clock, budget: ConnectionBudget) {
    this.#host = host;
    this.#sendQueue = sendQueue;
    this.#budget = budget;
    this.granted = new GrantedMessages(clock, ({ callId }) => this.#onStalled(callId));
  }

  /** Reserves room for the requests of a new call if its caller streams. Returns why there is none. */
  reserve(caller: Peer): RpcError | undefined {
    if (this.#budgetOf(caller).reserve(requestStartBytes)) return undefined;
    return new RpcError(Status.RESOURCE_EXHAUSTED, messages.noRoomForStream);
  }

  #budgetOf(caller: Peer): StreamBudget {
    return this.#budget.of((caller as Caller).state.account);
  }

  /** A call begins; `reserve` has been called where its caller streams. */
  open(call: ServerStreamCall, credit: number): void {
    const { input, output, kind } = call.method;
    const { id } = call;
    let reader: StreamReader | undefined;
    if (kind !== "server_streaming") {
      const queue = new MessageQueue(input, "the requests of a call");
      reader = new StreamReader(
        id,
        queue,
        new ReceiveWindow(this.#budgetOf(call.peer), requestStartBytes),
        this,
      );
      call.request = queue;
    }
    let replies: ReplyStream | undefined;
    if (kind !== "client_streaming") {
      const window = new SendWindow(credit);
      replies = new ReplyStream(this.#sendQueue.streams, id, output, window, this.#host.replyMaxBytes);
      replies.call = call;
    }
    const served = new ServedStream(call, reader, replies);
    this.#served.set(id, served);
    call.ports = served;
  }

  /** The initial metadata have been sent, or there are none and a message has been. */
  hasBegun(callId: number): boolean {
    return this.#served.get(callId)?.replies?.begun ?? false;
  }

  /** A frame of a call that goes on. Returns why it is malformed, or nothing. */
  onFrame(
    header: FrameHeader,
    buffer: Buffer,
    start: number,
    end: number,
    shared: boolean,
  ): string | undefined {
    const { kind, callId } = header;
    const served = this.#served.get(callId);
    if (served === undefined) return messages.streamFrameOfUnary(callId);
    if (kind === Kind.CREDIT) {
      if (served.replies === undefined) return messages.creditWithoutStream(callId);
      return served.replies.onCredit(header.credit);
    }
    const { reader } = served;
    if (reader === undefined) return messages.streamFrameOfUnary(callId);
    if (served.halfClosed) return messages.messageAfterHalfClose(callId);
    if (kind === Kind.MESSAGE) return reader.onMessage(buffer, start, end, shared);
    if (reader.isArriving) return messages.messageBeforeWhole(callId);
    served.halfClosed = true;
    reader.queue.end();
    return undefined;
  }

  /** A call that goes on announces a message. Returns why it is malformed, or what takes it. */
  onOpening(header: FrameHeader): ChunkedMessage | string {
    const served = this.#served.get(header.callId);
    if (served?.reader === undefined) return messages.streamFrameOfUnary(header.callId);
    if (served.halfClosed) return messages.messageAfterHalfClose(header.callId);
    return served.reader.onAnnounced(header.messageSize);
  }

  onOversized(callId: number, sizeBytes: number, maxBytes: number): void {
    const text = messages.streamMessageTooLargeHere(sizeBytes, maxBytes);
    this.#served.get(callId)?.call.cancel(new RpcError(Status.RESOURCE_EXHAUSTED, text));
  }

  giveCredit(callId: number, bytes: number): void {
    this.#host.control(Kind.CREDIT, callId, bytes);
  }

  onGivenUp(callId: number): void {
    const error = new RpcError(Status.CANCELLED, messages.streamMessageGivenUp);
    this.#served.get(callId)?.call.cancel(error);
  }

  #onStalled(callId: number): void {
    const text = messages.streamMessageStalled(stalledAfterMs);
    this.#served.get(callId)?.call.cancel(new RpcError(Status.UNAVAILABLE, text));
  }

  /** The call has ended. */
  close(callId: number): void {
    const served = this.#served.get(callId);
    if (served === undefined) return;
    this.#served.delete(callId);
    served.replies?.close();
    if (served.reader?.isArriving) this.#host.forget(callId);
    served.reader?.close();
  }

  /** The connection is gone. */
  stop(): void {
    for (const callId of this.#served.keys()) this.close(callId);
    this.granted.stop();
  }
}

/** The replies of one call: its initial metadata go before the first message. */
class ReplyStream extends StreamWriter {
  begun = false;
  call: ServerStreamCall | undefined;

  begin(): void {
    if (this.begun) return;
    this.begun = true;
    const metadata = this.call?.replyMetadataIfAny;
    if (metadata === undefined) return;
    this.queue.encoder.control(Kind.METADATA, this.callId, { metadata });
    this.queue.frameWritten();
  }

  override send(message: unknown): number {
    if (!this.begun) this.begin();
    return super.send(message);
  }
}
