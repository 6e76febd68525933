import { loadConfig } from "../config/config.js";
import { usage as keysUsage, renderConfig } from "../config/render.js";
import { type Command, exitCodes } from "./command.js";

const usage = `Usage: mprpc config [-i FILE] [--key=value]...

Prints each key of the configuration: its effective value, and where that came from. Secrets are not shown.

${keysUsage()}`;

export const configCommand: Command = {
  usage,
  async run(args, io) {
    const { cwd, env } = io;
    const loaded = loadConfig({ argv: args, env, cwd });
    for (const warning of loaded.warnings) io.err(`mprpc: warning: ${warning}\n`);
    io.out(renderConfig(loaded));
    return exitCodes.done;
  },
};
