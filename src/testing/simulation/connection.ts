import { AsyncResource } from "node:async_hooks";
import { crc32 } from "node:zlib";
import type { Connection, ConnectionHandler, ConnectionSecurity } from "../../transport/transport.js";
import type { Machine, Socket } from "./machine.js";
import type { Path } from "./path.js";
import type { SeededRandom } from "./random.js";
import type { Scheduler } from "./scheduler.js";

/** A slow reader takes what it can read in this time at once, ms. */
const slowReadMs = 5;

/** What a reader finds: bytes, that there are no more, or that the connection is broken. */
type Arrival = Buffer | "end" | "reset";

/** What will happen to a connection, and after how many bytes of one direction. */
interface ByteFault {
  readonly kind: "cut" | "drop";
  readonly atBytes: number;
}

/** What both ends of a connection share. */
export interface Wire {
  readonly id: number;
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  /** Probability that what is written arrives in pieces, cut anywhere. */
  readonly split: number;
  /** Probability that what has arrived is read in one go. */
  readonly coalesce: number;
  /** Bytes that may be on their way or unread, each direction; what is beyond it waits in the sender. */
  readonly windowBytes: number;
  note(end: SimulatedConnection, what: string): void;
}

export interface ConnectionEnd {
  readonly wire: Wire;
  readonly machine: Machine;
  readonly local: string;
  readonly remote: string;
  /** What this end sends goes this way. */
  readonly path: Path;
}

/** As Node's error for a connection that was reset. */
function resetError(): Error {
  return Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
}

/** One end of a TCP connection between two simulated hosts. */
export class SimulatedConnection implements Connection, Socket {
  readonly local: string;
  readonly remote: string;
  readonly machine: Machine;
  /** Set where the host that connected has proved who it is. */
  security: ConnectionSecurity | undefined;
  /** Undefined until the other side has accepted. */
  peer: SimulatedConnection | undefined;
  readonly #wire: Wire;
  readonly #path: Path;
  readonly #enter: (run: () => void) => void;
  /** As a socket's events do, ours come in the context the socket was made in. */
  readonly #context = new AsyncResource("SimulatedConnection");
  #handler: ConnectionHandler | undefined;
  /** Taken by `write`, and still the caller's memory. */
  #unwritten: Uint8Array[] = [];
  #unwrittenBytes = 0;
  #awaitingDrain = false;
  /** Sent, and not yet read at the other end. */
  #sentUnreadBytes = 0;
  #inbox: Arrival[] = [];
  #receivedBytes = 0;
  #fault: ByteFault | undefined;
  #nextReadMs = 0;
  /** Where its handler wants the next bytes. */
  #wished: Buffer | undefined;
  #reading = false;
  #paused = false;
  /** We shall send no more; `endSent`: the other side is told. */
  #ended = false;
  #endSent = false;
  #peerEnded = false;
  #closed = false;
  /** Nothing arrives any more: it was cut. */
  #broken = false;

  constructor({ wire, machine, local, remote, path }: ConnectionEnd) {
    this.#wire = wire;
    this.machine = machine;
    this.local = local;
    this.remote = remote;
    this.#path = path;
    this.#enter = machine.gate();
    machine.connections.add(this);
  }

  get id(): number {
    return this.#wire.id;
  }

  get path(): Path {
    return this.#path;
  }

  get unwrittenBytes(): number {
    return this.#unwrittenBytes;
  }

  get closed(): boolean {
    return this.#closed;
  }

  setHandler(handler: ConnectionHandler): void {
    this.#handler = handler;
    this.#readSoon();
  }

  // --- sending ---

