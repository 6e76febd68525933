import { beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import { RpcProvider } from "../../src/server/provider.js";
import { createRuntime } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { ProbeService } from "../support/gen/probe.js";
import { startScript } from "../tools/child.js";
import { sharedZooKeeper } from "../tools/shared-zookeeper.js";
import { freePort, type ZooKeeper } from "../tools/zookeeper.js";
import { Scenario, scenarioTimeout } from "./zookeeper-scenario.js";

let server: ZooKeeper;
beforeAll(async () => {
  ({ server } = await sharedZooKeeper());
});

/** What a process wrote that closes nothing, up to its end, which it comes to by itself. */
async function runForgetful(url: string, ...what: string[]): Promise<string[]> {
  const child = startScript(new URL("forgetful-process.ts", import.meta.url), url, ...what);
  try {
    await child.line(/^exit /);
  } finally {
    await child.kill();
  }
  return child.output.trim().split("\n");
}

describe("a process that forgets to close its registry ends when", () => {
  test("its only call was answered", scenarioTimeout, () =>
    Scenario.on(server.address, async (scenario) => {
      const registry = scenario.registry();
      const provider = new RpcProvider(createRuntime({ transport: tcpTransport(systemClock), registry }));
      const same = <T>(request: T): T => request;
      provider.notifyService(ProbeService, { echo: same, relay: same, note: same });
      await provider.start();
      try {
        expect(await runForgetful(scenario.url(), "call", "20000")).toEqual(["answered x", "exit 0"]);
      } finally {
        await provider.shutdown();
      }
    }),
  );

  test.each([
    ["its only call failed", ["call", "20000"], ["failed UNAVAILABLE", "exit 0"]],
    ["it has listed", ["list"], ["exit 0"]],
    ["it has unregistered", ["unregister"], ["unregistered", "exit 0"]],
    ["it has registered and does nothing else", ["register"], ["exit 0"]],
  ])("%s", scenarioTimeout, (_, what, output) =>
    Scenario.on(server.address, async (scenario) => {
      expect(await runForgetful(scenario.url(), ...what)).toEqual(output);
    }),
  );

  test.each([
    ["call", ["call", "500"], "failed DEADLINE_EXCEEDED"],
    ["list", ["list"], "failed unreachable"],
    ["registration", ["register"], "failed unreachable"],
  ])("its %s was awaited to its failure without a ZooKeeper", scenarioTimeout, async (_, what, failed) => {
    const url = `zookeeper://127.0.0.1:${await freePort()}?start=500ms`;
    expect(await runForgetful(url, ...what)).toEqual([failed, "exit 0"]);
  });
});
