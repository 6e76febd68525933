import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** What a process holds. */
export interface Footprint {
  /** Live objects, after everything else was collected. */
  readonly heapBytes: number;
  /** Outside the heap: buffers. */
  readonly externalBytes: number;
  /** Sockets, timers and so on that the event loop knows of, by kind. */
  readonly resources: Readonly<Record<string, number>>;
}

/** Takes stock of this process; collects garbage first. */
export async function footprint(): Promise<Footprint> {
  // A second time: what finalizers let go of.
  for (let round = 0; round < 2; round++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  // Not process.memoryUsage(): it opens a file, which a process out of descriptors cannot.
  const { used_heap_size: heapBytes, external_memory: externalBytes } = getHeapStatistics();
  const resources: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  return { heapBytes, externalBytes, resources };
}
