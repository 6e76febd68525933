import { spawnSync } from "node:child_process";
import { describe, expect, onTestFinished, test } from "vitest";
import { TcpProxy } from "../tools/tcp-proxy.js";
import { eventually } from "../tools/wait.js";
import { compiledHere, Nodes, quickKeepalive, returned, startProgram } from "./nodes.js";

const silence = /^no answer to a ping, silent for \d+ ms$/;

/** Containers often forbid it. */
const hasNamespaces =
  spawnSync("unshare", ["-rn", "sh", "-c", "ip link add near type veth peer name far"]).status === 0;

describe("a connection on which packets are dropped, and nobody is told", { timeout: 90_000 }, () => {
  test("behind a proxy that swallows everything: both ends let go by themselves, and nothing stays", async () => {
    const nodes = new Nodes(quickKeepalive);
    const provider = await nodes.provider();
    const proxy = await TcpProxy.start(provider.port);
    onTestFinished(() => proxy.stop());
    const caller = await nodes.caller(`static://${proxy.address}`);
    const asked = await nodes.directly(provider);
    await caller.calls(5);
    const before = await asked.facts();
    const held = await caller.hold(10, asked);

    proxy.setBlackHole(true);
    const { error } = await caller.call({ timeoutMs: 100 });
    expect(error).toMatchObject({ codeName: "DEADLINE_EXCEEDED", executed: "maybe" });
    await Promise.all(held);
    const lost = nodes.ledger.failures().filter(({ codeName }) => codeName === "UNAVAILABLE");
    expect(lost.map(({ executed }) => executed)).toEqual(Array(10).fill("maybe"));
    expect(caller.closes[0]).toMatch(silence);
    // The provider finds out by itself, and tells its handlers.
    await eventually("the provider lets go", async () => {
      const { inFlight, connections, aborted } = await asked.facts();
      return inFlight === 1 && connections === 1 && aborted >= 10;
    });
    expect((await caller.call({ timeoutMs: 300 })).error).toMatchObject({ executed: "never" });

    proxy.setBlackHole(false);
    expect((await caller.call({ waitForReady: true })).error).toBeUndefined();
    await returned("the provider", before, () => asked.facts());
    expect(nodes.violations()).toEqual([]);
  });

  // Real packets, where the system lets a test have a network of its own; else the proxy has to do.
  test.each(hasNamespaces ? ["frames to an address that no device has"] : [])(
    "in network namespaces: %s",
    async () => {
      const nodes = new Nodes();
      const before = ["unshare", "-rn"];
      const child = startProgram("half-open-main", [compiledHere("provider-main"), nodes.countFile], before);
      onTestFinished(() => child.kill("SIGTERM"));
      const seen = JSON.parse(await child.line(/^\{/));
      expect(seen).toMatchObject({
        before: "ok",
        during: ["DEADLINE_EXCEEDED maybe", "UNAVAILABLE maybe"],
        after: "ok",
        connections: 1,
        inFlight: 1,
      });
      expect(seen.closes[0]).toMatch(silence);
    },
  );
});
