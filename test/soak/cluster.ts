import { mkdirSync } from "node:fs";
import path from "node:path";
import { freePort, ZooKeeperServer } from "../tools/zookeeper.js";
import { type Disturbance, servedWithinMs } from "./judge.js";
import { Member, type MemberEvents } from "./member.js";
import type { Fault } from "./plan.js";

export const mortalProviders = 3;
export const mortalCallers = 2;
/** How long the registry's server may take to start beyond what the tests give it. */
const registryPatienceSeconds = 120;

export interface ClusterOptions {
  seed: number;
  folder: string;
  registry: "file" | "zookeeper";
  /** Calls a second, of all callers together. */
  rate: number;
  gcEveryMs: number;
  /** Age of a connection of the provider that is never restarted. */
  connectionMaxAgeMs: number;
}

/** All processes of a soak: those that live through it, and those that are killed, drained and started again. */
export class Cluster {
  /** Every process there was. */
  readonly members: Member[] = [];
  readonly disturbances: Disturbance[] = [];
  readonly #options: ClusterOptions;
  readonly #events: MemberEvents;
  readonly #providers: Member[] = [];
  readonly #callers: Member[] = [];
  readonly #busy = new Set<string>();
  readonly #repairs = new Set<Promise<void>>();
  #zookeeper: ZooKeeperServer | undefined;
  #registryUpMs = 0;

  constructor(options: ClusterOptions, events: MemberEvents) {
    this.#options = options;
    this.#events = events;
  }

  async start(): Promise<void> {
    mkdirSync(path.join(this.#options.folder, "ledger"), { recursive: true });
    if (this.#options.registry === "zookeeper") this.#zookeeper = await ZooKeeperServer.start();
    const provider = async (name: string) => this.#spawn("provider", name, await freePort());
    await provider("provider-0");
    for (let place = 0; place < mortalProviders; place++)
      this.#providers.push(await provider(`provider-${place + 1}`));
    await Promise.all(this.members.map((one) => one.ready()));
    this.#spawn("caller", "caller-0");
    for (let place = 0; place < mortalCallers; place++)
      this.#callers.push(this.#spawn("caller", `caller-${place + 1}`));
    await Promise.all(this.members.map((one) => one.ready()));
  }

  /** Those that live through the whole run. */
  get steady(): string[] {
    return ["caller-0", "provider-0"];
  }

  #spawn(role: "provider" | "caller", name: string, port = 0): Member {
    const { seed, folder, rate, gcEveryMs, connectionMaxAgeMs } = this.#options;
    const spec = {
      ...{ name, seed, folder, port, gcEveryMs },
      life: this.members.length + 1,
      registry:
        this.#zookeeper === undefined
          ? `file:${folder}/registry`
          : // A provider that starts while the server is away waits for it. After an outage that outlasted all sessions the list is
            // empty until the first is back, and callers go on with the last one.
            `zookeeper://${this.#zookeeper.address}?start=150s&grace=60s`,
      rate: role === "caller" ? rate / (mortalCallers + 1) : 0,
      connectionMaxAgeMs: name === "provider-0" ? connectionMaxAgeMs : 0,
    };
    const member = new Member(role, spec, this.#events);
    this.members.push(member);
    return member;
  }

  /** Begins a fault; what it does goes on by itself. False when its target is still being repaired. */
  inflict(fault: Fault): boolean {
    const ofCaller = fault.kind === "killCaller" || fault.kind === "stopCaller";
    const members = ofCaller ? this.#callers : this.#providers;
    const target = fault.kind === "registry" ? "registry" : (members[fault.place]?.spec.name ?? "");
    if (this.#busy.has(target)) return false;
    this.#busy.add(target);
    const disturbance: Disturbance = { kind: fault.kind, target, fromMs: Date.now(), toMs: undefined };
    this.disturbances.push(disturbance);
    const restart = fault.kind === "registry" ? this.#restartRegistry(fault) : this.#restart(fault, members);
    const repair: Promise<void> = restart
      .catch((error) => this.#events.onFault(`${target} was not repaired: ${error}`))
      .finally(() => {
        disturbance.toMs = Date.now();
        this.#busy.delete(target);
        this.#repairs.delete(repair);
      });
    this.#repairs.add(repair);
    return true;
  }

  async #restart({ kind, place, downMs, moves }: Fault, members: Member[]): Promise<void> {
    const old = members[place];
    if (old === undefined) throw new Error(`there is no process ${place}`);
    await (kind === "kill" || kind === "killCaller" ? old.kill() : old.stop());
    this.checkEnd(old);
    await pause(downMs);
    const port = old.role === "caller" ? 0 : moves ? await freePort() : old.port;
    const next = this.#spawn(old.role, old.spec.name, port);
    members[place] = next;
    await next.ready();
  }

  async #restartRegistry({ downMs }: Fault): Promise<void> {
    this.#registryUpMs = Number.POSITIVE_INFINITY;
    await this.#zookeeper?.kill();
    await pause(downMs);
    try {
      await this.#zookeeper?.start();
    } catch {
      // On a busy machine its JVM takes longer than the tests wait; it goes on, and serves when it gets to run.
      await this.#registryAnswers();
    }
    this.#registryUpMs = Date.now();
  }

  async #registryAnswers(): Promise<void> {
    for (let asked = 0; asked < registryPatienceSeconds; asked++) {
      const answer = await this.#zookeeper?.ask("srvr").catch(() => "");
      if (answer?.includes("Mode:")) return;
      await pause(1000);
    }
    throw new Error(`the registry has not answered for ${registryPatienceSeconds} s since it was started`);
  }

  /** A provider that has started, and is listed, must be given calls. */
  checkServing(): void {
    for (const member of this.members) {
      if (member.role !== "provider" || !member.alive || member.hasServed || member.readyMs === undefined)
        continue;
      if (Date.now() - Math.max(member.readyMs, this.#registryUpMs) < servedWithinMs) continue;
      this.#events.onFault(`${member.name} has served nothing for ${servedWithinMs} ms since it started`);
      member.hasServed = true;
    }
  }

  /** Nothing may be left of the calls of a process that was asked to stop. */
  checkEnd({ name, final }: Member): void {
    if (final === undefined) return;
    const { begun, settled, started, ended, ...left } = final;
    if (begun !== settled) this.#events.onFault(`${name} began ${begun} calls, and ${settled} ended`);
    if (started !== ended)
      this.#events.onFault(`${name} has ${started} clientStart events and ${ended} clientEnd events`);
    for (const [what, count] of Object.entries(left)) {
      if (count !== 0) this.#events.onFault(`${name} has stopped with ${count} ${what}`);
    }
  }

  /** Waits for the repairs, and ends everything in peace: callers first. */
  async stop(): Promise<void> {
    await Promise.all(this.#repairs);
    for (const role of ["caller", "provider"] as const) {
      const members = this.members.filter((one) => one.role === role && one.alive);
      await Promise.all(members.map((one) => one.stop()));
      for (const member of members) this.checkEnd(member);
    }
  }

  /** Ends at once whatever still runs. */
  async end(): Promise<void> {
    await Promise.all(this.members.filter((one) => one.alive).map((one) => one.kill()));
    await this.#zookeeper?.stop();
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
