import { describe, expect, onTestFinished, test } from "vitest";
import { TcpProxy } from "../tools/tcp-proxy.js";
import { eventually } from "../tools/wait.js";
import { type Caller, Nodes, type ProviderFacts, returned } from "./nodes.js";

const mib = 1024 ** 2;

/** A provider, a caller to it through a proxy, and one past the proxy that asks how it is. */
async function behindProxy(...callerFlags: string[]) {
  const nodes = new Nodes();
  const provider = await nodes.provider();
  const proxy = await TcpProxy.start(provider.port);
  onTestFinished(() => proxy.stop());
  const caller = await nodes.caller(`static://${proxy.address}`, ...callerFlags);
  const asked = await nodes.directly(provider);
  await caller.calls(3);
  return { nodes, proxy, caller, asked, before: await asked.facts() };
}

/** The provider when it has not begun another call between two looks at it. */
async function still(asked: Caller): Promise<ProviderFacts> {
  let last = await asked.facts();
  await eventually("the provider stands still", async () => {
    const facts = await asked.facts();
    const stands = facts.calls === last.calls && facts.calls > 0;
    last = facts;
    return stands;
  });
  return last;
}

describe("one side is slow", { timeout: 90_000 }, () => {
  test("a caller that reads slowly: the provider holds little for it, serves others, and delivers all in the end", async () => {
    const { nodes, proxy, caller, asked, before } = await behindProxy("--limits.unwritten=268435456");
    proxy.setReading("provider", false);
    // 100 MiB of replies.
    const calls = Array.from({ length: 100 }, () =>
      caller.call({ data: Buffer.alloc(mib, "reply"), timeoutMs: 60_000 }),
    );
    await eventually("it has begun", async () => (await asked.facts()).calls > before.calls);
    const { externalBytes, calls: begun } = await still(asked);
    // Replies it may hold: 16 MiB in chunks; requests that are not answered lie in the sockets and at the caller.
    expect(externalBytes - before.externalBytes).toBeLessThan(40 * mib);
    expect(begun - before.calls).toBeLessThan(60);
    await asked.calls(10);

    proxy.setReading("provider", true);
    await Promise.all(calls);
    expect(nodes.ledger.failures()).toEqual([]);
    await returned("the provider", before, () => asked.facts());
    expect(nodes.violations()).toEqual([]);
  });

  test("a provider that reads slowly: the caller refuses what it cannot hold, by name, and what had not left never ran", async () => {
    const { nodes, proxy, caller, asked, before } = await behindProxy("--limits.unwritten=16777216");
    proxy.setReading("clients", false);
    const calls = Array.from({ length: 60 }, () =>
      caller.call({ data: Buffer.alloc(mib, "request"), timeoutMs: 1000 }),
    );
    await Promise.all(calls);
    const failures = nodes.ledger.failures();
    expect(failures).toHaveLength(60);
    const refused = failures.filter(({ codeName }) => codeName === "RESOURCE_EXHAUSTED");
    expect(refused.length).toBeGreaterThan(20);
    for (const { executed, rawMessage } of refused) {
      expect(executed).toBe("never");
      expect(rawMessage).toContain("limits.unwritten");
    }
    const late = failures.filter(({ codeName }) => codeName === "DEADLINE_EXCEEDED");
    expect(late.length + refused.length).toBe(60);
    expect(late.filter(({ executed }) => executed === "never").length).toBeGreaterThan(0);

    proxy.setReading("clients", true);
    expect((await caller.call({ timeoutMs: 60_000 })).error).toBeUndefined();
    await returned("the provider", before, () => asked.facts());
    expect(nodes.violations()).toEqual([]);
  });

  test.each([
    { pieceBytes: 1, dataBytes: 100, count: 20 },
    { pieceBytes: 700, dataBytes: 300_000, count: 3 },
  ])(
    "a slow writer, $pieceBytes bytes at a time, either way: calls of $dataBytes bytes are served",
    async (how) => {
      const { nodes, proxy, caller, asked, before } = await behindProxy();
      proxy.setPieces(how.pieceBytes);
      const data = Buffer.alloc(how.dataBytes, "piece by piece");
      await Promise.all(Array.from({ length: how.count }, () => caller.call({ data, timeoutMs: 60_000 })));
      expect(nodes.ledger.failures()).toEqual([]);
      await returned("the provider", before, () => asked.facts());
      expect(nodes.violations()).toEqual([]);
    },
  );
});
