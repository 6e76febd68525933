import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadConfig } from "../src/config/config.js";
import { keyRows } from "../src/config/schema.js";
import { cleanEnv, mprpc } from "./cli/mprpc.js";
import { Child } from "./tools/child.js";
import { compiled } from "./tools/compiled.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const text = (name: string): string => readFileSync(path.join(root, "docs", name), "utf8");
const deployment = text("deployment.md");

/** The block behind `<!-- kind -->`. */
function block(kind: string): string {
  const found = new RegExp(`<!-- ${kind} -->\\n\`\`\`\\w+\\n([\\s\\S]*?)\`\`\``).exec(deployment)?.[1];
  if (found === undefined) throw new Error(`docs/deployment.md has no block ${kind}`);
  return found;
}

const drainMs = (): number =>
  loadConfig({
    argv: ["-i", "mprpc.conf"],
    env: {},
    cwd: "/",
    readFile: () => Buffer.from(block("conf")),
  }).values.provider.draintimeoutMs;

let folder: string;
const children: Child[] = [];

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "mprpc-deployment-"));
});

afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.kill()));
  await rm(folder, { recursive: true, force: true });
});

describe("docs/deployment.md", () => {
  test("its conf has known keys and values, and no process is killed while it may drain", () => {
    const { warnings, values } = loadConfig({
      argv: ["-i", "mprpc.conf"],
      env: {},
      cwd: "/",
      readFile: () => Buffer.from(block("conf")),
    });
    expect(warnings).toEqual([]);
    expect(values.registry).toBe("zookeeper://127.0.0.1:2181");
    const unitMs = 1000 * Number(/^TimeoutStopSec=(\d+)s$/m.exec(block("unit"))?.[1]);
    const podMs = 1000 * Number(/terminationGracePeriodSeconds: (\d+)$/m.exec(block("kubernetes"))?.[1]);
    expect(unitMs).toBeGreaterThan(drainMs());
    expect(podMs).toBeGreaterThan(drainMs());
  });

  test("names only variables that there are", () => {
    const known = new Set(keyRows.map(({ environment }) => environment));
    const documents = ["deployment.md", "troubleshooting.md", "faq.md", "modules.md"].map(text).join("\n");
    const named = [...documents.matchAll(/MPRPC_[A-Z]+(?:_[A-Z]+)*/g)].map(([name]) => name);
    expect(named.length).toBeGreaterThan(3);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });

  test("the program serves with these settings, its probe says so, and SIGTERM ends it with 0", async () => {
    const conf = path.join(folder, "mprpc.conf");
    await writeFile(conf, block("conf").replace(/^zookeeper.*\n/gm, ""));
    const env = {
      ...cleanEnv(),
      MPRPC_REGISTRY: `file:${path.join(folder, "registry")}`,
      MPRPC_RPCSERVERPORT: "0",
      MPRPC_ADVERTISEADDRESS: "127.0.0.1",
    } as NodeJS.ProcessEnv;
    const provider = new Child(process.execPath, [compiled("example/callee/src/main.ts"), "-i", conf], env);
    children.push(provider);
    const port = /:(\d+)$/.exec(await provider.line(/^listening on /))?.[1];

    const [, command = ""] = /command: \[node_modules\/\.bin\/mprpc, (.*)\]/.exec(block("kubernetes")) ?? [];
    const probe = command.split(", ").map((word) => word.replaceAll('"', "").replace(":8000", `:${port}`));
    expect(probe[0]).toBe("health");
    expect(await mprpc(probe)).toEqual({ code: 0, out: "SERVING\n", err: "" });

    const ended = new Promise((resolve) => provider.process.once("exit", resolve));
    provider.process.kill("SIGTERM");
    expect(await ended).toBe(0);
    expect((await mprpc(probe)).code).toBe(1);
  });
});

test("docs/troubleshooting.md: its commands are commands", async () => {
  const [, commands = ""] = /```sh\n([\s\S]*?)```/.exec(text("troubleshooting.md")) ?? [];
  const lines = commands.trim().split("\n");
  expect(lines).toHaveLength(3);
  for (const line of lines) {
    const [program, name = ""] = line.split(" ");
    expect(program).toBe("mprpc");
    expect((await mprpc([name, "--help"])).code).toBe(0);
  }
});
