import { log, UsageError } from "./arguments.js";
import { codec } from "./codec/command.js";
import type { Command } from "./command.js";
import { compare } from "./compare.js";
import { connections } from "./connections/command.js";
import { events } from "./events/command.js";
import { growth } from "./growth/command.js";
import { grpc } from "./grpc/command.js";
import { local } from "./local/command.js";
import { logger } from "./logger/command.js";
import { mixed } from "./mixed/command.js";
import { policy } from "./policy/command.js";
import { takeFacts } from "./report/facts.js";
import { plainReport, writeReport } from "./report/write.js";
import { startup } from "./startup/command.js";
import { streams } from "./streams/command.js";
import { tls } from "./tls/command.js";

const commands: Readonly<Record<string, Command>> = {
  compare,
  growth,
  connections,
  mixed,
  startup,
  codec,
  logger,
  streams,
  local,
  tls,
  policy,
  grpc,
  events,
};

function help(): string {
  const list = Object.entries(commands).map(([name, { about }]) => `  ${name.padEnd(14)}${about}`);
  return [
    "Usage: npm run bench -- [COMMAND] [options]",
    "",
    ...list,
    "",
    "Without a command it is compare. `npm run bench -- COMMAND --help` tells the options of one.",
    "Every command takes --report FOLDER: JSON, Markdown and plots (SVG) go there.",
    "`npm run bench -- --install` installs the peers and compiles the benchmark, and measures nothing.",
    "",
  ].join("\n");
}

/** The command and its own arguments; a line without a command is one of `compare`. */
function select(argv: readonly string[]): { command: Command; args: readonly string[] } {
  const [first = "", ...rest] = argv;
  if (first.startsWith("-") || first === "") return { command: compare, args: argv };
  const command = commands[first];
  if (command === undefined)
    throw new UsageError(`"${first}" is none of ${Object.keys(commands).join(", ")}`);
  return { command, args: rest };
}

async function run(argv: readonly string[], startedMs: number): Promise<void> {
  if (argv.length === 1 && (argv[0] === "--help" || argv[0] === "-h")) {
    console.log(`${help()}\n${compare.usage}`);
    return;
  }
  const { command, args } = select(argv);
  const task = command.parse(args);
  if (task === undefined) {
    console.log(command.usage);
    return;
  }
  const facts = takeFacts(argv);
  const report = await task.run(startedMs);
  console.log(plainReport(report));
  if (task.reportFolder === undefined) return;
  const files = writeReport(task.reportFolder, report, facts());
  log(`${files.length} files in ${task.reportFolder}: ${files.join(", ")}`);
}

/** The whole program, begun at `startedMs`; sets the exit code: 0 measured, 1 failed, 2 wrong usage. */
export async function main(argv: readonly string[], startedMs: number): Promise<void> {
  try {
    await run(argv, startedMs);
  } catch (error) {
    const isUsage = error instanceof UsageError || (error instanceof TypeError && "code" in error);
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
    if (isUsage) console.error(help());
    process.exitCode = isUsage ? 2 : 1;
  }
}
