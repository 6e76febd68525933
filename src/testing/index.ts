// For tests of services: a whole cluster in one process, on a clock that stands still until it is told to move.
export { LocalProviders } from "../protocol/inproc/local-providers.js";
export { MemoryRegistry, MemoryStore } from "../registry/memory.js";
export type { App } from "../runtime/app.js";
export type { RuntimeSettings } from "../runtime/runtime.js";
export { MemoryNetwork } from "../transport/memory.js";
export { ManualClock, settle } from "./manual-clock.js";
export {
  createRuntime,
  memoryRegistry,
  type RuntimeParts,
  type SettingsInit,
  type TestApp,
} from "./runtime.js";
export { type HostOptions, type HostProgram, SimulatedHost } from "./simulation/host.js";
export type { NetworkOptions, NumberRange } from "./simulation/network-options.js";
export type { SimulatedApp } from "./simulation/process.js";
export { SeededRandom } from "./simulation/random.js";
export {
  type SimulateOptions,
  type SimulateReport,
  SimulationError,
  simulate,
} from "./simulation/simulate.js";
export {
  type BreakOptions,
  type PartitionOptions,
  Simulation,
  type SimulationOptions,
} from "./simulation/simulation.js";
export type { Trace } from "./simulation/trace.js";
