import { Meter } from "../bench/src/meter.js";
import type { Load, Target } from "../bench/src/target.js";

/** Makes at least `least` calls and counts them on both sides. */
export async function countCalls(target: Target, load: Load, least: number) {
  class Limited extends Meter {
    override record(): void {
      if (this.completed >= least) this.running = false;
    }
  }
  const provider = await target.startProvider();
  const caller = await target.startCaller(provider.endpoint);
  try {
    const meter = new Limited();
    const before = provider.served(load.payloadBytes);
    await caller.drive(meter, load);
    return { made: meter.completed, served: provider.served(load.payloadBytes) - before };
  } finally {
    await caller.close();
    await provider.close();
  }
}
