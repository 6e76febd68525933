import type { SettingsInit, SimulatedHost, Simulation } from "../../src/testing/index.js";
import { type Caller, callerProgram } from "./callers.js";
import { Faults } from "./faults.js";
import { violations } from "./invariants.js";
import { Ledger } from "./ledger.js";
import { type Plan, planOf } from "./plan.js";
import { providerProgram } from "./services.js";
import { StreamLedger } from "./streams.js";
import type { Sabotage, World } from "./world.js";

const providerNames = ["p1", "p2", "p3"] as const;
const callerNames = ["c1", "c2", "c3", "c4"] as const;
/** After the faults: connections that fell silent are given up by then (keepalive), and calls without a deadline end. */
const settleWithinMs = 60_000;

/** Three providers and four callers, a workload and faults drawn from the seed, and what must hold at the end. */
export async function scenario(sim: Simulation, sabotage: Sabotage = {}): Promise<void> {
  await play(sim, planOf(sim.seed), sabotage);
}

/** The same with providers that speak nothing but gRPC. */
export async function grpcScenario(sim: Simulation): Promise<void> {
  const plan = planOf(sim.seed);
  const provider = { ...plan.settings.provider, protocols: ["grpc"] as const };
  await play(sim, { ...plan, settings: { ...plan.settings, provider } }, {});
}

async function play(sim: Simulation, plan: Plan, sabotage: Sabotage): Promise<void> {
  const world: World = { sim, plan, ledger: new Ledger(sim), streams: new StreamLedger(), sabotage };
  sim.note(`plan ${JSON.stringify(plan)}`);
  sim.setNetwork(plan.network);
  const providers = providerNames.map((name, index) =>
    sim.host(name, providerProgram(world), { settings: settingsOf(plan, index) }),
  );
  await sim.until(Promise.all(providers.map(({ ready }) => ready)));
  const current = new Map<string, Caller>();
  const callers = callerNames.map((name) =>
    sim.host(name, callerProgram(world, current), { settings: plan.settings }),
  );
  const faults = new Faults(world, { providers, callers });
  if (plan.mode === "rolling") await faults.roll();
  else await faults.run();
  await settle(world, [...providers, ...callers], current);
  // By then every connection that had fallen silent has been given up.
  const { intervalMs = 10_000, timeoutMs = 4000 } = plan.settings.keepalive ?? {};
  await sim.run(intervalMs + timeoutMs + 500);
  await sim.until(Promise.all([...current.values()].map((caller) => caller.recovers())));
  await sim.end();
  const expected = { allSucceed: plan.mode === "rolling", allRecover: !plan.starves };
  const found = [...violations(world.ledger, expected), ...world.streams.violations(world)];
  if (found.length > 0) throw new Error(`${found.length} violations:\n- ${found.slice(0, 20).join("\n- ")}`);
}

function settingsOf({ settings, fixedPorts }: Plan, index: number): SettingsInit {
  if (!fixedPorts) return settings;
  return { ...settings, provider: { ...settings.provider, listen: { host: "0.0.0.0", port: 8000 + index } } };
}

/** Lets time pass until every host is up, every call was made and has ended. */
async function settle(
  { sim, ledger }: World,
  hosts: readonly SimulatedHost[],
  current: ReadonlyMap<string, Caller>,
): Promise<void> {
  const unsettled = (): string[] =>
    [...ledger.calls.values()]
      .filter(({ settled, caller }) => settled === 0 && !ledger.factsOf(caller).dead)
      .map(({ key }) => key);
  const busy = (): boolean =>
    hosts.some(({ up }) => !up) || [...current.values()].some(({ done }) => !done) || unsettled().length > 0;
  const endMs = sim.nowMs + settleWithinMs;
  while (busy() && sim.nowMs < endMs) await sim.run(200);
  if (unsettled().length > 0) throw new Error(`these calls hang: ${unsettled().join(", ")}`);
  if (busy()) throw new Error("hosts or callers hang");
}

export const replayCommand = (seed: number): string =>
  `node --import tsx test/simulation/main.ts --seed ${seed}`;
