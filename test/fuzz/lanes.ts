import { once } from "node:events";
import net from "node:net";
import type { ClassicDialect } from "../../src/protocol/classic/classic-wire.js";
import { SeededRandom } from "../../src/testing/index.js";
import { guarded } from "../tools/wait.js";
import type { ClientCase, ClientReport } from "./client-process.js";
import { EvilPeer, FuzzFailure } from "./evil-peer.js";
import type { Recorded } from "./recorded.js";
import { classicReply, classicRequests, mprpcStream } from "./streams.js";

/** Who attacks whom, and in which language. */
export const laneNames = ["caller-mprpc", "caller-classic", "provider-mprpc", "provider-classic"] as const;
export type LaneName = (typeof laneNames)[number];

/** Numbers of one case alone, so that it can be played again without those before it. */
export function caseRandom(seed: number, lane: LaneName, index: number): SeededRandom {
  return SeededRandom.of(seed, `${lane}:${index}`);
}

/** Plays case `index` of an evil caller against the provider at `port`. Resolves with how many mutated frames were read. */
export async function playCaller(
  recorded: Recorded,
  port: number,
  lane: "caller-mprpc" | "caller-classic",
  seed: number,
  index: number,
): Promise<number> {
  const random = caseRandom(seed, lane, index);
  const mprpc = lane === "caller-mprpc";
  const stream = mprpc
    ? mprpcStream(
        random,
        recorded.asked,
        [...recorded.asked, ...recorded.answered, ...recorded.golden],
        8 * 128,
      )
    : classicRequests(random, recorded);
  const socket = net.connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  await once(socket, "connect");
  return new EvilPeer(socket, mprpc).play(stream, random);
}

/** One case of an evil provider, as it goes on. */
interface Playing {
  readonly index: number;
  readonly random: SeededRandom;
  connections: number;
  mutated: number;
  /** Its connections; rejects with what must not happen. */
  readonly plays: Array<Promise<void>>;
}

/** An evil provider: a port, a language, and the one case it is at. */
export class EvilSlot {
  readonly lane: "provider-mprpc" | "provider-classic";
  readonly dialect: ClassicDialect | undefined;
  readonly #server: net.Server;
  readonly #recorded: Recorded;
  #playing: Playing | undefined;

  private constructor(recorded: Recorded, dialect: ClassicDialect | undefined) {
    this.#recorded = recorded;
    this.dialect = dialect;
    this.lane = dialect === undefined ? "provider-mprpc" : "provider-classic";
    this.#server = net.createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
  }

  static async open(recorded: Recorded, dialect: ClassicDialect | undefined): Promise<EvilSlot> {
    const slot = new EvilSlot(recorded, dialect);
    slot.#server.listen(0, "127.0.0.1");
    await once(slot.#server, "listening");
    return slot;
  }

  close(): void {
    this.#server.close();
  }

  /** As the process of callers is told of it. */
  get argument(): string {
    const query = this.dialect === undefined ? "" : `?protocol=classic&dialect=${this.dialect}`;
    return `${query}#${(this.#server.address() as net.AddressInfo).port}`;
  }

  /** The next case; the callers are to begin with what it returns. */
  begin(seed: number, index: number): ClientCase {
    const random = caseRandom(seed, this.lane, index);
    this.#playing = { index, random, connections: 0, mutated: 0, plays: [] };
    return { calls: random.integer(1, 6), timeoutMs: this.dialect === undefined ? 2000 : 400 };
  }

  /** The callers have done with it. Resolves with how many mutated frames they read; throws for what must not happen. */
  async end(report: ClientReport): Promise<number> {
    const playing = this.#playing;
    if (playing === undefined) return 0;
    if (report.honest !== undefined) throw new FuzzFailure(`an honest call of its channel: ${report.honest}`);
    const wrong = report.outcomes?.find((outcome) => outcome.startsWith("NO RpcError"));
    if (wrong !== undefined) throw new FuzzFailure(wrong);
    await Promise.all(playing.plays);
    return playing.mutated;
  }

  #accept(socket: net.Socket): void {
    const playing = this.#playing;
    // A case ends with its connections: callers that come again are told nothing.
    if (playing === undefined || (this.dialect === undefined && playing.connections > 0)) {
      socket.on("error", () => {});
      socket.destroy();
      return;
    }
    playing.connections++;
    const play = this.#play(new EvilPeer(socket, this.dialect === undefined), playing);
    play.catch(() => {});
    playing.plays.push(play);
  }

  async #play(peer: EvilPeer, playing: Playing): Promise<void> {
    const { random } = playing;
    await peer.hear();
    const { answered, asked, golden } = this.#recorded;
    const stream =
      this.dialect === undefined
        ? mprpcStream(random, answered, [...answered, ...asked, ...golden], 0)
        : classicReply(random, this.#recorded, this.dialect);
    playing.mutated += await peer.play(stream, random);
  }
}

/** Waits for `work` and names the case, and how it is played again, when it fails or hangs. */
export async function named<T>(lane: LaneName, seed: number, index: number, work: Promise<T>): Promise<T> {
  try {
    return await guarded(work, "the case");
  } catch (error) {
    const again = `npm run fuzz -- --seed ${seed} --case ${lane}:${index}`;
    throw new FuzzFailure(
      `${(error as Error).message}\n  case ${lane}:${index} of seed ${seed}; again: ${again}`,
    );
  }
}
