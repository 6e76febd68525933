import type { Clock } from "../../base/clock.js";
import type { Connection, ConnectionHandler } from "../../transport/transport.js";
import { Keepalive, type KeepaliveOptions, type KeepaliveOwner } from "./keepalive.js";
import { ReceiveQueue, type ReceiveQueueOwner } from "./receive-queue.js";
import { SendQueue, type SendQueueOwner } from "./send-queue.js";
import { type ChunkedMessage, FrameDecoder } from "./wire/frame-decoder.js";
import { type FrameHeader, Kind, type RareFields } from "./wire/header.js";
import type { WireLimits } from "./wire/limits.js";

/** The events of both sides of a connection. */
export interface SessionOptions {
  limits: WireLimits;
  keepalive: KeepaliveOptions;
}

/**
 * What both sides of one mprpc/2 connection have in common: bytes in and out, the keepalive, the first frame, and
 *
 *     open --drain--> draining --calls ended--> closed
 */
export abstract class MprpcSession
  implements ConnectionHandler, ReceiveQueueOwner, SendQueueOwner, KeepaliveOwner
{
  protected readonly connection: Connection;
  protected readonly clock: Clock;
  protected readonly sendQueue: SendQueue;
  protected readonly decoder: FrameDecoder;
  protected readonly receiveQueue: ReceiveQueue;
  protected readonly keepalive: Keepalive;
  protected state: "open" | "draining" | "closed" = "open";
  /** When the bytes being processed arrived. */
  protected nowMs = 0;

  constructor(connection: Connection, clock: Clock, { limits, keepalive }: SessionOptions) {
    this.connection = connection;
    this.clock = clock;
    this.sendQueue = new SendQueue(connection, this);
    this.decoder = new FrameDecoder(limits);
    this.receiveQueue = new ReceiveQueue(
      this.decoder,
      this.sendQueue,
      this,
      connection.costlyWrites === true,
    );
    this.keepalive = new Keepalive(clock, keepalive, this);
  }

  /**
   * Takes over the connection's events, and sends the settings, the first frame of each side. They are buffered before the
   * first call, so both are sent in one write, and the call does not wait.
   */
  protected begin(limits: WireLimits, maxInFlight: number): void {
    this.connection.setHandler(this);
    this.control(Kind.SETTINGS, 0, { settings: { ...limits, maxInFlight, chunks: true } });
  }

  /** Writes a frame without a message. */
  protected control(kind: number, callId: number, rare: RareFields | undefined): void {
    if (this.state === "closed") return;
    this.sendQueue.encoder.control(kind, callId, rare);
    this.sendQueue.frameWritten();
  }

  ping(): void {
    this.control(Kind.PING, 0, { pingId: 1 });
  }

  readTo(usual: Buffer): Buffer {
    return this.receiveQueue.readTo(usual);
  }

  onDrain(): void {
    this.keepalive.heard(this.clock.now());
    this.sendQueue.onDrain();
    this.onProgress();
  }

  /** The connection is gone. */
  protected stopParts(): void {
    this.state = "closed";
    this.keepalive.stop();
    this.decoder.stop();
    this.receiveQueue.stop();
  }

  abstract readonly behind: boolean;
  abstract readonly repliesAwaited: number;
  abstract onData(chunk: Buffer): void;
  abstract onEnd(): void;
  abstract onClose(error: Error | undefined): void;
  abstract onProgress(): void;
  abstract onSilence(silentMs: number): void;
  abstract onMalformed(reason: string): void;
  abstract onGoOn(): void;
  abstract onFrame(
    header: FrameHeader,
    buffer: Buffer,
    bodyStart: number,
    bodyEnd: number,
    shared: boolean,
  ): void;
  abstract onOversized(header: FrameHeader, sizeBytes: number): void;
  abstract onOpening(header: FrameHeader): ChunkedMessage | undefined;
}
