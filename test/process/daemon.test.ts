// The provider of example/callee as a daemon: what it is asked by signals, and what may happen to its descriptors.
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { cleanEnv, mprpc } from "../cli/mprpc.js";
import { Child } from "../tools/child.js";
import { compiled } from "../tools/compiled.js";
import { eventually, guarded } from "../tools/wait.js";

let folder: string;
let conf: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "mprpc-daemon-"));
  conf = path.join(folder, "mprpc.conf");
  await writeFile(conf, `rpcserverport=0\nregistry=file:${path.join(folder, "registry")}\ncalltimeout=10s\n`);
});

/** Run in reverse at the end of a test: what writes into the folder ends before the folder does. */
const undo: Array<() => unknown> = [];

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
  await rm(folder, { recursive: true, force: true });
});

/** `bash -c script`, in which `"$@"` is the provider's command. */
function provider(script: string, ...more: string[]): Child {
  const command = [process.execPath, compiled("example/callee/src/main.ts"), "-i", conf, ...more];
  const child = new Child("bash", ["-c", script, "bash", ...command], cleanEnv() as NodeJS.ProcessEnv);
  undo.push(() => child.kill());
  return child;
}

/** The provider in the place of bash, so that signals reach it. */
const alone = 'exec "$@"';
/** Tells its number on stderr first: a pipeline has several processes. */
const told = 'bash -c \'echo "pid $$" >&2; exec "$@"\' bash "$@"';

async function pidOf(child: Child): Promise<number> {
  const pid = Number((await child.line(/^pid /)).slice(4));
  // Whoever it was started by may be gone by the end of the test.
  undo.push(() => isThere(pid) && process.kill(pid, "SIGKILL"));
  return pid;
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function ended(child: Child): Promise<number | string | null> {
  const { process } = child;
  const gone = () => process.exitCode ?? process.signalCode;
  if (gone() === null) await guarded(once(process, "close"), "the process ends", () => child.output);
  return gone();
}

const login = ["--text", "fixbug.UserServiceRpc", "Login", '{"name":"zhang san","pwd":"123456"}'];

async function serves(): Promise<void> {
  const { code, out, err } = await mprpc(["call", ...login, "-i", conf]);
  expect([code, err]).toEqual([0, ""]);
  expect(JSON.parse(out)).toMatchObject({ success: true });
}

/** Resolves when callers find a provider: its own line may go to where nobody reads. */
function untilServing(): Promise<unknown> {
  return eventually("a provider is there", async () => {
    const { code } = await mprpc(["call", ...login, "-i", conf]);
    return code === 0;
  });
}

async function leftTheRegistry(): Promise<void> {
  expect((await mprpc(["list", "-i", conf])).err).toContain("no services in");
}

async function logText(dir: string): Promise<string> {
  const [name = ""] = await readdir(dir);
  return readFile(path.join(dir, name), "utf8");
}

describe("signals", () => {
  test("the end of its terminal drains it", async () => {
    const logs = path.join(folder, "logs");
    // `script` holds the terminal; when it dies, the system sends SIGHUP to those who sit at it.
    const terminal = provider(`exec script -qec "$(printf "%q " "$@")" /dev/null`, `--log.dir=${logs}`);
    await terminal.line(/^listening on /);
    await serves();
    await terminal.kill("SIGKILL");
    await eventually("it says what it does", async () => (await logText(logs)).includes("SIGHUP: draining"));
    await eventually("it has left", async () =>
      (await mprpc(["list", "-i", conf])).err.includes("no services"),
    );
  });

  test("SIGUSR2 is left to the program: it dies of it", async () => {
    const child = provider(alone);
    await child.line(/^listening on /);
    child.process.kill("SIGUSR2");
    expect(await ended(child)).toBe("SIGUSR2");
  });

  test("SIGPIPE, SIGWINCH, SIGCONT change nothing", async () => {
    const child = provider(alone);
    await child.line(/^listening on /);
    for (const signal of ["SIGPIPE", "SIGWINCH", "SIGCONT"] as const) child.process.kill(signal);
    await serves();
    child.process.kill("SIGTERM");
    expect(await ended(child)).toBe(0);
    await leftTheRegistry();
  });
});

describe("its descriptors", () => {
  test("stdin, stdout and stderr are closed", async () => {
    const child = provider(`exec 9>&2; bash -c 'echo "pid $$" >&9; exec "$@" <&- >&- 2>&- 9>&-' bash "$@"`);
    const pid = await pidOf(child);
    await untilServing();
    process.kill(pid, "SIGTERM");
    expect(await ended(child)).toBe(0);
    await leftTheRegistry();
  });

  test.each([
    ["stdout", `${told} | head -n 1; echo "code \${PIPESTATUS[0]}"`],
    ["stderr", `(${told}) 2>&1 >/dev/null | head -n 1; echo "code \${PIPESTATUS[0]}"`],
  ])("nobody reads %s any more (EPIPE)", async (name, script) => {
    const log = ["--log.level=debug", `--log.console=${name}`];
    const child = provider(script, ...log);
    const pid = await pidOf(child);
    await untilServing();
    // Each closed connection is a line for nobody.
    for (let i = 0; i < 3; i++) await serves();
    process.kill(pid, "SIGTERM");
    await child.line(/^code 0$/);
    await leftTheRegistry();
  });

  test("the log's disk is full (ENOSPC): told once, and it serves", async () => {
    await symlink("/dev/full", path.join(folder, "full.log"));
    const child = provider(alone, `--log.dir=${folder}`, "--log.file=full.log");
    await child.line(/^listening on /);
    for (let i = 0; i < 3; i++) await serves();
    child.process.kill("SIGTERM");
    expect(await ended(child)).toBe(0);
    expect(child.output.match(/ENOSPC/g)).toHaveLength(1);
    expect(child.output).toMatch(/\d+ lines could not be written to .*full\.log before the end and are lost/);
    await leftTheRegistry();
  });

  test("its parent died: it serves on, and ends drained", async () => {
    const logs = path.join(folder, "logs");
    const child = provider(`${told} & wait`, `--log.dir=${logs}`);
    const pid = await pidOf(child);
    await child.line(/^listening on /);
    await child.kill("SIGKILL");
    await serves();
    process.kill(pid, "SIGTERM");
    await eventually("it has ended", async () => !isThere(pid));
    await leftTheRegistry();
    expect(await logText(logs)).toContain("SIGTERM: draining");
  });
});
