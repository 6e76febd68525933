import { setTimeout as wait } from "node:timers/promises";
import { Child } from "../child.js";
import { windowOf } from "../window.js";
import type { StreamAnswers, StreamMemory, StreamRequest } from "./protocol.js";
import type { IdleKind, StreamLoad, StreamTargetName } from "./target.js";

export interface StreamMeasurement {
  messagesPerSecond: number;
  /** Of both sides together. */
  cpuUsPerMessage: number;
  clientCpuUsPerMessage: number;
  serverCpuUsPerMessage: number;
}

export interface StreamWindow {
  warmMs: number;
  measureMs: number;
}

export interface BothSides {
  caller: StreamMemory;
  provider: StreamMemory;
}

/** With fewer messages than these a window goes on. */
const messagesMin = 20;

type Worker = Child<StreamRequest, StreamAnswers>;

/** The two processes of one target, a core each. */
export class StreamPair {
  readonly #name: StreamTargetName;
  readonly #provider: Worker;
  readonly #caller: Worker;

  private constructor(name: StreamTargetName, provider: Worker, caller: Worker) {
    this.#name = name;
    this.#provider = provider;
    this.#caller = caller;
  }

  static async start(name: StreamTargetName, pin: boolean): Promise<StreamPair> {
    const start = (role: "provider" | "caller", endpoint: string): Promise<Worker> => {
      const core = role === "provider" ? 0 : 1;
      return Child.start({
        name: `${role} of ${name}`,
        program: "streams/worker",
        args: [name, role, endpoint],
        core: pin ? core : undefined,
      });
    };
    const provider = await start("provider", "");
    try {
      return new StreamPair(name, provider, await start("caller", provider.endpoint));
    } catch (error) {
      provider.kill();
      throw error;
    }
  }

  async measure(load: StreamLoad, { warmMs, measureMs }: StreamWindow): Promise<StreamMeasurement> {
    const { payloadBytes } = load;
    const mark = async () => {
      const request = { kind: "mark", payloadBytes } as const;
      const [client, server] = await Promise.all([this.#caller.ask(request), this.#provider.ask(request)]);
      // A message counts where it ends up.
      return { client, server, receiver: load.kind === "client" ? server : client };
    };
    await this.#caller.ask({ kind: "start", load });
    await wait(warmMs);
    const start = await mark();
    const messagesUntil = (end: typeof start): number => end.receiver.calls - start.receiver.calls;
    const end = await windowOf(measureMs, mark, messagesUntil, messagesMin).catch((error) => {
      throw new Error(`${this.#name}: ${JSON.stringify(load)}: ${error.message}`);
    });
    await this.#caller.ask({ kind: "stop" });
    const messages = messagesUntil(end);
    const clientCpuUsPerMessage = (end.client.cpuUs - start.client.cpuUs) / messages;
    const serverCpuUsPerMessage = (end.server.cpuUs - start.server.cpuUs) / messages;
    return {
      messagesPerSecond: (messages * 1000) / (end.receiver.timeMs - start.receiver.timeMs),
      cpuUsPerMessage: clientCpuUsPerMessage + serverCpuUsPerMessage,
      clientCpuUsPerMessage,
      serverCpuUsPerMessage,
    };
  }

  async memory(): Promise<BothSides> {
    const request = { kind: "memory" } as const;
    const [caller, provider] = await Promise.all([this.#caller.ask(request), this.#provider.ask(request)]);
    return { caller, provider };
  }

  async openIdle(stream: IdleKind, count: number): Promise<void> {
    await this.#caller.ask({ kind: "idle", stream, count });
  }

  async stall(payloadBytes: number): Promise<void> {
    await this.#caller.ask({ kind: "stall", payloadBytes });
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#caller.ask({ kind: "close" }), this.#provider.ask({ kind: "close" })]);
    this.kill();
  }

  kill(): void {
    this.#caller.kill();
    this.#provider.kill();
  }
}
