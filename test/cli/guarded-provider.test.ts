import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import { RpcProvider } from "../../src/server/provider.js";
import { createRuntime } from "../../src/testing/index.js";
import type { TestApp } from "../../src/testing/runtime.js";
import { unixTransport } from "../../src/transport/unix.js";
import { canary } from "../support/canary.js";
import { KindsService } from "./gen/kinds.js";
import { mprpc, type Outcome } from "./mprpc.js";

const token = canary();
let folder: string;
let socket: string;
let tokenFile: string;
let runtime: TestApp;
let provider: RpcProvider;

/** A provider on a unix socket that serves nobody without the token, but for health. */
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "mprpc-cli-guarded-"));
  socket = `unix:${folder}/rpc.sock`;
  tokenFile = path.join(folder, "token");
  writeFileSync(tokenFile, `${token}\n`, { mode: 0o600 });
  runtime = createRuntime({
    transport: unixTransport(systemClock),
    settings: { provider: { listen: { host: socket, port: 0 } } },
  });
  provider = new RpcProvider(runtime, {
    policy: { "*": "token:alice", "grpc.health.v1.Health/*": "token:alice" },
    authenticators: [
      async (metadata) =>
        metadata.getText("authorization") === `Bearer ${token}` ? "token:alice" : undefined,
    ],
  });
  provider.notifyService(KindsService, { echo: (request) => request, getNothing: () => ({}) });
  await provider.start();
});

afterAll(async () => {
  await provider.shutdown();
  await runtime.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("--token-file", () => {
  test.each([
    ["call", ["test.cli.KindsService", "GetNothing"], "{}\n"],
    ["list", [], "test.cli.KindsService\n"],
    ["describe", ["KindsService"], "service test.cli.KindsService {"],
    ["health", [], "SERVING\n"],
  ])("is for mprpc %s too", async (command, words, text) => {
    const ask = (...more: string[]): Promise<Outcome> => mprpc([command, socket, ...words, ...more]);
    const stranger = await ask();
    expect(stranger.err).toMatch(/^\[(unauthenticated|permission_denied)\] /);
    const known = await ask("--token-file", tokenFile);
    expect(known).toMatchObject({ code: 0, err: "" });
    expect(known.out).toContain(text);
    expect((await mprpc([command, "--help"])).out).toContain("--token-file FILE");
  });
});

describe("mprpc health without an address", () => {
  const health = (conf: string): Promise<Outcome> => {
    const file = path.join(folder, "provider.conf");
    writeFileSync(file, conf);
    return mprpc(["health", "-i", file, "--token-file", tokenFile]);
  };

  test.each([
    ["rpcserverip", () => `rpcserverip=${socket}\n`],
    ["provider.unix, where the port is a free one", () => `[provider]\nunix=${socket.slice(5)}\n`],
    ["provider.unix beside inproc:", () => `rpcserverip=inproc:\n[provider]\nunix=${socket.slice(5)}\n`],
  ])("asks the unix socket of %s", async (_, conf) => {
    expect(await health(conf())).toEqual({ code: 0, out: "SERVING\n", err: "" });
  });

  test("says that a provider within its process cannot be asked", async () => {
    const { code, err } = await health("rpcserverip=inproc:users\n");
    expect(code).toBe(2);
    expect(err).toBe(
      "mprpc health: the provider of the configuration cannot be asked: only its own process reaches rpcserverip=inproc:users\nTry `mprpc health --help`.\n",
    );
  });
});
