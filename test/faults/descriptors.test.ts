import { execFileSync } from "node:child_process";
import { connect, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { settingsFrame } from "../support/raw-peer.js";
import { TcpProxy } from "../tools/tcp-proxy.js";
import { eventually } from "../tools/wait.js";
import { Nodes, returned, startProgram } from "./nodes.js";

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
  for (const socket of sockets) {
    socket.on("error", () => {});
    // Callers that say nothing would be let go after 5 s.
    socket.on("connect", () => socket.write(settingsFrame()));
  }
  // More than it has room for: those beyond it are closed, or wait in its system.
  await eventually("it has taken all it can", async () => (await caller.facts()).connections > 20);
  expect((await caller.facts()).connections).toBeLessThan(64);
  await caller.calls(20);
  expect(nodes.ledger.failures()).toEqual([]);
  for (const socket of sockets) socket.destroy();
  await eventually("it has let go of them", async () => (await caller.facts()).connections === 1);
  const other = await nodes.directly(provider);
  expect((await other.call({ waitForReady: true })).error).toBeUndefined();
  await other.close();
  await returned("the provider", before, () => caller.facts());
  expect(nodes.violations()).toEqual([]);
});

test("a caller out of file descriptors says so, keeps what it has, and connects again as soon as there is room", {
  timeout: 90_000,
}, async () => {
  const nodes = new Nodes();
  const provider = await nodes.provider();
  const proxy = await TcpProxy.start(provider.port);
  onTestFinished(() => proxy.stop());
  const child = startProgram("caller-main", ["0", ...nodes.flags(`static://${proxy.address}`)]);
  onTestFinished(() => child.kill());
  const limit = (most: number): void => {
    execFileSync("prlimit", ["--pid", String(child.pid), `--nofile=${most}:4096`]);
  };
  await child.line(/^small goes on$/);
  // Those it has stay; there are more than ten.
  limit(10);
  proxy.cut();
  await child.line(/^small fails UNAVAILABLE never .*EMFILE/);
  expect(proxy.connections).toBe(0);
  limit(4096);
  await child.line(/^small is served again$/);
  await child.line(/^large is served again$/);
});