  write(data: Uint8Array): boolean {
    if (this.#closed || this.#ended) return true;
    if (this.#inbox.at(-1) === "reset") {
      this.#close(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
      return true;
    }
    if (data.length > 0) {
      this.#unwritten.push(data);
      this.#unwrittenBytes += data.length;
      this.#push();
    }
    if (this.#unwrittenBytes === 0) return true;
    this.#awaitingDrain = true;
    return false;
  }

  end(): void {
    if (this.#closed || this.#ended) return;
    this.#ended = true;
    this.#push();
  }

  /** Hands to the network what the window has room for. */
  #push(): void {
    const { windowBytes } = this.#wire;
    while (this.#unwritten.length > 0 && this.#sentUnreadBytes < windowBytes) {
      const data = this.#unwritten[0] as Uint8Array;
      const size = Math.min(data.length, windowBytes - this.#sentUnreadBytes);
      // A copy: once it has left, the memory is the caller's again.
      this.#transmit(Buffer.from(data.subarray(0, size)));
      this.#unwrittenBytes -= size;
      if (size < data.length) this.#unwritten[0] = data.subarray(size);
      else this.#unwritten.shift();
    }
    if (this.#unwrittenBytes > 0) return;
    if (this.#awaitingDrain) {
      this.#awaitingDrain = false;
      this.#soon(() => {
        if (!this.#closed && !this.#awaitingDrain) this.#handler?.onDrain();
      });
    }
    if (this.#ended && !this.#endSent) {
      this.#endSent = true;
      this.#send("end");
      this.#closeWhenBothEnded();
    }
  }

  /** Sends bytes in one piece or in several. */
  #transmit(bytes: Buffer): void {
    const { random, split } = this.#wire;
    this.#sentUnreadBytes += bytes.length;
    let rest = bytes;
    while (rest.length > 1 && random.chance(split)) {
      // Near the front as often as anywhere: that is where lengths and headers stand.
      const most = random.chance(0.5) ? Math.min(rest.length - 1, 16) : rest.length - 1;
      const size = random.integer(1, most);
      const piece = rest.subarray(0, size);
      this.#send(piece);
      rest = rest.subarray(size);
    }
    const last = rest;
    this.#send(last);
  }

  #send(what: Buffer | "end"): void {
    this.#path.send(() => {
      const { peer } = this;
      if (peer !== undefined) peer.#arrive(what);
    });
  }

  #sendReset(): void {
    this.#path.sendUnreliably(() => {
      const { peer } = this;
      if (peer !== undefined) peer.#onReset();
    });
  }

  // --- receiving ---

  #arrive(arrival: Buffer | "end"): void {
    if (this.#broken) return;
    if (this.#closed) {
      // The system answers for a socket that is no longer there.
      if (arrival !== "end") this.#sendReset();
      return;
    }
    if (arrival !== "end") {
      const left = (this.#fault?.atBytes ?? Infinity) - this.#receivedBytes;
      this.#receivedBytes += arrival.length;
      if (arrival.length >= left) {
        this.#take(arrival.subarray(0, left));
        if (this.#fault?.kind === "cut") this.cut();
        else this.drop();
        return;
      }
    }
    this.#take(arrival);
  }

  /** Into the inbox, and to the owner in the same event if it reads. */
  #take(arrival: Arrival): void {
    this.#inbox.push(arrival);
    if (this.#mayRead() && this.#nextReadMs <= this.#wire.scheduler.nowMs) {
      this.#reading = true;
      this.#enter(() => this.#read());
    } else this.#readSoon();
  }

  #mayRead(): boolean {
    return !this.#reading && !this.#paused && this.#handler !== undefined && this.#inbox.length > 0;
  }

  #readSoon(): void {
    if (this.#closed || !this.#mayRead()) return;
    this.#reading = true;
    this.#wire.scheduler.at(this.#nextReadMs, () => this.#enter(() => this.#read()));
  }

  /** One read of a socket: a chunk, the end, or an error. */
  #read(): void {
    this.#reading = false;
    if (this.#closed || this.#paused) return;
    const head = this.#inbox[0];
    if (head === undefined) return;
    if (head === "reset") {
      this.#close(resetError());
    } else if (head === "end") {
      this.#inbox.shift();
      this.#peerEnded = true;
      this.#wire.note(this, "end");
      this.#context.runInAsyncScope(() => this.#handler?.onEnd());
      this.#closeWhenBothEnded();
    } else {
      this.#context.runInAsyncScope(() => this.#readBytes());
    }
    this.#readSoon();
  }

  #readBytes(): void {
    const { readBuffer } = this.machine;
    const wished = this.#wished ?? this.#handler?.readTo?.(readBuffer);
    // A wish need not be granted.
    const memory = wished !== undefined && this.#wire.random.chance(0.8) ? wished : readBuffer;
    const chunk = memory.subarray(0, this.#fill(memory));
    this.#wire.note(this, `data ${chunk.length} ${crc32(chunk).toString(16)}`);
    this.#handler?.onData(chunk);
    // The memory is used again: whoever kept it instead of copying shall notice.
    if (chunk.buffer === readBuffer.buffer) chunk.fill(0xdd);
    // As Node does: asked now, and not when the next bytes are here.
    this.#wished = this.#handler?.readTo?.(readBuffer);
  }

  /** Takes from the inbox what one read gives, into `memory`; returns how many bytes. */
  #fill(memory: Buffer): number {
    const { random, coalesce, scheduler } = this.#wire;
    const { readBytesPerMs } = this.machine;
    const most = Math.min(memory.length, Math.max(1, Math.floor(readBytesPerMs * slowReadMs)));
    let size = 0;
    for (;;) {
      const head = this.#inbox[0];
      if (!(head instanceof Buffer) || size >= most) break;
      const taken = head.subarray(0, most - size);
      taken.copy(memory, size);
      size += taken.length;
      if (taken.length < head.length) this.#inbox[0] = head.subarray(taken.length);
      else this.#inbox.shift();
      if (!random.chance(coalesce)) break;
    }
    if (readBytesPerMs < Infinity) this.#nextReadMs = scheduler.nowMs + size / readBytesPerMs;
    this.#acknowledge(size);
    return size;
  }

  /** Room in the window; the sender hears of it when it has something to send. */
  #acknowledge(size: number): void {
    const { peer } = this;
    if (peer === undefined) return;
    peer.#sentUnreadBytes -= size;
    if (peer.#unwrittenBytes === 0) return;
    this.#path.send(() => {
      if (!peer.#closed) peer.#push();
    });
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#readSoon();
  }

  // --- the end ---

  destroy(error?: Error): void {
    if (this.#closed) return;
    this.#tellPeerGone();
    this.#close(error);
  }

  reset(): void {
    if (this.#closed) return;
    this.#sendReset();
    this.#close(undefined);
  }

  /** It never came to be. */
  forget(): void {
    this.#shut();
  }

  /** Nobody here wants it any more, now that the other side has accepted it. */
  disown(): void {
    this.#sendReset();
    this.#shut();
  }

  abandon(): void {
    if (this.#closed) return;
    this.#tellPeerGone();
    this.#shut();
  }

  /** As TCP does: unread bytes make it a reset; else what was sent arrives, and then the end. */
  #tellPeerGone(): void {
    if (this.#broken) return;
    if (this.#inbox.some((one) => one !== "end")) {
      this.#sendReset();
    } else if (!this.#endSent) {
      this.#endSent = true;
      this.#send("end");
    }
  }

  #onReset(): void {
    if (this.#closed || this.#inbox.at(-1) === "reset") return;
    // What came before it is read first by some systems, and lost by others.
    if (this.#wire.random.chance(0.5)) this.#take("reset");
    else this.#close(resetError());
  }

  cut(): void {
    if (this.#broken) return;
    const { scheduler, random } = this.#wire;
    this.#wire.note(this, "cut");
    this.#broken = true;
    const { peer } = this;
    if (peer !== undefined) peer.#broken = true;
    this.#onReset();
    scheduler.after(random.between(0, this.#path.latencyMs), () => {
      if (peer !== undefined) peer.#onReset();
    });
  }

  failAfter(kind: ByteFault["kind"], moreBytes: number): void {
    this.#fault = { kind, atBytes: this.#receivedBytes + Math.max(1, moreBytes) };
  }

  spare(): void {
    this.#fault = undefined;
  }

  drop(): void {
    this.#wire.note(this, "dropped");
    this.#path.drop();
    this.peer?.path.drop();
  }

  #closeWhenBothEnded(): void {
    if (this.#endSent && this.#peerEnded && !this.#closed) this.#close(undefined);
  }

  #close(error: Error | undefined): void {
    if (this.#closed) return;
    this.#shut();
    this.#soon(() => {
      this.#wire.note(this, `close${error === undefined ? "" : ` ${error.message}`}`);
      this.#handler?.onClose(error);
    });
  }

  #shut(): void {
    this.#closed = true;
    this.#inbox = [];
    this.#unwritten = [];
    this.#unwrittenBytes = 0;
    this.machine.connections.delete(this);
  }

  /** In an event of its own, as Node does. */
  #soon(run: () => void): void {
    this.#wire.scheduler.after(0, () => this.#enter(() => this.#context.runInAsyncScope(run)));
  }
}
