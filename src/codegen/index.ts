export { describeProtos } from "./describe.js";
export type { GeneratedFile } from "./emit-files.js";
export { CodegenError } from "./error.js";
export { type GenerateOptions, generate, generateFromDescriptors, writeGenerated } from "./generate.js";
export { runPlugin } from "./plugin.js";
export { generateUsage, runGenerate } from "./run.js";
