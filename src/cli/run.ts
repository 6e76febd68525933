import { didYouMean } from "../base/nearest.js";
import { printableLines } from "../base/printable.js";
import { version } from "../base/version.js";
import { ConfigError } from "../config/config-error.js";
import { RpcError } from "../error/rpc-error.js";
import { type CliIo, type Command, exitCodes, UsageError } from "./command.js";

interface Listed {
  readonly name: string;
  readonly summary: string;
  /** Each command loads what it needs, and no more: starting quickly is half of what makes a command pleasant. */
  load(): Promise<Command>;
}

const commands: readonly Listed[] = [
  {
    name: "generate",
    summary: "write TypeScript for .proto files",
    load: async () => (await import("./generate.js")).generateCommand,
  },
  {
    name: "call",
    summary: "call a method with JSON and print its reply",
    load: async () => (await import("./call.js")).callCommand,
  },
  {
    name: "list",
    summary: "list services, their methods and instances",
    load: async () => (await import("./list.js")).listCommand,
  },
  {
    name: "describe",
    summary: "print a service, its methods and their messages",
    load: async () => (await import("./describe.js")).describeCommand,
  },
  {
    name: "health",
    summary: "ask a provider whether it serves, for probes",
    load: async () => (await import("./health.js")).healthCommand,
  },
  {
    name: "secret",
    summary: "make a secret that callers and providers share, for auth.secrets",
    load: async () => (await import("./secret.js")).secretCommand,
  },
  {
    name: "config",
    summary: "print the effective configuration and where each value comes from",
    load: async () => (await import("./config.js")).configCommand,
  },
];

function usage(): string {
  const width = Math.max(...commands.map(({ name }) => name.length)) + 2;
  return [
    "Usage: mprpc COMMAND [arguments]",
    "",
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}${summary}`),
    "",
    "`mprpc COMMAND --help` tells more of one command; `mprpc --version` prints the version.",
    "Exit code: 0 done, 1 failed, 2 wrong usage; `mprpc health --help` tells one more.",
    "",
  ].join("\n");
}

/** Runs `mprpc` with `args`; resolves with the exit code and never rejects. Every error is told on stderr without a stack. */
export async function runCli(args: readonly string[], bare: CliIo): Promise<number> {
  // Names, texts and values of other machines must not steer the terminal; those that are one line are so where they are put in.
  const io: CliIo = {
    ...bare,
    out: (text) => bare.out(printableLines(text)),
    err: (text) => bare.err(printableLines(text)),
  };
  const [name, ...rest] = args;
  const command = commands.find((one) => one.name === name);
  try {
    if (command !== undefined) return await runCommand(await command.load(), rest, io);
    return runBare(name, io);
  } catch (error) {
    return report(error, command, io);
  }
}

async function runCommand(command: Command, args: readonly string[], io: CliIo): Promise<number> {
  const end = args.indexOf("--");
  const own = end === -1 ? args : args.slice(0, end);
  if (own.includes("--help") || own.includes("-h")) {
    io.out(command.usage);
    return exitCodes.done;
  }
  return command.run(args, io);
}

function runBare(name: string | undefined, io: CliIo): number {
  if (name === "--version" || name === "-V") {
    io.out(`${version}\n`);
    return exitCodes.done;
  }
  if (name === "--help" || name === "-h" || name === "help") {
    io.out(usage());
    return exitCodes.done;
  }
  if (name === undefined) {
    io.err(usage());
    return exitCodes.usage;
  }
  const names = commands.map((one) => one.name);
  throw new UsageError(
    `unknown command ${JSON.stringify(name)}${didYouMean(name, names) || `; there are ${names.join(", ")}`}`,
  );
}

function report(error: unknown, command: Listed | undefined, io: CliIo): number {
  const text = error instanceof Error ? error.message : String(error);
  const where = command === undefined ? "mprpc" : `mprpc ${command.name}`;
  const hint = `Try \`${where} --help\`.\n`;
  if (error instanceof UsageError) {
    io.err(`${where}: ${text}\n${hint}`);
    return exitCodes.usage;
  }
  if (error instanceof ConfigError) {
    const usage = error.problems.some((one) => usagePlaces.has(one.where));
    io.err(`${configLines(error, where)}${usage ? hint : ""}`);
    return usage ? exitCodes.usage : exitCodes.failed;
  }
  // An RpcError is known by its code in brackets, a CodegenError by its file and line: editors and people look for them first.
  io.err(error instanceof RpcError || startsWithPlace(error) ? `${text}\n` : `mprpc: ${text}\n`);
  return exitCodes.failed;
}

/** Where a problem of the configuration stands that is none of its values: a flag nobody knows, an `-i` without a file. */
const usagePlaces: ReadonlySet<string> = new Set(["command line", "-i"]);

/** Its lines; one that begins with `FILE:LINE` stays so, for the same reason as above. */
function configLines(error: ConfigError, where: string): string {
  const lines = error.message.split("\n");
  return lines
    .map((line, at) => (error.problems[at]?.line === undefined ? `${where}: ${line}\n` : `${line}\n`))
    .join("");
}

function startsWithPlace(error: unknown): boolean {
  return error instanceof Error && error.name === "CodegenError";
}
