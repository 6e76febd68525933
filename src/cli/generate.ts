import { generateUsage, runGenerate } from "../codegen/index.js";
import type { Command } from "./command.js";

export const generateCommand: Command = {
  name: "generate",
  summary: "write TypeScript for .proto files",
  usage: generateUsage,
  run: (args, io) => runGenerate(args, { stdout: io.out, stderr: io.err }),
};
