import { execFileSync } from "node:child_process";
import { connect, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { eventually } from "../tools/wait.js";
import { Nodes, returned } from "./nodes.js";

test("a provider out of file descriptors serves those it has, and others as soon as there is room", {
  timeout: 90_000,
}, async () => {
  const nodes = new Nodes();
  const provider = await nodes.provider();
  const caller = await nodes.directly(provider);
  await caller.calls(5);
  const before = await caller.facts();
  execFileSync("prlimit", ["--pid", provider.pid, "--nofile=64:64"]);
  const sockets: Socket[] = Array.from({ length: 100 }, () => connect(provider.port, "127.0.0.1"));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  let refused = 0;
  for (const socket of sockets) {
    socket.on("error", () => {});
    socket.on("close", () => refused++);
  }
  // More than it has room for: those beyond it are closed, or wait in its system.
  await eventually("it has taken all it can", async () => (await caller.facts()).connections > 20);
  await caller.calls(20);
  expect(nodes.ledger.failures()).toEqual([]);
  for (const socket of sockets) socket.destroy();
  await eventually("it has let go of them", async () => (await caller.facts()).connections === 1);
  expect(refused).toBeGreaterThan(0);
  const other = await nodes.directly(provider);
  expect((await other.call({ waitForReady: true })).error).toBeUndefined();
  await other.close();
  await returned("the provider", before, () => caller.facts());
  expect(nodes.violations()).toEqual([]);
});
