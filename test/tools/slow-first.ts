import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Those that alone take so long that the run would wait for them if they began late. */
const slowest = [
  "production/outages.test.ts",
  "registry/zookeeper-ensemble.test.ts",
  "bench.test.ts",
  // It waits for npm to install the peers, most of its time.
  "bench-peers.test.ts",
  "registry/zookeeper-network.test.ts",
  "readme.test.ts",
  "e2e/zookeeper.test.ts",
  "registry/zookeeper-outage.test.ts",
  "scale/scale.test.ts",
  "faults/descriptors.test.ts",
  "fuzz/attacks.test.ts",
  "conformance/conformance.test.ts",
  // Of those that share a process: it fetches and compiles C++, and the next plays 200 seeds.
  "grpc/polyglot.test.ts",
  "simulation/simulation.test.ts",
];
/** The files of one stay together: those that share a process can do so only one right after the other. */
const projects = ["clouddisk", "process", "unit"];

function rankOf({ moduleId }: TestSpecification): number {
  const rank = slowest.findIndex((name) => moduleId.endsWith(`/${name}`));
  return rank < 0 ? slowest.length : rank;
}

/** The order test files begin in: what takes long first, the many short ones last. */
export class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const projectOf = (file: TestSpecification) => projects.indexOf(file.project.name);
    return sorted.sort((a, b) => projectOf(a) - projectOf(b) || rankOf(a) - rankOf(b));
  }
}
