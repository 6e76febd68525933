import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createLogger } from "../../src/index.js";
import { startCliProvider } from "../cli/cli-provider.js";
import { mprpc } from "../cli/mprpc.js";
import { canary, expectNoCanary } from "../support/canary.js";

test("a token is in no output of the commands, and refused where others could see it", async () => {
  const provider = await startCliProvider();
  onTestFinished(() => provider.close());
  const secret = canary();
  const file = path.join(provider.folder, "token");
  writeFileSync(file, secret, { mode: 0o600 });
  const call = ["call", provider.address, "fixbug.UserServiceRpc", "Login", "{}", "--token-file", file];
  const inClear = await mprpc(call);
  expect(inClear.err).toContain("is not confidential");
  const sent = await mprpc([...call, "--auth.allowplain=yes", "-v"]);
  expect(sent.code).toBe(0);
  const env = { MPRPC_AUTH_TOKEN: secret };
  const shown = await mprpc(["config"], { env });
  expect(shown.out).toMatch(/auth\.token += \*\*\*/);
  const flag = await mprpc(["config", `--auth.token=${secret}`]);
  expect(flag.code).not.toBe(0);
  expect(flag.err).toContain("MPRPC_AUTH_TOKEN");
  expectNoCanary(...[inClear, sent, shown, flag].flatMap(({ out, err }) => [out, err]));
});

test("log files are not for everybody", async () => {
  const dir = mkdtempSync(path.join(tmpdir(), "mprpc-log-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const log = createLogger({ dir, console: "off" });
  log.info("hello");
  await log.close();
  const [file = ""] = readdirSync(dir);
  expect(readFileSync(path.join(dir, file), "utf8")).toContain("hello");
  expect(statSync(path.join(dir, file)).mode & 0o007).toBe(0);
});
