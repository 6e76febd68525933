import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import { MprpcApplication, RpcChannel, silentLogger } from "../../src/index.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { Child } from "../tools/child.js";
import { compiled } from "../tools/compiled.js";
import { eventually } from "../tools/wait.js";
import { type Footprint, footprint } from "./footprint.js";
import { Ledger } from "./ledger.js";

const mib = 1024 ** 2;

/** A program of this folder. */
export const compiledHere = (name: string): string => compiled(new URL(`${name}.ts`, import.meta.url));

/** `before` stands in front of the command, e.g. a shell that sets a limit. */
export function startProgram(name: string, args: readonly string[], before: readonly string[] = []): Child {
  const [command = "", ...rest] = [...before, process.execPath, compiledHere(name), ...args];
  return new Child(command, rest);
}

/** What a provider tells of itself. */
export interface ProviderFacts extends Footprint {
  readonly calls: number;
  readonly aborted: number;
  readonly inFlight: number;
  readonly connections: number;
}

export interface ProviderNode {
  readonly child: Child;
  readonly port: number;
  readonly pid: string;
}

/** Short silences, so that tests need not wait for the defaults: 10 s and 4 s. */
export const quickKeepalive = ["--keepalive.interval=400ms", "--keepalive.timeout=400ms"];

/** Nodes in processes of their own, which meet in a registry; the caller is this process. All end with the test. */
export class Nodes {
  readonly folder = mkdtempSync(path.join(tmpdir(), "mprpc-faults-"));
  readonly countFile = path.join(this.folder, "counted");
  readonly ledger = new Ledger(() => performance.now());
  readonly #registry: string;
  readonly #flags: readonly string[];

