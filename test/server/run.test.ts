import { RpcProvider } from "mprpc";
import { expect, test } from "vitest";
import { createRuntime } from "../../src/testing/index.js";
import { UserServiceRpc } from "../protobuf/gen/test.js";

function makeProvider(): RpcProvider {
  const handlers = { login: () => ({ success: true }), getFriendLists: () => ({}) };
  return new RpcProvider(createRuntime()).notifyService(UserServiceRpc, handlers);
}

test("run tells where it listens once the signal handlers are in place, and takes them away at the end", async () => {
  const before = process.listenerCount("SIGTERM");
  const provider = makeProvider();
  const seen: unknown[] = [];
  await provider.run((address) => {
    seen.push(address, process.listenerCount("SIGTERM") - before);
    void provider.shutdown();
  });
  expect(seen).toEqual([{ host: "127.0.0.1", port: expect.any(Number) }, 1]);
  expect(process.listenerCount("SIGTERM")).toBe(before);
});

test("run of a provider that serves already tells as well", async () => {
  const provider = makeProvider();
  const bound = await provider.start();
  await provider.run((address) => {
    expect(address).toEqual(bound);
    void provider.shutdown();
  });
});

test("run rejects, having stopped, when whoever is told throws", async () => {
  const provider = makeProvider();
  const running = provider.run(() => {
    throw new Error("no");
  });
  await expect(running).rejects.toThrow("no");
  await expect(provider.start()).rejects.toThrow("stopped");
});
