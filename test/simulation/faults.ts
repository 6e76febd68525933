import { SeededRandom, type SimulatedHost } from "../../src/testing/index.js";
import type { FaultKind } from "./plan.js";
import type { World } from "./world.js";

export interface Hosts {
  readonly providers: readonly SimulatedHost[];
  readonly callers: readonly SimulatedHost[];
}

/** Makes faults for as long as the plan says, and then mends everything. */
export class Faults {
  readonly #world: World;
  readonly #hosts: Hosts;
  readonly #random: SeededRandom;

  constructor(world: World, hosts: Hosts) {
    this.#world = world;
    this.#hosts = hosts;
    this.#random = SeededRandom.of(world.sim.seed, "faults");
  }

  async run(): Promise<void> {
    const { sim, plan } = this.#world;
    const endMs = sim.nowMs + plan.faultsEndMs;
    for (;;) {
      await sim.run(this.#random.between(1, 400));
      if (sim.nowMs >= endMs) break;
      this.#strike(this.#random.pick(plan.faults));
    }
    this.#mend();
  }

  /** Restarts the providers one after the other, each drained, as a deployment does. */
  async roll(): Promise<void> {
    const { sim } = this.#world;
    for (const provider of this.#hosts.providers) {
      await sim.run(this.#random.between(0, 600));
      await sim.until(provider.stop());
      provider.start();
      await sim.until(provider.ready);
      // Callers hear of it when the registry tells them.
      await sim.run(100);
    }
  }

  #strike(kind: FaultKind): void {
    const { sim } = this.#world;
    const random = this.#random;
    const provider = random.pick(this.#hosts.providers);
    const caller = random.pick(this.#hosts.callers);
    const lastsMs = random.pick([random.between(0, 50), random.between(0, 2500)]);
    const afterBytes = random.integer(1, random.pick([40, 1000, 100_000]));
    const [from, to] = random.chance(0.5) ? [caller, provider] : [provider, caller];
    const strikes: Record<FaultKind, () => void> = {
      cut: () => void sim.cut(from, to),
      cutAt: () => void sim.cut(from, to, { afterBytes }),
      drop: () => void sim.drop(from, to, random.chance(0.5) ? { afterBytes } : {}),
      partition: () => this.#partition(from, to, false, lastsMs),
      oneWay: () => this.#partition(from, to, true, lastsMs),
      crash: () => this.#crash(provider, lastsMs),
      drain: () => this.#drain(provider, lastsMs),
      pause: () => this.#pause(random.chance(0.7) ? provider : caller, lastsMs),
      refuse: () => {
        provider.refusesConnections = true;
        sim.after(lastsMs, () => {
          provider.refusesConnections = false;
        });
      },
      slow: () => {
        to.readBytesPerMs = random.pick([1, 100]);
        sim.after(lastsMs, () => {
          to.readBytesPerMs = Infinity;
        });
      },
      registry: () => this.#partition(from, "registry", random.chance(0.3), lastsMs * 4),
      callerCrash: () => this.#crash(caller, lastsMs),
    };
    strikes[kind]();
  }

  #partition(from: SimulatedHost, to: SimulatedHost | string, oneWay: boolean, lastsMs: number): void {
    const { sim } = this.#world;
    sim.partition(from, to, { oneWay });
    sim.after(lastsMs, () => sim.heal(from, to));
  }

  #crash(host: SimulatedHost, downMs: number): void {
    if (!host.up) return;
    this.#world.ledger.factsOf(host.app).dead = true;
    host.restart(downMs);
  }

  #drain(host: SimulatedHost, downMs: number): void {
    const { sim } = this.#world;
    if (!host.up) return;
    void host.stop().then(() => sim.after(downMs, () => host.start()));
  }

  #pause(host: SimulatedHost, lastsMs: number): void {
    if (!host.up) return;
    this.#world.ledger.factsOf(host.app).pausedMs += lastsMs;
    host.pause();
    this.#world.sim.after(lastsMs, () => host.resume());
  }

  #mend(): void {
    const { sim, plan } = this.#world;
    const { cut: _cut, drop: _drop, refuse: _refuse, ...harmless } = plan.network;
    sim.setNetwork(harmless);
    sim.heal();
    for (const host of sim.hosts) {
      host.resume();
      host.refusesConnections = false;
      host.readBytesPerMs = Infinity;
    }
  }
}
