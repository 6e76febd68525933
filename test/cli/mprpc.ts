import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { runCli } from "../../src/cli/run.js";
import { compiled } from "../tools/compiled.js";
import { noteComplaint, strictNode } from "../tools/complaints.js";
import { guarded } from "../tools/wait.js";

export interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  /** Default: a folder without a conf file. */
  readonly cwd?: string;
  /** Added to an environment without `MPRPC_...`. */
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** Lines of stdin as they come, instead of `stdin`. */
  readonly lines?: AsyncIterable<string>;
  /** Called with each piece of stdout. */
  readonly onOut?: (text: string) => void;
  /** Called with what a stop calls: Ctrl-C, or a reader that leaves. */
  readonly onStop?: (stop: (code: number) => void) => void;
}

async function* linesOf(text: string): AsyncGenerator<string, void> {
  yield* text.split("\n");
}

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The environment without settings of mprpc; programs under test find the sources, not an older lib/. */
export function cleanEnv(added: Readonly<Record<string, string>> = {}): Record<string, string | undefined> {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("MPRPC_"));
  return { ...Object.fromEntries(kept), TSX_TSCONFIG_PATH: `${root}tsconfig.json`, ...added };
}

/** Runs the command in this process: quick, for what does not depend on being one. */
export async function mprpc(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  let [out, err] = ["", ""];
  const code = await runCli(args, {
    cwd: options.cwd ?? `${root}test/cli`,
    env: cleanEnv(options.env),
    out: (line) => {
      out += line;
      options.onOut?.(line);
    },
    err: (line) => {
      err += line;
    },
    readStdin: async () => options.stdin ?? "",
    stdinLines: () => options.lines ?? linesOf(options.stdin ?? ""),
    onStop(listener) {
      options.onStop?.(listener);
      return () => {};
    },
  });
  return { code, out, err };
}

/** Runs the command as a process of its own. */
export async function mprpcProcess(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const child = spawn(process.execPath, [compiled("src/cli/main.ts"), ...args], {
    cwd: options.cwd ?? `${root}test/cli`,
    env: { ...cleanEnv(options.env), NODE_OPTIONS: strictNode },
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin.end(options.stdin ?? "");
  const exit = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const all = Promise.all([exit, text(child.stdout), text(child.stderr)]);
  try {
    const [code, out, err] = await guarded(all, `mprpc ${args.join(" ")}`);
    for (const line of err.split("\n")) noteComplaint(`mprpc ${args.join(" ")}`, line);
    return { code, out, err };
  } finally {
    child.kill("SIGKILL");
  }
}
