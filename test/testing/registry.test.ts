import { Simulation } from "../../src/testing/index.js";
import { describeConformance } from "../registry/conformance.js";

describeConformance("simulated", async () => {
  const sim = new Simulation();
  let hosts = 0;
  let stopped = false;
  const driven = (async () => {
    while (!stopped) await sim.run(1);
  })();
  return {
    connect: () => sim.host(`host${++hosts}`).app.registry,
    stop: async () => {
      stopped = true;
      await driven;
    },
  };
});
