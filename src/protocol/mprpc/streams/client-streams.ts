import type { Clock } from "../../../base/clock.js";
import { NumberMap } from "../../../base/number-map.js";
import type { Attempt } from "../../../call/attempt.js";
import type { CallStream, RequestSender } from "../../../call/call-stream.js";
import { messages } from "../../../error/messages.js";
import { RpcError } from "../../../error/rpc-error.js";
import { Status } from "../../../error/status.js";
import { stalledAfterMs } from "../arrivals.js";
import type { SendQueue } from "../send-queue.js";
import type { ChunkedMessage } from "../wire/frame-decoder.js";
import { type FrameHeader, Kind } from "../wire/header.js";
import { StreamBudget } from "./budget.js";
import { ReceiveWindow, replyWindowMinBytes, requestStartBytes, SendWindow, windowBytes } from "./credit.js";
import { GrantedMessages } from "./granted-messages.js";
import { type ReaderHost, StreamReader } from "./stream-reader.js";
import { StreamWriter } from "./stream-writer.js";

/** What the streams of a connection need from it. */
export interface ClientStreamsHost {
  bodyMaxBytes(): number;
  control(kind: number, callId: number, credit: number): void;
  /** Takes back the credit for the rest of a message. */
  forget(callId: number): void;
}

interface OpenStream {
  readonly stream: CallStream;
  readonly reader: StreamReader | undefined;
  readonly writer: StreamWriter | undefined;
  answered: boolean;
  /** A MESSAGE has arrived. */
  begun: boolean;
}

/** The calls of one connection that stream, at the caller. */
export class ClientStreams implements ReaderHost {
  readonly granted: GrantedMessages;
  readonly #host: ClientStreamsHost;
  readonly #sendQueue: SendQueue;
  readonly #budget: StreamBudget;
  readonly #open = new NumberMap<OpenStream>();

  constructor(host: ClientStreamsHost, sendQueue: SendQueue, clock: Clock, budgetBytes: number) {
    this.#host = host;
    this.#sendQueue = sendQueue;
    this.#budget = new StreamBudget(budgetBytes);
    this.granted = new GrantedMessages(clock, ({ callId }) => this.#onStalled(callId));
  }

  /** The credit that the CALL grants for replies, if there is room. */
  get replyCredit(): number {
    const share = Math.floor(this.#budget.free / 16);
    return Math.max(replyWindowMinBytes, Math.min(windowBytes, share));
  }

  /** The CALL has been written just now, with `replyCredit` where replies stream. */
  open(attempt: Attempt, stream: CallStream, callId: number): void {
    const { replies } = stream;
    let reader: StreamReader | undefined;
    if (replies !== undefined) {
      const { replyCredit } = this;
      this.#budget.force(replyCredit);
      reader = new StreamReader(callId, replies, new ReceiveWindow(this.#budget, replyCredit), this);
    }
    let writer: Requests | undefined;
    if (stream.sendsMany) {
      const { input } = attempt.method;
      const window = new SendWindow(requestStartBytes);
      writer = new Requests(this.#sendQueue.streams, callId, input, window, this.#host.bodyMaxBytes);
    }
    this.#open.set(callId, { stream, reader, writer, answered: false, begun: false });
    if (writer !== undefined) stream.onOpen(writer);
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
    const open = this.#open.get(callId);
    if (open === undefined) return messages.streamFrameOfUnary(callId);
    if (kind === Kind.CREDIT) {
      if (open.writer === undefined) return messages.creditWithoutStream(callId);
      if (!open.answered) open.stream.onProgress(false, undefined);
      return open.writer.onCredit(header.credit);
    }
    if (open.reader === undefined && kind === Kind.MESSAGE) return messages.streamFrameOfUnary(callId);
    open.stream.onActivity();
    if (kind === Kind.METADATA) {
      if (open.answered) return messages.metadataTwice(callId);
      this.#answer(open, header);
      return undefined;
    }
    if (!open.answered) this.#answer(open, header);
    return open.reader?.onMessage(buffer, start, end, shared);
  }

  #answer(open: OpenStream, header: FrameHeader): void {
    open.answered = true;
    open.stream.onProgress(true, header.kind === Kind.METADATA ? header.rare.metadata : undefined);
  }

  /** A call that goes on announces a message. Returns why it is malformed, or what takes it. */
  onOpening(header: FrameHeader): ChunkedMessage | string {
    const open = this.#open.get(header.callId);
    if (open?.reader === undefined) return messages.streamFrameOfUnary(header.callId);
    if (!open.answered) this.#answer(open, header);
    return open.reader.onAnnounced(header.messageSize);
  }

  onOversized(callId: number, sizeBytes: number, maxBytes: number): void {
    const text = messages.streamMessageTooLargeHere(sizeBytes, maxBytes);
    this.#open.get(callId)?.stream.onBroken(new RpcError(Status.RESOURCE_EXHAUSTED, text));
  }

  giveCredit(callId: number, bytes: number): void {
    this.#host.control(Kind.CREDIT, callId, bytes);
  }

  onGivenUp(callId: number): void {
    this.#open.get(callId)?.stream.onBroken(new RpcError(Status.INTERNAL, messages.streamMessageGivenUp));
  }

  #onStalled(callId: number): void {
    const text = messages.streamMessageStalled(stalledAfterMs);
    this.#open.get(callId)?.stream.onBroken(new RpcError(Status.UNAVAILABLE, text));
  }

  /** The call has ended. */
  close(callId: number): void {
    const open = this.#open.get(callId);
    if (open === undefined) return;
    this.#open.delete(callId);
    open.writer?.close();
    if (open.reader?.isArriving) this.#host.forget(callId);
    open.reader?.close();
  }

  /** The connection is gone. */
  stop(): void {
    for (const callId of this.#open.keys()) this.close(callId);
    this.granted.stop();
  }
}

/** The requests of one call on one connection. */
class Requests extends StreamWriter implements RequestSender {
  end(): void {
    if (this.closed) return;
    this.queue.encoder.control(Kind.HALF_CLOSE, this.callId, undefined);
    this.queue.frameWritten();
  }
}
