import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { cleanEnv, mprpc } from "../cli/mprpc.js";
import { debianRoot } from "../tools/debian.js";

/** The example's programs, with Google's gRPC libraries for Python and C++ as Debian packages them. */
const example = fileURLToPath(new URL("../../example/polyglot/", import.meta.url));
const out = path.join(debianRoot(), "../../polyglot");
const run = promisify(execFile);
const fetchAndCompileMs = 600_000;

beforeAll(async () => {
  await run("sh", [`${example}build.sh`, out]);
}, fetchAndCompileMs);

test("run.sh: Python and C++ call a provider of ours, and our channel a server in C++", async () => {
  const env = {
    ...cleanEnv(),
    POLYGLOT_OUT: out,
    POLYGLOT_NODE: `${process.execPath} --import ${import.meta.resolve("tsx")}`,
  } as NodeJS.ProcessEnv;
  const { stdout } = await run("sh", [`${example}run.sh`], { env });
  const common = (language: string, served: string): string[] =>
    [
      `Now Oslo: 4.5, served ${served}`,
      "Forecast Lima: 20, 21, 22",
      "Record: 3 reports, mean 3",
      "Follow: Lima 19, Oslo 4.5",
      "Now Atlantis: NOT_FOUND, nobody measures at Atlantis",
    ].map((line) => `${language}: ${line}`);
  const [now = "", ...rest] = common("python", "to Python by TypeScript");
  expect(stdout.trim().split("\n")).toEqual([
    ...[now, ...rest.slice(0, 3), "python: Now Lima, compressed: 19", ...rest.slice(3)],
    ...common("c++", "to C++ by TypeScript"),
    ...common("typescript", "to TypeScript by C++"),
  ]);
}, 120_000);

test("the commands ask a server in C++ by its reflection", async () => {
  const server = spawn(path.join(out, "cpp", "server"), { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(async () => {
    server.kill();
    await once(server, "close");
  });
  const [line] = (await once(createInterface(server.stdout), "line")) as [string];
  const address = line.replace("listening on ", "");
  const listed = await mprpc(["list", address]);
  expect(listed).toMatchObject({ code: 0, err: "" });
  expect(listed.out).toContain("Follow(stream weather.Place) returns (stream weather.Report)");
  const called = await mprpc(["call", address, "Weather", "Forecast", '{"name": "Lima"}']);
  expect(called.out.trim().split("\n")).toHaveLength(3);
  const failed = await mprpc(["call", address, "weather.Weather.Now", '{"name": "Atlantis"}']);
  expect(failed.code).toBe(1);
  expect(failed.err).toContain("[not_found] nobody measures at Atlantis");
}, 120_000);
