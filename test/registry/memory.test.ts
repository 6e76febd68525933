import { expect, test } from "vitest";
import { MemoryRegistry, MemoryStore } from "../../src/registry/memory.js";
import type { Snapshot } from "../../src/registry/registry.js";
import { Recorder } from "../tools/wait.js";
import { addresses, describeConformance, registration, shows } from "./conformance.js";

describeConformance("memory", async () => {
  const store = new MemoryStore();
  return { connect: () => new MemoryRegistry(store), stop: async () => {} };
});

test("while the store is unreachable the last list stays, marked stale", async () => {
  const store = new MemoryStore();
  const registry = new MemoryRegistry(store);
  const seen = new Recorder<Snapshot>();
  registry.watch("fixbug.UserServiceRpc", seen.push);
  await registry.register(registration(8000));
  await seen.until("8000", shows(8000));
  store.setReachable(false);
  const stale = await seen.until("stale", (snapshot) => snapshot.stale);
  expect(addresses(stale)).toEqual(["127.0.0.1:8000"]);
  await expect(registry.register(registration(8001))).rejects.toMatchObject({ code: "unreachable" });
  await expect(registry.list()).rejects.toMatchObject({ code: "unreachable" });
  store.setReachable(true);
  await seen.until("fresh again", shows(8000));
});
