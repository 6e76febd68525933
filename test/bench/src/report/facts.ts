import { spawnSync } from "node:child_process";
import os from "node:os";
import { fileURLToPath } from "node:url";

/** What else decides the figures: the machine, what it does besides, and which code ran. */
export interface Facts {
  date: string;
  command: string;
  /** Of the code measured; `-dirty` when files differ from it; empty outside of a repository. */
  gitCommit: string;
  cpu: string;
  cores: number;
  memoryGib: number;
  node: string;
  kernel: string;
  /** Over 1, 5 and 15 minutes. */
  loadBefore: readonly number[];
  loadAfter: readonly number[];
}

function git(...args: string[]): string {
  const cwd = fileURLToPath(new URL(".", import.meta.url));
  const { status, stdout } = spawnSync("git", args, { cwd, encoding: "utf8" });
  return status === 0 ? stdout.trim() : "";
}

const loadNow = () => os.loadavg().map((load) => Math.round(load * 100) / 100);

/** Taken before anything is measured; call the result when all is. `args`: those of the `program`. */
export function takeFacts(args: readonly string[], program = "npm run bench --"): () => Facts {
  const before = {
    date: new Date().toISOString(),
    command: [program, ...args].join(" "),
    gitCommit: git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"),
    cpu: os.cpus()[0]?.model ?? "unknown",
    cores: os.availableParallelism(),
    memoryGib: Math.round((os.totalmem() / 2 ** 30) * 10) / 10,
    node: process.version,
    kernel: `${os.type()} ${os.release()} ${os.arch()}`,
    loadBefore: loadNow(),
  };
  return () => ({ ...before, loadAfter: loadNow() });
}
