import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";
import type { Address } from "../../src/base/address.js";
import { systemClock } from "../../src/base/clock.js";
import type { ClientInterceptor, ServerInterceptor } from "../../src/call/interceptor.js";
import { RpcChannel } from "../../src/client/channel.js";
import type { ChannelOptions } from "../../src/client/channel-options.js";
import { RpcProvider } from "../../src/server/provider.js";
import {
  createRuntime,
  LocalProviders,
  ManualClock,
  MemoryNetwork,
  MemoryStore,
  memoryRegistry,
  type RuntimeParts,
  type SettingsInit,
} from "../../src/testing/index.js";
import type { TestApp } from "../../src/testing/runtime.js";
import { schemeTransport } from "../../src/transport/schemes.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import type { Transport } from "../../src/transport/transport.js";
import { unixTransport } from "../../src/transport/unix.js";
import { seeded } from "./async.js";
import { asGrpc } from "./fixed-registry.js";
import { ProbeService, type ProbeServiceHandler, ProbeServiceStub } from "./gen/probe.js";
import { RecordingLog } from "./log.js";

/** How calls get from the channels of a cluster to its providers. `grpc`: in memory, as gRPC. */
export type Over = "memory" | "tcp" | "unix" | "inproc" | "grpc" | "tls";

export const everyWay: readonly Over[] = ["memory", "tcp", "unix", "inproc"];

let usualWay: Over = "memory";
let secured: (() => Transport) | undefined;

/** For all clusters of a test file that do not say how: the tests of another file are run that way too. */
export function goOver(over: Exclude<Over, "tls">): void {
  usualWay = over;
}

/** The same with TLS: `open` makes the transport of a cluster, of its callers as of its providers. */
export function goOverTls(open: () => Transport): void {
  usualWay = "tls";
  secured = open;
}

export interface ClusterOptions {
  /** Default: what `goOver` says, `memory`, or `tcp` when that says so. TCP and unix sockets go with the real clock. */
  over?: Over;
  /** Real sockets and the real clock. Default: memory and a clock that stands still. */
  tcp?: boolean;
  /** Of callers and providers. */
  settings?: SettingsInit;
  /** Of the first provider; what is left out echoes. `null`: no provider is started. */
  handlers?: Partial<ProbeServiceHandler> | null;
  channel?: ChannelOptions;
  clientInterceptors?: readonly ClientInterceptor[];
  serverInterceptors?: readonly ServerInterceptor[];
  seed?: number;
}

const echo: ProbeServiceHandler = {
  echo: (request) => request,
  relay: (request) => request,
  note: (request) => request,
};

/** Providers and callers in one process; everything ends with the test. */
export class Cluster {
  readonly clock = new ManualClock();
  readonly network = new MemoryNetwork();
  readonly store = new MemoryStore();
  readonly log = new RecordingLog();
  readonly #options: ClusterOptions;
  readonly #closers: Array<() => Promise<void>> = [];
  readonly transport: Transport;
  readonly over: Over;
  readonly #local: LocalProviders | undefined;
  #folder: string | undefined;
  #sockets = 0;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.over = options.over ?? (options.tcp ? "tcp" : usualWay);
    this.transport = this.#openTransport();
    this.#local = this.over === "inproc" ? new LocalProviders() : undefined;
    onTestFinished(async () => {
      await this.close();
      if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
    });
  }

  #openTransport(): Transport {
    if (this.over === "tls" && secured !== undefined) return secured();
    if (!this.#hasSockets) return this.network;
    return schemeTransport({ tcp: tcpTransport(systemClock), unix: unixTransport(systemClock) });
  }

  get #hasSockets(): boolean {
    return this.over === "tcp" || this.over === "unix" || this.over === "tls";
  }

  /** Where the next provider listens. */
  #listen(): { listen?: Address } {
    if (this.over !== "unix") return {};
    this.#folder ??= mkdtempSync(path.join(tmpdir(), "mprpc-unix-"));
    return { listen: { host: `unix:${this.#folder}/${++this.#sockets}`, port: 0 } };
  }

  /** A runtime as one process of the cluster has it. */
  runtime(parts: RuntimeParts = {}): TestApp {
    const { settings = {}, seed = 1 } = this.#options;
    const clock = this.#hasSockets ? systemClock : this.clock;
    const random = seeded(seed);
    const registry = memoryRegistry({ store: this.store, clock, random });
    const runtime = createRuntime({
      clock,
      random,
      transport: this.transport,
      registry: this.over === "grpc" ? asGrpc(registry) : registry,
      log: this.log,
      local: this.#local,
      ...parts,
      settings: {
        ...settings,
        ...parts.settings,
        provider: {
          ...this.#listen(),
          drainTimeoutMs: 100,
          ...settings.provider,
          ...parts.settings?.provider,
        },
      },
    });
    this.onClose(() => runtime.close());
    return runtime;
  }

  async provider(
    handlers: Partial<ProbeServiceHandler> = {},
    parts: RuntimeParts & { weight?: number } = {},
  ): Promise<RpcProvider> {
    const { weight, ...rest } = parts;
    const provider = new RpcProvider(this.runtime(rest), {
      interceptors: this.#options.serverInterceptors ?? [],
    });
    provider.notifyService(ProbeService, { ...echo, ...handlers }, weight === undefined ? {} : { weight });
    this.onClose(() => provider.shutdown());
    await provider.start();
    return provider;
  }

  channel(options: ChannelOptions = {}, runtime: TestApp = this.runtime()): RpcChannel {
    const interceptors = this.#options.clientInterceptors ?? [];
    const channel = new RpcChannel(runtime, {
      interceptors,
      ...this.#options.channel,
      ...options,
    });
    this.onClose(() => channel.close());
    return channel;
  }

  /** Callbacks run in reverse order. */
  onClose(closer: () => Promise<void>): void {
    this.#closers.push(closer);
  }

  async close(): Promise<void> {
    const closing = this.#closers
      .splice(0)
      .reverse()
      .map((close) => close());
    const all = Promise.all(closing);
    let done = false;
    void all.finally(() => {
      done = true;
    });
    // Whatever waits for a time gets it.
    while (!done && !this.#hasSockets) await this.clock.run(1000);
    await all;
  }
}

export interface Pair {
  cluster: Cluster;
  clock: ManualClock;
  log: RecordingLog;
  network: MemoryNetwork;
  provider: RpcProvider;
  providerRuntime: TestApp;
  channel: RpcChannel;
  runtime: TestApp;
  stub: ProbeServiceStub;
}

/** One provider and one channel to it. */
export async function startPair(options: ClusterOptions = {}): Promise<Pair> {
  const cluster = new Cluster(options);
  const providerRuntime = cluster.runtime();
  const provider = new RpcProvider(providerRuntime, { interceptors: options.serverInterceptors ?? [] });
  provider.notifyService(ProbeService, { ...echo, ...options.handlers });
  cluster.onClose(() => provider.shutdown());
  if (options.handlers !== null) await provider.start();
  const runtime = cluster.runtime();
  const channel = cluster.channel({}, runtime);
  const { clock, log, network } = cluster;
  return {
    cluster,
    clock,
    log,
    network,
    provider,
    providerRuntime,
    channel,
    runtime,
    stub: new ProbeServiceStub(channel),
  };
}
