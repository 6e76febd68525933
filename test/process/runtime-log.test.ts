import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { cleanEnv } from "../cli/mprpc.js";
import { compiled } from "../tools/compiled.js";

const run = promisify(execFile);
const program = new URL("./runtime-log-process.ts", import.meta.url);

async function stderrOf(mode: string): Promise<string> {
  const env = cleanEnv() as NodeJS.ProcessEnv;
  const { stdout, stderr } = await run(process.execPath, [compiled(program), mode], { env });
  expect(stdout).toBe("[unknown] the handler failed; the provider's log has the reason\n");
  return stderr;
}

test("a runtime without a logger tells on stderr what callers are not told, and is disposed of", async () => {
  const stderr = await stderrOf("default");
  expect(stderr).toMatch(/^\d\d:\d\d:\d\d => \[error\] probe\.ProbeService\.Echo failed: boom peer=/);
  expect(stderr.trim().split("\n")).toHaveLength(1);
});

test("a silent one says nothing", async () => {
  expect(await stderrOf("silent")).toBe("");
});
