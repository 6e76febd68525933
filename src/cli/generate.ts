import { generateUsage, runGenerate } from "../codegen/index.js";
import type { Command } from "./command.js";

export const generateCommand: Command = {
  usage: generateUsage,
  run: (args, io) => runGenerate(args, { stdout: io.out, stderr: io.err }),
};
