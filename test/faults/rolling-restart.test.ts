import { describe, expect, test } from "vitest";
import { sharedZooKeeper } from "../tools/shared-zookeeper.js";
import { footprint } from "./footprint.js";
import { Load, Nodes, type ProviderNode, returned } from "./nodes.js";

/** Each of three providers gets SIGTERM under load, ends by itself, and another takes its place. */
async function roll(nodes: Nodes): Promise<void> {
  const providers = await Promise.all([nodes.provider(), nodes.provider(), nodes.provider()]);
  const caller = await nodes.caller();
  await Promise.all(Array.from({ length: 30 }, () => caller.call()));
  const before = await footprint();
  const load = new Load(caller, 30);
  await load.servedBy(100, ...providers);
  for (const [i, old] of providers.entries()) {
    await old.child.kill("SIGTERM");
    expect(old.child.process.exitCode, old.child.output).toBe(0);
    const fresh: ProviderNode = await nodes.provider();
    providers[i] = fresh;
    await load.servedBy(100, ...providers);
  }
  await load.stop();
  expect(nodes.ledger.failures().map(({ message }) => message)).toEqual([]);
  expect(nodes.violations()).toEqual([]);
  await returned("the caller", before);
}

/** Six nodes start, one after the other: on a busy machine that takes its time. */
const timeout = 120_000;

describe("a rolling restart of three providers under load: no call fails", () => {
  test("in the file registry", { timeout }, () => roll(new Nodes()));

  test("in ZooKeeper", { timeout }, async () => {
    const { server, chroot } = await sharedZooKeeper();
    await roll(new Nodes(["--zookeeper.sessiontimeout=3s"], `zookeeper://${server.address}${chroot}`));
  });
});
