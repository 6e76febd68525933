// For tests of services: a whole cluster in one process, on a clock that stands still until it is told to move.
export { MemoryRegistry, MemoryStore } from "../registry/memory.js";
export type { Runtime, RuntimeSettings } from "../registry/runtime.js";
export { MemoryNetwork } from "../transport/memory.js";
export { ManualClock, settle } from "./manual-clock.js";
export { createRuntime, memoryRegistry, type RuntimeParts, type SettingsInit } from "./runtime.js";
