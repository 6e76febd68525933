import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import { RpcChannel } from "../../src/client/channel.js";
import { createRuntime, type SettingsInit } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { failure } from "../support/async.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { type Child, startScript } from "../tools/child.js";
import { guarded } from "../tools/wait.js";

const providerScript = new URL("../support/provider-process.ts", import.meta.url);
const callerScript = new URL("../support/caller-process.ts", import.meta.url);

async function startProvider(behaviour: object = {}, settings: SettingsInit = {}) {
  const child = startScript(providerScript, JSON.stringify(behaviour));
  onTestFinished(() => child.kill());
  const port = Number((await child.line(/^listening /)).split(" ")[1]);
  const registry = new FixedRegistry([
    { host: "127.0.0.1", port, protocol: "mprpc", weight: 1, attributes: {} },
  ]);
  const runtime = createRuntime({ transport: tcpTransport(systemClock), registry, settings });
  const channel = new RpcChannel(runtime, { timeoutMs: Infinity });
  onTestFinished(() => channel.close());
  return { child, port, stub: new ProbeServiceStub(channel) };
}

/** Resolves with the exit code. */
function exitOf(child: Child): Promise<number | null> {
  const ended = new Promise<number | null>((resolve) => {
    if (child.process.exitCode !== null) resolve(child.process.exitCode);
    else child.process.once("exit", resolve);
  });
  return guarded(ended, "the process ends", () => child.output);
}

describe("run()", () => {
  test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
    "%s: calls in flight finish, then the process ends by itself",
    async (signal) => {
      const { child, stub } = await startProvider({ answersInDrain: true });
      const call = stub.echo({ text: "held" });
      await child.line(/entered held/);
      child.process.kill(signal);
      expect((await call).text).toBe("held");
      expect(await exitOf(child)).toBe(0);
      expect(child.output).toContain("stopped, 0 signal handlers left");
      expect(child.output).toContain(`info: ${signal}: draining`);
      expect(await failure(stub.relay({}))).toMatchObject({ codeName: "UNAVAILABLE", executed: "never" });
    },
  );

  test("what does not end within the drain timeout is cancelled", async () => {
    const { child, stub } = await startProvider({ drainTimeoutMs: 200 });
    const call = failure(stub.echo({ text: "stuck" }));
    await child.line(/entered stuck/);
    child.process.kill("SIGTERM");
    expect(await call).toMatchObject({ codeName: "UNAVAILABLE", executed: "maybe" });
    expect(await exitOf(child)).toBe(0);
    expect(child.output).toContain("aborted stuck");
    expect(child.output).toContain("warn: 1 calls still in flight are cancelled (provider.draintimeout)");
  });

  test("a second signal cuts the drain short", async () => {
    const { child, stub } = await startProvider({ drainTimeoutMs: 600_000 });
    const call = failure(stub.echo({ text: "stuck" }));
    await child.line(/entered stuck/);
    child.process.kill("SIGTERM");
    await failure(untilRefused(stub));
    child.process.kill("SIGTERM");
    expect((await call).codeName).toBe("UNAVAILABLE");
    expect(await exitOf(child)).toBe(128 + 15);
    expect(child.output).toContain("info: SIGTERM: stopping at once");
  });
});

/** Calls until the provider has begun to drain. */
async function untilRefused(stub: ProbeServiceStub): Promise<never> {
  for (;;)
    await stub.echo({ text: "probe" }, { timeoutMs: 50 }).catch((error) => {
      if (error.codeName !== "DEADLINE_EXCEEDED") throw error;
    });
}

test("a handler that blocks the event loop is noticed by the caller's keepalive", async () => {
  const { child, stub } = await startProvider({}, { keepalive: { intervalMs: 150, timeoutMs: 150 } });
  const call = failure(stub.note({}));
  await child.line(/blocking/);
  const error = await call;
  expect(error).toMatchObject({ codeName: "UNAVAILABLE", executed: "maybe" });
  expect(error.rawMessage).toMatch(/^connection lost: no answer to a ping, silent for \d+ ms$/);
});

test("a provider that is killed: its calls are maybe, at once", async () => {
  const { child, stub } = await startProvider();
  const call = failure(stub.echo({ text: "lost" }));
  await child.line(/entered lost/);
  await child.kill("SIGKILL");
  expect(await call).toMatchObject({ codeName: "UNAVAILABLE", executed: "maybe" });
  expect(await failure(stub.echo({}))).toMatchObject({ codeName: "UNAVAILABLE", executed: "never" });
});

describe("what keeps a caller's process alive", () => {
  const startCaller = (port: number, what: string): Child => {
    const child = startScript(callerScript, String(port), what);
    onTestFinished(() => child.kill());
    return child;
  };

  test("not an idle connection", async () => {
    const { port } = await startProvider();
    const caller = startCaller(port, "idle");
    expect(await exitOf(caller)).toBe(0);
    expect(caller.output).toContain("answered");
  });

  test("a pending call, until it settles", async () => {
    const { port } = await startProvider();
    const caller = startCaller(port, "pending");
    expect(await exitOf(caller)).toBe(0);
    expect(caller.output).toContain("failed DEADLINE_EXCEEDED");
  });

  test("not a provider that is down", async () => {
    const caller = startCaller(1, "down");
    expect(await exitOf(caller)).toBe(0);
    expect(caller.output).toContain("failed UNAVAILABLE");
  });

  test("close() is awaited to its end", async () => {
    const { port } = await startProvider();
    const caller = startCaller(port, "close");
    expect(await exitOf(caller)).toBe(0);
    expect(caller.output).toContain("closed");
  });
});
