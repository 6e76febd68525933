import { once } from "node:events";
import net from "node:net";
import { onTestFinished } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import { RpcChannel } from "../../src/client/channel.js";
import { FrameDecoder } from "../../src/protocol/mprpc/wire/frame-decoder.js";
import { StaticRegistry } from "../../src/registry/static.js";
import { createRuntime, type SettingsInit } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { Child } from "../tools/child.js";
import { compiled } from "../tools/compiled.js";
import { guarded } from "../tools/wait.js";
import { ZooServiceStub } from "./gen/zoo.js";
import type { ProviderStats } from "./provider-process.js";

export const MiB = 2 ** 20;

/** A provider in a process of its own, and an honest caller of it. */
export class Attacked implements AsyncDisposable {
  readonly port: number;
  readonly zoo: ZooServiceStub;
  readonly child: Child;
  readonly #close: () => Promise<void>;

  private constructor(child: Child, port: number) {
    this.child = child;
    this.port = port;
    const registry = new StaticRegistry(`static://127.0.0.1:${port}`);
    const runtime = createRuntime({ transport: tcpTransport(systemClock), registry });
    const channel = new RpcChannel(runtime, { timeoutMs: 20_000 });
    this.#close = async () => {
      await channel.close();
      await runtime.close();
      await child.kill();
    };
    this.zoo = new ZooServiceStub(channel);
  }

  static async start(settings: SettingsInit = {}): Promise<Attacked> {
    const script = compiled(new URL("provider-process.ts", import.meta.url));
    const node = ["--max-old-space-size=400", "--expose-gc"];
    const child = new Child(process.execPath, [...node, script, JSON.stringify(settings)]);
    const port = Number((await child.line(/^listening /)).split(" ")[1]);
    const attacked = new Attacked(child, port);
    for (let i = 0; i < 20; i++) await attacked.zoo.echo({ legs: i });
    return attacked;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }

  async stats(): Promise<ProviderStats> {
    return JSON.parse((await this.zoo.stats({})).name);
  }

  /** Polls until `test` holds of what the provider says of itself. */
  async until(what: string, test: (stats: ProviderStats) => boolean): Promise<ProviderStats> {
    const poll = async (): Promise<ProviderStats> => {
      for (;;) {
        const stats = await this.stats();
        if (test(stats)) return stats;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    return guarded(poll(), what, () => this.child.output);
  }

  /** The texts it refused with so far. */
  async said(): Promise<string[]> {
    return Object.keys((await this.stats()).refused);
  }

  /**
   * Attacks, and calls honestly all the while: every call is answered. Gives what the attack gave, and the most the
   * process took meanwhile.
   */
  async under<T>(attack: () => Promise<T>): Promise<{ result: T; grownBytes: number; honestCalls: number }> {
    const before = (await this.stats()).rssBytes;
    let over = false;
    const done = attack().finally(() => {
      over = true;
    });
    done.catch(() => {});
    let [grownBytes, honestCalls] = [0, 0];
    // Each look collects its garbage first, which is no small part of the work of a process that is under attack.
    const look = async (): Promise<void> => {
      grownBytes = Math.max(grownBytes, (await this.stats()).rssBytes - before);
    };
    let lookedMs = performance.now();
    do {
      const reply = await guarded(
        this.zoo.echo({ legs: honestCalls }),
        "an honest call",
        () => this.child.output,
      );
      if (reply.legs !== honestCalls) throw new Error(`an honest caller got ${reply.legs}`);
      honestCalls++;
      if (performance.now() - lookedMs < 500) continue;
      await look();
      lookedMs = performance.now();
    } while (!over);
    await look();
    return { result: await done, grownBytes, honestCalls };
  }
}

interface Heard {
  kind: number;
  callId: number;
  status: number;
  message: string;
}

/** An evil peer that says what the test wishes and remembers what it hears. */
export class Evil {
  readonly socket: net.Socket;
  readonly heard: Heard[] = [];
  closed = false;
  readonly #decoder = new FrameDecoder({ headerMaxBytes: 1 << 20, bodyMaxBytes: 1 << 30 });
  readonly #waiting: Array<() => void> = [];

  /** `listens`: false leaves what comes unread. */
  constructor(socket: net.Socket, listens = true) {
    this.socket = socket;
    socket.setNoDelay(true);
    const close = (): void => {
      this.closed = true;
      this.#wake();
    };
    for (const event of ["end", "close", "error"]) socket.on(event, close);
    if (listens) socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    else socket.pause();
    onTestFinished(() => void socket.destroy());
  }

  static async connect(port: number, listens = true): Promise<Evil> {
    const socket = net.connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    const evil = new Evil(socket, listens);
    await once(socket, "connect");
    return evil;
  }

  #onData(chunk: Buffer): void {
    this.#decoder.push(chunk, {
      onFrame: ({ kind, callId, status, rare }) => {
        this.heard.push({ kind, callId, status, message: rare.message ?? "" });
        if (this.heard.length > 10_000) this.heard.shift();
      },
      onOversized: () => {},
      onOpening: () => undefined,
    });
    this.#wake();
  }

  /** Resolves when the system has taken the bytes, or the connection is over. */
  write(bytes: Uint8Array): Promise<void> {
    if (this.closed) return Promise.resolve();
    return new Promise<void>((resolve) => {
      // Called with an error when the connection ends first.
      this.socket.write(bytes, () => resolve());
    });
  }

  /** Says it again and again, up to `mostBytes`, until the other side takes no more of it. Gives how much it took. */
  async fill(bytes: Buffer, mostBytes: number): Promise<number> {
    let still = 0;
    for (let last = -1; still < 10 && !this.closed; ) {
      const { bytesWritten, writableLength } = this.socket;
      const taken = bytesWritten - writableLength;
      still = taken === last ? still + 1 : 0;
      last = taken;
      if (taken >= mostBytes) break;
      if (writableLength === 0) this.socket.write(bytes);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return this.socket.bytesWritten - this.socket.writableLength;
  }

  async until(what: string, test: () => boolean): Promise<void> {
    const met = async (): Promise<void> => {
      while (!test()) {
        await new Promise<void>((resolve) => void this.#waiting.push(resolve));
      }
    };
    await guarded(met(), what, () => this.heard.slice(-3));
  }

  /** Resolves when the other side has ended the connection. */
  end(): Promise<void> {
    return this.until("the end of the connection", () => this.closed);
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** The answer to call `id`. */
  async reply(id: number): Promise<Heard> {
    const find = (): Heard | undefined => this.heard.find((one) => one.kind === 2 && one.callId === id);
    await this.until(`a reply to call ${id}`, () => find() !== undefined || this.closed);
    const found = find();
    if (found === undefined) throw new Error(`the connection ended without a reply to call ${id}`);
    return found;
  }
}

/** `count` times the same bytes in one buffer. */
export function repeated(bytes: Buffer, count: number): Buffer {
  return Buffer.alloc(bytes.length * count, bytes);
}
