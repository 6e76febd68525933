import { type ClientInterceptor, RpcChannel, RpcProvider } from "../../src/index.js";
import type { ClassicDialect } from "../../src/protocol/classic/classic-wire.js";
import { createRuntime, ManualClock } from "../../src/testing/index.js";
import type { TestApp } from "../../src/testing/runtime.js";
import { seeded } from "../support/async.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { ProbeService } from "../support/gen/probe.js";
import { wheelOf } from "../support/wheel.js";
import { type Cut, CutNetwork, type Direction, directions, type Written } from "./cut-network.js";
import { Exchange, handlersOn, quiet, type Stage, turnUntil } from "./exchange.js";
import { Ledger, type Promises } from "./ledger.js";

export type WireName = "mprpc" | "grpc" | ClassicDialect;

export const wireNames: readonly WireName[] = ["mprpc", "grpc", "framed", "varint", "le32", "be32"];

/** In a write longer than `bulkBytes` all offsets but so many at both ends lie in the body of one chunk. */
const bulkBytes = 4096;
const edgeBytes = 48;
const port = 8000;

/** Offsets outside the bodies of chunks, and those inside. */
export interface Offsets {
  readonly edges: readonly number[];
  readonly bulk: readonly number[];
}

const noOffsets: Offsets = { edges: [], bulk: [] };

/** One provider and one caller's process on one wire; each run is a channel of its own. */
export class EveryByte {
  readonly #wire: WireName;
  readonly #interceptors: readonly ClientInterceptor[];
  readonly #network = new CutNetwork();
  readonly #clock = new ManualClock();
  readonly #stage: Stage;
  readonly #provider: RpcProvider;
  readonly #providerRuntime: TestApp;
  readonly #callerRuntime: TestApp;
  #cut: Cut | undefined;
  #offsets: Record<Direction, Offsets> = { request: noOffsets, reply: noOffsets };
  #runs = 0;
  #timers = 0;
  readonly #counts = { clientStart: 0, clientEnd: 0, serverStart: 0, serverEnd: 0 };

  private constructor(wire: WireName, interceptors: readonly ClientInterceptor[]) {
    this.#wire = wire;
    this.#interceptors = interceptors;
    this.#stage = {
      clock: this.#clock,
      ledger: this.#newLedger(),
      giveUp: new Map(),
      broken: () => this.#cut !== undefined && !this.#network.due,
    };
    const classic = wire !== "mprpc" && wire !== "grpc";
    const protocol = classic ? "classic" : wire;
    const attributes: Record<string, string> = classic ? { dialect: wire } : {};
    const registry = new FixedRegistry([{ host: "127.0.0.1", port, protocol, weight: 1, attributes }]);
    const parts = { clock: this.#clock, transport: this.#network, registry, random: seeded(1) };
    const listen = { host: "127.0.0.1", port };
    this.#providerRuntime = createRuntime({ ...parts, settings: { provider: { listen } } });
    this.#callerRuntime = createRuntime(parts);
    this.#provider = new RpcProvider(this.#providerRuntime);
    this.#provider.notifyService(ProbeService, handlersOn(this.#stage));
    for (const name of ["clientStart", "clientEnd"] as const)
      this.#callerRuntime.events.on(name, () => void this.#counts[name]++);
    for (const name of ["serverStart", "serverEnd"] as const)
      this.#providerRuntime.events.on(name, () => void this.#counts[name]++);
  }

  /** `interceptors` of the callers: for a test that something wrong is found. */
  static async start(wire: WireName, interceptors: readonly ClientInterceptor[] = []): Promise<EveryByte> {
    const made = new EveryByte(wire, interceptors);
    await made.#provider.start();
    made.#timers = made.#clock.timers;
    return made;
  }

