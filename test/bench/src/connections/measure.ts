import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { allowedCores, Child } from "../child.js";
import { windowOf } from "../window.js";
import { wallNow } from "./clock.js";
import { fixedPort } from "./limits.js";
import type {
  ClientsAnswers,
  ClientsRequest,
  ProviderAnswers,
  ProviderRequest,
  Reconnection,
} from "./protocol.js";

export interface ConnectionsPlan {
  sizes: readonly number[];
  rounds: number;
  /** Processes the clients are spread over; undefined: as many as there are cores for them, and more for many clients. */
  processes: number | undefined;
  inFlight: number;
  warmMs: number;
  measureMs: number;
  /** How long the provider is away when it is restarted. */
  downMs: number;
  pin: boolean;
  /** `file`: a folder in which the provider registers, so that its clients hear when it is there again. */
  registry: "static" | "file";
}

/** What one round of one size showed. */
export interface ConnectionsMeasurement {
  /** Connections the provider had when all were opened: fewer when it was too busy to answer pings. */
  open: number;
  connectsPerSecond: number;
  /** What a connection and its first call cost the provider. */
  serverCpuUsPerConnect: number | undefined;
  callsPerSecond: number;
  clientCpuUsPerCall: number;
  serverCpuUsPerCall: number;
  /** Undefined for so few connections that one cannot be told from noise. */
  rssKibPerConnection: number | undefined;
  heapKibPerConnection: number | undefined;
  made: number;
  served: number;
  restart: Restart;
  /** The same calls over the same number of bare sockets. */
  raw: Pick<ConnectionsMeasurement, "callsPerSecond" | "clientCpuUsPerCall" | "serverCpuUsPerCall">;
}

export interface Restart {
  /** Milliseconds since the provider was killed. */
  listeningMs: number;
  lostMs: number[];
  attemptsMs: number[];
  connectedMs: number[];
  backMs: number[];
  failed: number;
}

type ProviderProcess = Child<ProviderRequest, ProviderAnswers>;
type ClientsProcess = Child<ClientsRequest, ClientsAnswers>;

/**
 * A process with more clients than these is busy with itself when all of them connect at once: it runs every timer that
 * is due before it looks at what came of the attempts.
 */
const clientsPerProcess = 1250;

export function processesFor(size: number, plan: ConnectionsPlan): number {
  const cores = Math.min(4, Math.max(1, allowedCores().length - 1));
  return plan.processes ?? Math.max(cores, Math.ceil(size / clientsPerProcess));
}

/** Below so many, memory is not divided by them. */
const memoryFrom = 100;

/** Where everybody meets. */
interface Place {
  port: number;
  registry: string;
  /** Of a file registry. */
  folder: string | undefined;
}

async function makePlace(plan: ConnectionsPlan): Promise<Place> {
  const port = await fixedPort();
  if (plan.registry === "static") return { port, registry: `static://127.0.0.1:${port}`, folder: undefined };
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-bench-"));
  return { port, registry: `file:${folder}`, folder };
}

/** `raw-`: the programs that echo. */
type Kind = "" | "raw-";

function startProvider(kind: Kind, place: Place, plan: ConnectionsPlan): Promise<ProviderProcess> {
  const args = [String(place.port), place.registry];
  const core = plan.pin ? 0 : undefined;
  return Child.start({ name: `${kind}provider`, program: `connections/${kind}provider`, args, core });
}

/** The clients have the cores the provider has not. */
function startClients(
  kind: Kind,
  place: Place,
  plan: ConnectionsPlan,
  index: number,
): Promise<ClientsProcess> {
  const others = Math.max(1, allowedCores().length - 1);
  const core = plan.pin ? 1 + (index % others) : undefined;
  const args = [String(place.port), place.registry];
  return Child.start({
    name: `${kind}clients ${index + 1}`,
    program: `connections/${kind}clients`,
    args,
    core,
  });
}

/** `count` in as equal parts as there are processes. */
function shares(count: number, processes: number): number[] {
  return Array.from({ length: processes }, (_, index) => Math.floor((count + index) / processes));
}

/** One provider, its clients, one size. */
class Cluster {
  readonly #plan: ConnectionsPlan;
  readonly #place: Place;
  #provider: ProviderProcess;
  readonly #clients: ClientsProcess[] = [];
  /** Those that have at least one connection. */
  #busy: ClientsProcess[] = [];

  private constructor(plan: ConnectionsPlan, place: Place, provider: ProviderProcess) {
    this.#plan = plan;
    this.#place = place;
    this.#provider = provider;
  }

  static async start(kind: Kind, size: number, plan: ConnectionsPlan): Promise<Cluster> {
    const place = await makePlace(plan);
    const cluster = new Cluster(plan, place, await startProvider(kind, place, plan));
    try {
      for (let i = 0; i < processesFor(size, plan); i += 1) {
        cluster.#clients.push(await startClients(kind, place, plan, i));
      }
      return cluster;
    } catch (error) {
      await cluster.kill();
      throw error;
    }
  }