  /** `flags` of every node. */
  constructor(flags: readonly string[] = [], registry?: string) {
    this.#registry = registry ?? `file:${path.join(this.folder, "registry")}`;
    this.#flags = flags;
    writeFileSync(this.countFile, "");
    onTestFinished(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  flags(registry = this.#registry): string[] {
    return [`--registry=${registry}`, "--log.level=warn", ...this.#flags];
  }

  async provider(...flags: string[]): Promise<ProviderNode> {
    return this.listening(startProgram("provider-main", [this.countFile, ...this.flags(), ...flags]));
  }

  /** A provider that says where it listens. */
  async listening(child: Child): Promise<ProviderNode> {
    onTestFinished(() => child.kill());
    const line = await child.line(/^listening \d+$/);
    return { child, port: Number(line.split(" ")[1]), pid: String(child.pid) };
  }

  callerProcess(pending: number, ...flags: string[]): Child {
    const child = startProgram("caller-main", [String(pending), ...this.flags(), ...flags]);
    onTestFinished(() => child.kill());
    return child;
  }

  /** A caller in this process; to one address when `registry` says so. */
  async caller(registry?: string, ...flags: string[]): Promise<Caller> {
    const argv = ["node", "caller", ...this.flags(registry), ...flags];
    const app = await MprpcApplication.init(argv, { log: silentLogger, cwd: this.folder });
    return new Caller(app, this.ledger);
  }

  /** To one provider alone, past every proxy. */
  directly(node: Pick<ProviderNode, "port">): Promise<Caller> {
    return this.caller(`static://127.0.0.1:${node.port}`);
  }

  /** What must hold and does not: handlers' own counts against what callers were told. */
  violations(): string[] {
    for (const key of readFileSync(this.countFile, "utf8").split("\n"))
      if (key !== "") this.ledger.counted(key);
    return this.ledger.violations({ wireTellsTruncation: true, deadlines: false });
  }
}

export class Caller {
  readonly app: MprpcApplication;
  readonly channel: RpcChannel;
  readonly stub: ProbeServiceStub;
  readonly ledger: Ledger;
  /** Why connections ended. */
  readonly closes: string[] = [];
  /** Replies by provider. */
  readonly served = new Map<string, number>();
  #keys = 0;
  static #callers = 0;
  readonly #closing = new AbortController();
  readonly #name = `c${++Caller.#callers}`;

  constructor(app: MprpcApplication, ledger: Ledger) {
    this.app = app;
    this.channel = new RpcChannel(app);
    this.stub = new ProbeServiceStub(this.channel);
    this.ledger = ledger;
    app.events.on("connectionClose", ({ reason }) => void this.closes.push(reason ?? "well"));
    onTestFinished(() => this.close());
  }

  /** Gives up what is in flight: a test that failed must not wait for it. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.channel.close();
    await this.app.close();
  }

  /** One call that the ledger watches. `work`: 0 is answered, -1 never. */
  call(
    options: { work?: number; timeoutMs?: number; data?: Buffer; waitForReady?: boolean } = {},
  ): ReturnType<Ledger["watch"]> {
    const { work: number = 0, timeoutMs = 20_000, data = Buffer.alloc(20), ...rest } = options;
    const text = `${this.#name}.${++this.#keys}`;
    return this.ledger.watch({ key: text, data, timeoutMs }, () =>
      this.stub.echo(
        { text, data, number },
        {
          timeoutMs,
          signal: this.#closing.signal,
          ...rest,
          onMetadata: (metadata) => {
            const pid = metadata.getText("pid") ?? "";
            this.served.set(pid, (this.served.get(pid) ?? 0) + 1);
          },
        },
      ),
    );
  }

  /** So many calls, one after the other. */
  async calls(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.call();
  }

  /** Calls in flight that never end by themselves; resolves when the provider has begun them. */
  async hold(count: number, node: Caller, timeoutMs = Infinity): Promise<Promise<unknown>[]> {
    const { calls } = await node.facts();
    const held = Array.from({ length: count }, () => this.call({ work: -1, timeoutMs }));
    await eventually(`${count} calls are held`, async () => (await node.facts()).calls >= calls + count);
    return held;
  }

  async facts(): Promise<ProviderFacts> {
    const { text } = await this.stub.relay({ text: "facts" }, { timeoutMs: 20_000, waitForReady: true });
    return JSON.parse(text) as ProviderFacts;
  }

  /** The provider's event loop stands still. */
  block(ms: number): Promise<unknown> {
    return this.stub.relay({ text: "block", number: ms }, { timeoutMs: 60_000 });
  }
}

/** Calls that go on, so many at a time, until they are told to stop. */
export class Load {
  readonly #caller: Caller;
  #stopped = false;
  readonly #loops: Promise<void>[];

  constructor(caller: Caller, inFlight: number) {
    this.#caller = caller;
    this.#loops = Array.from({ length: inFlight }, () => this.#loop());
    onTestFinished(() => this.stop());
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      await this.#caller.call();
      // As a program would: callers that hammer leave the machine no time for the nodes that start.
      await new Promise((resolve) => void systemClock.setTimer(() => resolve(undefined), 5, true));
    }
  }

  /** Resolves when each of these has answered so many calls more. */
  async servedBy(count: number, ...nodes: readonly ProviderNode[]): Promise<void> {
    const { served } = this.#caller;
    const before = nodes.map(({ pid }) => served.get(pid) ?? 0);
    await eventually(`${count} calls more are served by ${nodes.length} nodes`, async () =>
      nodes.every(({ pid }, i) => (served.get(pid) ?? 0) >= (before[i] as number) + count),
    );
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
  }
}

/** Waits until a process holds no more than it did: the same resources, and memory but for what a heap always gains. */
export async function returned(
  what: string,
  before: Footprint,
  now: () => Promise<Footprint> = footprint,
): Promise<void> {
  let last: Footprint | undefined;
  await eventually(`${what} returns to ${JSON.stringify(before)}, last ${JSON.stringify(last)}`, async () => {
    last = await now();
    const kinds = ["TCPSocketWrap", "TCPServerWrap", "Timeout", "PipeWrap"];
    const same = kinds.every((kind) => (last?.resources[kind] ?? 0) <= (before.resources[kind] ?? 0));
    const grownBytes = last.heapBytes + last.externalBytes - before.heapBytes - before.externalBytes;
    return same && grownBytes < 16 * mib;
  });
}
