import type { Postponed, Turn } from "../../call/turn.js";
import type { Connection } from "../../transport/transport.js";
import type { ReceiveQueue } from "./receive-queue.js";

/**
 * Whether a provider reads from a caller. It does not while the caller is slow to read its replies, nor while the
 * handlers of this turn of the event loop have used up their time. The gate also closes in the middle of a read, so that
 * not all calls of one read run first.
 */
export class Gate implements Postponed {
  readonly #connection: Connection;
  readonly #receiveQueue: ReceiveQueue;
  readonly #turn: Turn;
  readonly #onOpen: () => void;
  #slow = false;
  #postponed = false;
  #closed = false;

  /** `onOpen`: everything that had arrived was processed, and reading continues. */
  constructor(connection: Connection, receiveQueue: ReceiveQueue, turn: Turn, onOpen: () => void) {
    this.#connection = connection;
    this.#receiveQueue = receiveQueue;
    this.#turn = turn;
    this.#onOpen = onOpen;
  }

  /** Reading waits for the caller to read. */
  get slow(): boolean {
    return this.#slow;
  }

  /** Reading waits for another turn of the event loop. */
  get postponed(): boolean {
    return this.#postponed;
  }

  /** Bytes have arrived. True: process them in this turn; false: they are set aside. */
  begin(nowMs: number): void {
    if (!this.#receiveQueue.held && !this.#turn.begin(nowMs)) this.#postpone();
  }

  /** The same for the second part of a read: the handlers of the first part may have taken long. */
  goOn(): void {
    if (!this.#receiveQueue.held && !this.#turn.beginLate()) this.#postpone();
  }

  /** A call has been processed. */
  spent(): void {
    if (this.#turn.spent()) this.#postpone();
  }

  #postpone(): void {
    if (this.#postponed || this.#closed) return;
    this.#postponed = true;
    this.#shut();
    this.#turn.postpone(this);
  }

  #shut(): void {
    this.#receiveQueue.hold();
    this.#connection.pause();
  }

  /** The caller reads replies more slowly than it sends calls, or has caught up. */
  setSlow(slow: boolean): void {
    if (slow === this.#slow) return;
    this.#slow = slow;
    if (slow) this.#shut();
    else if (!this.#postponed && !this.#closed) {
      // The bytes set aside arrived a while ago.
      if (this.#turn.beginLate()) this.#open();
      else this.#postpone();
    }
  }

  takeTurn(): void {
    this.#postponed = false;
    this.#open();
  }

  #open(): void {
    if (this.#slow || this.#postponed || this.#closed) return;
    this.#receiveQueue.resume();
    // Processing them may have closed the gate again.
    if (this.#slow || this.#postponed || this.#closed) return;
    this.#connection.resume();
    this.#onOpen();
  }

  /** The connection is gone. */
  close(): void {
    this.#closed = true;
  }
}