  async stop(): Promise<void> {
    await turnUntil(this.#clock, this.#provider.shutdown(), () => "the provider does not stop");
    await this.#callerRuntime.close();
    await this.#providerRuntime.close();
  }

  #newLedger(): Ledger {
    return new Ledger(() => this.#clock.now());
  }

  /** Plays the exchange whole, and tells at which bytes it can be cut. Throws when a call fails it should not. */
  async offsets(): Promise<Readonly<Record<Direction, Offsets>>> {
    const found = await this.play(undefined);
    if (found.length > 0) throw new Error(`uncut: ${found.join("\n")}`);
    return this.#offsets;
  }

  /** One run; what did not hold in it. */
  async play(cut: Cut | undefined): Promise<string[]> {
    const { ledger } = Object.assign(this.#stage, { ledger: this.#newLedger(), giveUp: new Map() });
    this.#cut = cut;
    this.#network.arm(cut);
    const interceptors = this.#interceptors;
    const run = String(++this.#runs).padStart(7, "0");
    const exchange = new Exchange(this.#stage, new RpcChannel(this.#callerRuntime, { interceptors }), run);
    await (this.#wire === "mprpc" || this.#wire === "grpc" ? exchange.playModern() : exchange.playClassic());
    if (this.#network.due) ledger.fault("run", `the connection did not break`);
    if (cut === undefined && exchange.calls !== 50) ledger.fault("run", `${exchange.calls} calls were made`);
    if (cut === undefined) this.#keepOffsets();
    await exchange.recover();
    await turnUntil(this.#clock, exchange.close(), () => "the channel does not close");
    await this.#settleDown();
    this.#checkLeft(ledger);
    return ledger.violations(this.#promises(cut));
  }

  #keepOffsets(): void {
    for (const direction of directions)
      this.#offsets[direction] = offsetsOf(this.#network.written(direction));
  }

  /** What this wire can promise under this cut. */
  #promises(cut: Cut | undefined): Promises {
    const bare = this.#wire === "varint" || this.#wire === "le32" || this.#wire === "be32";
    const truncates = cut?.direction === "reply" && (cut.how === "end" || this.#wire === "varint");
    const empties = cut?.how === "end";
    return { wireTellsTruncation: !(bare && (truncates || empties)), deadlines: true };
  }

  /** Handlers that nobody waits for end by themselves, and connections that were ended close. */
  async #settleDown(): Promise<void> {
    // A classic caller may half-close and wait on, so a handler is not told of one that is gone: its call timeout ends it.
    const endMs = this.#clock.now() + this.#providerRuntime.settings.callTimeoutMs + 1000;
    for (let stepMs = 1; this.#leftovers().length > 0 && this.#clock.now() < endMs; stepMs *= 2) {
      this.#clock.advance(stepMs);
      await quiet();
    }
  }

  #leftovers(): string[] {
    const { clientStart, clientEnd, serverStart, serverEnd } = this.#counts;
    const counts: Record<string, number> = {
      "timers are set": this.#clock.timers - this.#timers,
      "connections are open": this.#network.open,
      "connections are served": this.#provider.connections,
      "calls are served": this.#provider.inFlight,
      "calls have deadlines at the caller": wheelOf(this.#callerRuntime).size,
      "calls have deadlines at the provider": wheelOf(this.#providerRuntime).size,
      "calls began and did not end at the caller": clientStart - clientEnd,
      "calls began and did not end at the provider": serverStart - serverEnd,
    };
    return Object.entries(counts)
      .filter(([, count]) => count !== 0)
      .map(([what, count]) => `${count} ${what}`);
  }

  #checkLeft(ledger: Ledger): void {
    for (const left of this.#leftovers()) ledger.fault("leak", `${left} after the run`);
  }
}

function offsetsOf(writes: readonly Written[]): Offsets {
  const edges: number[] = [];
  const bulk: number[] = [];
  for (const { from, sizeBytes } of writes) {
    for (let at = 0; at < sizeBytes; at++) {
      const inside = sizeBytes > bulkBytes && at >= edgeBytes && at < sizeBytes - edgeBytes;
      (inside ? bulk : edges).push(from + at);
    }
  }
  return { edges, bulk };
}

/** What a run is played for: a place to cut. */
export function* cutsOf(
  offsets: Readonly<Record<Direction, Offsets>>,
  { edges, bulk, seed }: { edges: number; bulk: number; seed: number },
): Generator<Cut> {
  const random = seeded(seed);
  for (const direction of directions) {
    for (const how of ["reset", "end"] as const) {
      const places = [
        ...sample(offsets[direction].edges, edges, random),
        ...sample(offsets[direction].bulk, bulk, random),
      ];
      for (const atByte of places) yield { direction, atByte, how };
    }
  }
}

/** So many of `all`, one out of each of as many equal stretches, so that none is left out for long; or all of them. */
function sample(all: readonly number[], count: number, random: () => number): number[] {
  if (count >= all.length) return [...all];
  const stretch = all.length / count;
  return Array.from({ length: count }, (_, i) => all[Math.floor((i + random()) * stretch)] as number);
}
