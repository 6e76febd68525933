import { expect, test } from "vitest";
import { simulate } from "../../src/testing/index.js";
import { grpcScenario } from "./scenario.js";

const seedCount = Number(process.env.MPRPC_SIMULATION_SEEDS ?? 60);

const replay = (seed: number): string =>
  `MPRPC_SIMULATION_SEEDS=${seed} npx vitest run test/simulation/grpc.test.ts`;

test(`three providers and four callers over gRPC, ${seedCount} seeds`, { timeout: 300_000 }, async () => {
  // Stack traces of the thousands of failures a run makes on purpose take a tenth of its time.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    const options = { seeds: seedCount, twice: 2, traceLines: 0, replay };
    expect(await simulate(options, grpcScenario)).toMatchObject({ seeds: seedCount });
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
});
