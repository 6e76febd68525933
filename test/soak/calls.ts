import { type App, type CallOptions, RpcChannel, RpcController, RpcError, Status } from "mprpc";
import type { SeededRandom } from "mprpc/testing";
import { type Blob, ProbeService, ProbeServiceStub } from "../support/gen/probe.js";
import { type CallBook, failsByBug, failsOnPurpose, keyMetadata } from "./call-book.js";
import { ClassicCallers } from "./classic.js";
import { tell } from "./protocol.js";

/** Ordinary calls have so much time that only a call nobody answers runs out of it. */
const patientMs = 60_000;
const largeBytes = 1024 * 1024;

/** Every kind of call there is, and how many of a thousand are of it. */
export const kindShares = {
  small: 560,
  relay: 90,
  oneway: 80,
  cancelled: 60,
  late: 50,
  json: 40,
  controller: 30,
  classic: 30,
  ready: 20,
  refused: 20,
  bug: 10,
  large: 6,
  largeCancelled: 4,
} as const;

export type Kind = keyof typeof kindShares;

const kindsByChance = Object.entries(kindShares) as [Kind, number][];
const allShares = kindsByChance.reduce((sum, [, share]) => sum + share, 0);

function pickKind(random: SeededRandom): Kind {
  let left = random.between(0, allShares);
  for (const [kind, share] of kindsByChance) {
    left -= share;
    if (left < 0) return kind;
  }
  return "small";
}

/** Makes calls of all kinds, as chance has it. */
export class Calls {
  readonly #channel: RpcChannel;
  readonly #stub: ProbeServiceStub;
  readonly #classic: ClassicCallers;
  readonly #random: SeededRandom;
  readonly #book: CallBook;
  readonly #noise: Buffer;

  constructor(runtime: App, random: SeededRandom, book: CallBook) {
    this.#random = random;
    this.#book = book;
    this.#channel = new RpcChannel(runtime, {
      interceptors: [
        (next) => async (call) => {
          call.metadata.set("intercepted", "yes");
          return next(call);
        },
      ],
    });
    this.#stub = new ProbeServiceStub(this.#channel);
    this.#classic = new ClassicCallers(runtime.registry, random);
    this.#noise = Buffer.from(Uint32Array.from({ length: largeBytes / 2 }, () => random.word()).buffer);
  }

  /** Resolves when classic callers know a provider. */
  ready(): Promise<void> {
    return this.#classic.ready;
  }

  /** Begins one call; resolves when it has ended, however. */
  async make(): Promise<void> {
    const kind = pickKind(this.#random);
    const timeoutMs = kind === "late" ? this.#random.integer(5, 40) : patientMs;
    const entry = this.#book.begin(kind, timeoutMs);
    const request = { text: entry.key, data: this.#dataOf(kind), number: this.#numberOf(kind, timeoutMs) };
    const options: CallOptions = {
      timeoutMs,
      metadata: { [keyMetadata]: entry.key, tenant: "soak", bytes: Buffer.of(1, 2, 3) },
      onMetadata: (metadata) => {
        const key = metadata.getText(keyMetadata);
        if (key !== undefined && key !== entry.key)
          tell({ type: "fault", text: `${entry.key} was given the metadata of ${key}` });
      },
      ...(kind === "ready" ? { waitForReady: true } : {}),
    };
    try {
      await entry.settle(this.#call(kind, request, options), request);
    } catch {
      // The book has it.
    }
  }

  #dataOf(kind: Kind): Buffer {
    const random = this.#random;
    const large = kind === "large" || kind === "largeCancelled";
    const size = large ? largeBytes : kind === "json" || kind === "classic" ? 24 : random.integer(0, 600);
    const start = random.integer(0, this.#noise.length - size);
    return this.#noise.subarray(start, start + size);
  }

  /** What its handler is to do; the reply has the same number. */
  #numberOf(kind: Kind, timeoutMs: number): number {
    const random = this.#random;
    if (kind === "late") return timeoutMs + random.integer(50, 200);
    if (kind === "cancelled") return random.integer(50, 250);
    if (kind === "refused") return failsOnPurpose;
    if (kind === "bug") return failsByBug;
    return kind !== "classic" && random.chance(0.1) ? random.integer(1, 60) : 0;
  }

  #call(kind: Kind, request: Blob, options: CallOptions): Promise<Partial<Blob> | undefined> {
    switch (kind) {
      case "relay":
        return this.#stub.relay(request, options);
      case "oneway":
        return this.#channel.oneway(ProbeService.methods.note, request, options).then(() => undefined);
      case "json":
        return this.#json(request, options);
      case "controller":
        return this.#controller(request, options);
      case "classic":
        return this.#classic.call(request);
      case "cancelled":
      case "largeCancelled": {
        const abort = new AbortController();
        setTimeout(() => abort.abort(), this.#random.integer(0, 25));
        return this.#stub.echo(request, { ...options, signal: abort.signal });
      }
      default:
        return this.#stub.echo(request, options);
    }
  }

  async #json({ text, data, number }: Blob, options: CallOptions): Promise<Partial<Blob>> {
    const request = { text, number, data: data.toString("base64") };
    const reply = await this.#channel.callJson("probe.ProbeService", "Echo", request, options);
    if (typeof reply !== "object" || reply === null || Array.isArray(reply))
      throw new TypeError(`a reply in JSON is ${JSON.stringify(reply)}`);
    return { text: String(reply.text), data: Buffer.from(String(reply.data ?? ""), "base64") };
  }

  async #controller(request: Blob, options: CallOptions): Promise<Blob> {
    const controller = new RpcController();
    const reply = await this.#stub.echo(request, controller, options);
    if (controller.error !== undefined) throw controller.error;
    if (reply === undefined) throw new RpcError(Status.DATA_LOSS, "neither a reply nor an error");
    return reply;
  }

  async close(): Promise<void> {
    this.#classic.close();
    await this.#channel.close();
  }
}