  async #open(count: number): Promise<{ opened: number; elapsedMs: number }> {
    const parts = shares(count, this.#clients.length);
    const asked = this.#clients.flatMap((clients, index) => {
      const part = parts[index] ?? 0;
      if (part === 0) return [];
      if (!this.#busy.includes(clients)) this.#busy.push(clients);
      return [clients.ask({ kind: "open", count: part })];
    });
    const answers = await Promise.all(asked);
    return {
      opened: answers.reduce((sum, { opened }) => sum + opened, 0),
      elapsedMs: Math.max(...answers.map(({ elapsedMs }) => elapsedMs)),
    };
  }

  /** Opens all connections, a tenth of them before memory is looked at: the first load code and grow pools. */
  async openAll(size: number) {
    const first = await this.#open(Math.ceil(size / 10));
    const rest = size - first.opened;
    if (rest === 0) return { open: size, connectsPerSecond: (first.opened * 1000) / first.elapsedMs };
    const before = await this.#provider.ask({ kind: "memory" });
    const idle = await this.#provider.ask({ kind: "mark" });
    const last = await this.#open(rest);
    const busy = await this.#provider.ask({ kind: "mark" });
    const after = await this.#provider.ask({ kind: "memory" });
    const added = after.connections - before.connections;
    const kib = (bytes: number) => (size < memoryFrom ? undefined : bytes / 1024 / added);
    return {
      open: after.connections,
      connectsPerSecond: (last.opened * 1000) / last.elapsedMs,
      serverCpuUsPerConnect: (busy.cpuUs - idle.cpuUs) / rest,
      rssKibPerConnection: kib(after.rssBytes - before.rssBytes),
      heapKibPerConnection: kib(after.heapUsedBytes - before.heapUsedBytes),
    };
  }

  async measureCalls() {
    const { inFlight, warmMs, measureMs } = this.#plan;
    const marks = () => Promise.all(this.#busy.map((clients) => clients.ask({ kind: "mark" })));
    const servedBefore = (await this.#provider.ask({ kind: "mark" })).calls;
    const parts = shares(inFlight, this.#busy.length);
    await Promise.all(
      this.#busy.map((clients, index) => clients.ask({ kind: "start", inFlight: parts[index] ?? 1 })),
    );
    await wait(warmMs);
    const marksOfAll = () => Promise.all([marks(), this.#provider.ask({ kind: "mark" })]);
    const [starts, serverStart] = await marksOfAll();
    const [ends, serverEnd] = await windowOf(
      measureMs,
      marksOfAll,
      ([, server]) => server.calls - serverStart.calls,
    );
    const stopped = await Promise.all(this.#busy.map((clients) => clients.ask({ kind: "stop" })));
    const windows = ends.map((end, index) => {
      const begin = starts[index] ?? end;
      return {
        calls: end.calls - begin.calls,
        cpuUs: end.cpuUs - begin.cpuUs,
        elapsedMs: end.timeMs - begin.timeMs,
      };
    });
    const sum = (of: (window: (typeof windows)[number]) => number) =>
      windows.reduce((total, window) => total + of(window), 0);
    return {
      callsPerSecond: sum(({ calls, elapsedMs }) => (calls * 1000) / elapsedMs),
      clientCpuUsPerCall: sum(({ cpuUs }) => cpuUs) / sum(({ calls }) => calls),
      serverCpuUsPerCall: (serverEnd.cpuUs - serverStart.cpuUs) / (serverEnd.calls - serverStart.calls),
      made: stopped.reduce((total, { made }) => total + made, 0),
      served: (await this.#provider.ask({ kind: "mark" })).calls - servedBefore,
    };
  }

  /** The provider dies without a word and is started again on its port; every client has calls to make all the while. */
  async restart(): Promise<Restart> {
    await Promise.all(this.#busy.map((clients) => clients.ask({ kind: "hang" })));
    const killedAtMs = wallNow();
    await this.#provider.killed();
    const reconnected = this.#busy.map((clients) => clients.ask({ kind: "reconnected" }));
    // Told below; until then a failure must not end the process.
    for (const one of reconnected) one.catch(() => {});
    await wait(this.#plan.downMs);
    this.#provider = await startProvider("", this.#place, this.#plan);
    const listeningMs = wallNow() - killedAtMs;
    const all = await Promise.all(reconnected);
    const since = (of: (one: Reconnection) => number[]) =>
      all
        .flatMap(of)
        .map((atMs) => atMs - killedAtMs)
        .sort((a, b) => a - b);
    return {
      listeningMs,
      lostMs: since((one) => one.lostAtMs),
      attemptsMs: since((one) => one.attemptsAtMs),
      connectedMs: since((one) => one.connectedAtMs),
      backMs: since((one) => one.backAtMs),
      failed: all.reduce((sum, one) => sum + one.failed, 0),
    };
  }

  async kill(): Promise<void> {
    await Promise.all([this.#provider, ...this.#clients].map((one) => one.killed()));
    if (this.#place.folder !== undefined) rmSync(this.#place.folder, { recursive: true, force: true });
  }
}

async function measureRaw(size: number, plan: ConnectionsPlan): Promise<ConnectionsMeasurement["raw"]> {
  const cluster = await Cluster.start("raw-", size, plan);
  try {
    await cluster.openAll(size);
    const calls = await cluster.measureCalls();
    if (calls.made !== calls.served) {
      throw new Error(`raw echo, ${size} connections: ${calls.made} frames came back of ${calls.served}`);
    }
    return calls;
  } finally {
    await cluster.kill();
  }
}

/** One round of one size, in processes of its own. */
export async function measureSize(size: number, plan: ConnectionsPlan): Promise<ConnectionsMeasurement> {
  const raw = await measureRaw(size, plan);
  const cluster = await Cluster.start("", size, plan);
  try {
    const opened = await cluster.openAll(size);
    const calls = await cluster.measureCalls();
    if (calls.made !== calls.served) {
      throw new Error(`${size} connections: ${calls.made} calls answered, but ${calls.served} served`);
    }
    const none = {
      serverCpuUsPerConnect: undefined,
      rssKibPerConnection: undefined,
      heapKibPerConnection: undefined,
    };
    return { ...none, ...opened, ...calls, raw, restart: await cluster.restart() };
  } finally {
    await cluster.kill();
  }
}
