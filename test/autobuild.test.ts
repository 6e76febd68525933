import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { guarded } from "./tools/wait.js";

/** A provider that opens its log late, as one in the background may. */
const demo = `
log="$PWD/provider.log"
(sleep 0.3; exec >"$log"; echo "listening on 127.0.0.1:1"; sleep 0.1) &
provider_pid=$!
await_provider "$log"
grep -m 1 "listening on" "$log"
wait "$provider_pid"
`;

test("autobuild.sh waits for a log that is not there yet, and says nothing of it", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-autobuild-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const script = readFileSync(new URL("../autobuild.sh", import.meta.url), "utf8");
  expect(script).toMatch(/\nmain "\$@"\n$/);
  // Its functions, and another main.
  writeFileSync(path.join(folder, "functions.sh"), script.replace(/main "\$@"\n$/, demo));
  const child = spawn("bash", [path.join(folder, "functions.sh")], { stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const exit = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const all = Promise.all([exit, text(child.stdout), text(child.stderr)]);
  expect(await guarded(all, "await_provider")).toEqual([0, "listening on 127.0.0.1:1\n", ""]);
});
