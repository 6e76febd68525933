import type { Reporter, TestModule, Vitest } from "vitest/node";

const shown = 20;

interface Took {
  project: string;
  name: string;
  ms: number;
}

/** What a file cost: its loading and its hooks too, which the time of its tests leaves out. */
function tookOf(module: TestModule): Took {
  const { environmentSetupDuration, prepareDuration, collectDuration, setupDuration, duration } =
    module.diagnostic();
  return {
    project: module.project.name,
    name: module.relativeModuleId,
    ms: environmentSetupDuration + prepareDuration + collectDuration + setupDuration + duration,
  };
}

const seconds = (ms: number): string => (ms / 1000).toFixed(1).padStart(6);

/** A reporter for vitest: at the end of a run, the files that took longest and what each project took, in seconds. */
export default class SlowestFiles implements Reporter {
  #log: (text: string) => void = console.log;

  onInit({ logger }: Vitest): void {
    this.#log = (text) => logger.log(text);
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    const took = modules.map(tookOf).sort((a, b) => b.ms - a.ms);
    const sums = new Map<string, number>();
    for (const { project, ms } of took) sums.set(project, (sums.get(project) ?? 0) + ms);
    this.#log(`\nThe slowest of ${took.length} files, in seconds:`);
    for (const { name, ms } of took.slice(0, shown)) this.#log(`${seconds(ms)}  ${name}`);
    this.#log("All files of a project, in seconds:");
    for (const [project, ms] of sums) this.#log(`${seconds(ms)}  ${project}`);
  }
}
