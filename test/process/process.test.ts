// What the library does to a process that uses it, and what is left of one that ends badly.
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { cleanEnv, mprpc } from "../cli/mprpc.js";
import { Child, startScript } from "../tools/child.js";
import { compiled } from "../tools/compiled.js";
import { takeComplaints } from "../tools/complaints.js";
import { eventually, guarded } from "../tools/wait.js";

function folder(): string {
  const made = mkdtempSync(path.join(tmpdir(), "mprpc-process-"));
  onTestFinished(() => rmSync(made, { recursive: true }));
  return made;
}

async function start(script: URL, ...args: string[]): Promise<Child> {
  const child = startScript(script, ...args);
  onTestFinished(() => child.kill());
  await guarded(once(child.process, "close"), "the process ends", () => child.output);
  return child;
}

test("a library changes nothing of the process; an application and run() do what they say", async () => {
  const child = await start(new URL("./listeners-process.ts", import.meta.url), folder());
  const steps = child.output.split("\n").filter((line) => line.startsWith("{"));
  const logHandlers = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "exit", "uncaughtExceptionMonitor"];
  expect(steps.map((line) => JSON.parse(line))).toEqual([
    { step: "provider and channel", ours: [] },
    { step: "a logger", ours: ["exit"] },
    { step: "closed", ours: [] },
    { step: "an application", ours: logHandlers },
    { step: "run()", ours: logHandlers },
    { step: "run() has ended", ours: logHandlers },
    { step: "closed", ours: [] },
  ]);
  expect(child.process.exitCode).toBe(0);
});

const uncaught = new URL("./uncaught-process.ts", import.meta.url);

test("an exception in a timer of the program: told, every line is written, and callers forget the provider", async () => {
  const dir = folder();
  const logs = path.join(dir, "logs");
  const registry = `--registry=file:${path.join(dir, "registry")}`;
  const child = await start(uncaught, "--rpcserverport=0", registry, `--log.dir=${logs}`);
  expect(child.process.exitCode).toBe(1);
  expect(child.output).toContain("Error: a timer of the program");
  expect(takeComplaints()).toEqual([expect.stringMatching(/: Node\.js v/)]);
  const [name = ""] = readdirSync(logs);
  const lines = readFileSync(path.join(logs, name), "utf8").trimEnd().split("\n");
  expect(lines.filter((line) => line.includes("before the end"))).toHaveLength(1000);
  expect(lines.at(-1)).toMatch(/\[fatal\] uncaught exception .*a timer of the program/);
  await eventually("the entry is gone", async () =>
    (await mprpc(["list", registry])).err.includes("no services"),
  );
});

test("a command whose output cannot be written says so; one whose reader has left does not", async () => {
  const run = async (script: string) => {
    const command = [process.execPath, compiled("src/cli/main.ts"), "config"];
    const child = new Child("bash", ["-c", script, "bash", ...command], cleanEnv() as NodeJS.ProcessEnv);
    onTestFinished(() => child.kill());
    await guarded(once(child.process, "close"), "the command ends", () => child.output);
    return child;
  };
  const full = await run('"$@" >/dev/full');
  expect(full.process.exitCode).toBe(1);
  expect(full.output).toBe("mprpc: cannot write to stdout: ENOSPC: no space left on device, write\n");
  const left = await run(`("$@"; echo "code $?" >&2) | head -n 1`);
  expect(left.output.split("\n").sort()).toEqual(["", "# conf file: none", "code 0"]);
  // An unknown command is told on stderr.
  // biome-ignore lint/suspicious/noTemplateCurlyInString: they are for bash.
  const unheard = await run('"${@:1:4}" nothing 2>&1 >/dev/null | true; echo "code ${PIPESTATUS[0]}"');
  expect(unheard.output).toBe("code 2\n");
});
