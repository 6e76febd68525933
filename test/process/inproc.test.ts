import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { cleanEnv } from "../cli/mprpc.js";
import { compiled } from "../tools/compiled.js";
import { guarded } from "../tools/wait.js";

test("run() of a provider within the process lasts until SIGTERM", async () => {
  const cwd = mkdtempSync(path.join(tmpdir(), "mprpc-inproc-"));
  onTestFinished(() => rmSync(cwd, { recursive: true }));
  const program = compiled(new URL("inproc-process.ts", import.meta.url));
  const child = spawn(process.execPath, [program, "--rpcserverip=inproc:a", `--registry=file:${cwd}`], {
    ...{ cwd, env: cleanEnv(), stdio: ["ignore", "pipe", "inherit"] },
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const said = text(child.stdout);
  const ended = once(child, "exit");
  await guarded(Promise.race([once(child.stdout, "data"), ended]), "the provider listens");
  // Nothing else keeps it: with nothing to do Node would end it in a moment.
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(child.exitCode).toBeNull();
  child.kill("SIGTERM");
  expect(await guarded(ended, "the provider stops")).toEqual([0, null]);
  expect((await said).trim().split("\n").at(-1)).toBe("drained");
});
