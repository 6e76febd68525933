import { afterEach, describe, expect, test, vi } from "vitest";
import { RpcChannel } from "../../src/index.js";
import { type Simulation, SimulationError, simulate } from "../../src/testing/index.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { probeProgram } from "./support.js";

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

async function oneCall(sim: Simulation): Promise<void> {
  sim.host("orders", probeProgram());
  await sim.run(100);
  await sim.until(new ProbeServiceStub(new RpcChannel(sim.host("shop").app)).echo({}));
}

/** Fails for the seeds whose first draw is large. */
async function unlucky(sim: Simulation): Promise<void> {
  await oneCall(sim);
  if (sim.random.next() > 0.9) throw new Error("out of luck");
}

async function failureOf(work: Promise<unknown>): Promise<SimulationError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof SimulationError) return error;
  throw new Error(`expected a SimulationError, got ${String(error)}`);
}

describe("simulate", () => {
  test("plays so many seeds", async () => {
    const seeds: number[] = [];
    const report = await simulate({ seeds: 5, firstSeed: 10, twice: 0 }, async (sim) => {
      seeds.push(sim.seed);
      await oneCall(sim);
    });
    expect(seeds).toEqual([10, 11, 12, 13, 14]);
    expect(report).toMatchObject({ seeds: 5 });
    expect(report.events).toBeGreaterThan(30);
    expect(report.simulatedMs).toBeGreaterThan(500);
  });

  test("names the seed that fails, its command and its trace; it fails again alone", async () => {
    const error = await failureOf(simulate({ replay: (seed) => `npm test -- ${seed}` }, unlucky));
    expect(error.message).toMatch(
      /^seed \d+ failed: out of luck\nreplay it with its trace: npm test -- \d+\nthe trace ends\n {2}\d+\.\d{3} /,
    );
    expect(error.trace[0]).toBe("0.000 orders starts");
    const written: string[] = [];
    vi.spyOn(process.stderr, "write").mockImplementation((text) => written.push(String(text)) > 0);
    vi.stubEnv("MPRPC_SIMULATION_SEED", String(error.seed));
    await expect(simulate({}, unlucky)).rejects.toThrow(/^out of luck$/);
    expect(written.join("")).toContain(`${error.trace.join("\n")}\ntrace `);
    vi.stubEnv("MPRPC_SIMULATION_SEED", "seven");
    await expect(simulate({}, unlucky)).rejects.toThrow("MPRPC_SIMULATION_SEED: expected a whole number");
  });

  test("finds out when something outside decides", async () => {
    let runs = 0;
    const error = await failureOf(
      simulate({ seeds: 1 }, async (sim) => {
        await oneCall(sim);
        sim.note(`run ${++runs}`);
      }),
    );
    expect(error.message).toMatch(
      /^seed 1 gave two different traces: .*; they part at line \d+:\n.* run 3\n.* run 4\n/,
    );
  });

  test("calls in JSON, which load their code when it is first needed, repeat too", async () => {
    await simulate({ seeds: 3, twice: 3 }, async (sim) => {
      sim.host("orders", probeProgram());
      const channel = new RpcChannel(sim.host("shop").app);
      const reply = await sim.until(
        channel.callJson("probe.ProbeService", "Echo", { text: "hi" }, { waitForReady: true }),
      );
      expect(reply).toMatchObject({ text: "hi" });
    });
  });

  test("says when a failure does not come again", async () => {
    let runs = 0;
    const once = simulate({}, async (sim) => {
      sim.note("begins");
      if (++runs === 1) throw new Error("once");
    });
    expect((await failureOf(once)).message).toContain("it did not fail when it ran again");
  });
});
