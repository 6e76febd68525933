export { describeProtos } from "./describe.js";
export { CodegenError } from "./error.js";
export { type GeneratedFile, type GenerateOptions, generate, writeGenerated } from "./generate.js";
export { generateUsage, runGenerate } from "./run.js";
