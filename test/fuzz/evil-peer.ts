import type net from "node:net";
import { FrameDecoder } from "../../src/protocol/mprpc/wire/frame-decoder.js";
import { Kind } from "../../src/protocol/mprpc/wire/header.js";
import type { SeededRandom } from "../../src/testing/index.js";
import { controlFrame } from "../support/raw-peer.js";
import { guarded } from "../tools/wait.js";
import type { EvilStream } from "./streams.js";

/** The number of the ping that must be answered; no recorded frame has it. */
const probeId = 0x0ddba11;

/** What must not happen. */
export class FuzzFailure extends Error {
  override readonly name = "FuzzFailure";
}

/**
 * The evil end of one connection. Whatever it said, the other side either closes or goes on answering pings; it says
 * nothing malformed itself, and closes when this side has ended.
 */
export class EvilPeer {
  readonly #socket: net.Socket;
  readonly #decoder = new FrameDecoder({ headerMaxBytes: 1 << 20, bodyMaxBytes: 1 << 30 });
  readonly #decodes: boolean;
  #broken: string | undefined;
  #answered = false;
  #closed = false;
  #reset = false;
  #heard = false;
  #wake = (): void => {};

  /** `decodes`: what comes back is mprpc/2. */
  constructor(socket: net.Socket, decodes: boolean) {
    this.#socket = socket;
    this.#decodes = decodes;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("end", () => this.#onClosed());
    socket.on("close", () => this.#onClosed());
    socket.on("error", () => {
      this.#reset = true;
      this.#onClosed();
    });
  }

  #onClosed(): void {
    this.#closed = true;
    this.#wake();
  }

  #onData(chunk: Buffer): void {
    this.#heard = true;
    if (this.#decodes && this.#broken === undefined) {
      this.#broken = this.#decoder.push(chunk, {
        onFrame: (header) => {
          if (header.kind === Kind.PONG && header.rare.pingId === probeId) this.#answered = true;
        },
        onOversized: () => {},
        onOpening: () => undefined,
      });
    }
    this.#wake();
  }

  async #until(what: string, met: () => boolean): Promise<void> {
    const wait = async (): Promise<void> => {
      while (!met()) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    };
    await guarded(wait(), what);
  }

  /** Waits for the other side's first bytes, or its end. */
  hear(): Promise<void> {
    return this.#until("the first bytes of a caller", () => this.#heard || this.#closed);
  }

  /** Says all of it and sees what becomes of it. Resolves with how many mutated frames were read for certain. */
  async play(stream: EvilStream, random: SeededRandom): Promise<number> {
    let at = 0;
    for (const cut of stream.cuts) {
      if (cut > at) this.#socket.write(stream.bytes.subarray(at, cut));
      at = cut;
      if (random.chance(0.3)) await new Promise((resolve) => setImmediate(resolve));
    }
    const leaves = random.pick(["end", "end", "reset", "destroy"] as const);
    if (stream.malformed !== undefined) {
      await this.#until(`the end after malformed bytes (${stream.malformed})`, () => this.#closed);
    } else if (stream.inStep) {
      this.#socket.write(controlFrame(Kind.PING, 0, { pingId: probeId }));
      await this.#until("a pong or the end", () => this.#answered || this.#closed);
    }
    if (leaves === "end") {
      this.#socket.end();
      await this.#until("the end after ours", () => this.#closed);
    } else if (leaves === "reset") this.#socket.resetAndDestroy();
    this.#socket.destroy();
    if (this.#broken !== undefined) throw new FuzzFailure(`the peer said malformed bytes: ${this.#broken}`);
    // One that closed before the end of what was said has read the first of them, and perhaps more.
    const readAll = stream.malformed !== undefined || this.#answered || (leaves === "end" && !this.#reset);
    return readAll ? stream.mutated : Math.min(1, stream.mutated);
  }
}
