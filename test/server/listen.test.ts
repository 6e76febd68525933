import { expect, test } from "vitest";
import { RpcChannel, RpcProvider } from "../../src/index.js";
import { createRuntime, MemoryNetwork, MemoryStore, memoryRegistry } from "../../src/testing/index.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { ProbeService, ProbeServiceStub } from "../support/gen/probe.js";

const echo = { echo: (request: object) => request, relay: () => ({}), note: () => ({}) };

test("a provider listens on several addresses, and is called on each", async () => {
  const registry = memoryRegistry({ store: new MemoryStore() });
  const app = createRuntime({ transport: new MemoryNetwork(), registry });
  const provider = new RpcProvider(app).notifyService(ProbeService, echo);
  provider.listen("127.0.0.1:4001", { host: "127.0.0.1", port: 4002 });
  expect(provider.addresses).toEqual([]);
  expect(await provider.start()).toEqual({ host: "127.0.0.1", port: 4001 });
  expect(provider.addresses.map(({ port }) => port)).toEqual([4001, 4002]);
  for (const port of [4001, 4002]) {
    const place = { host: "127.0.0.1", port, protocol: "mprpc", weight: 1, attributes: {} };
    const channel = new RpcChannel(app, { registry: new FixedRegistry([place]) });
    expect((await new ProbeServiceStub(channel).echo({ number: port })).number).toBe(port);
    await channel.close();
  }
  const listings = await registry.list();
  expect(listings[0]?.endpoints.map(({ port }) => port)).toEqual([4001]);
  expect(() => provider.listen("127.0.0.1:1")).toThrow("the provider is serving");
  await provider.shutdown();
  await app.close();
});

test("one that cannot be listened on closes those before it; what is no address is refused", async () => {
  const transport = new MemoryNetwork();
  const first = createRuntime({ transport });
  const taken = new RpcProvider(first).listen("127.0.0.1:4002");
  await taken.start();
  const provider = new RpcProvider(createRuntime({ transport })).listen("127.0.0.1:4001", "127.0.0.1:4002");
  await expect(provider.start()).rejects.toThrow("4002");
  await new RpcProvider(createRuntime({ transport })).listen("127.0.0.1:4001").start();
  const wrong = new RpcProvider(first);
  expect(() => wrong.listen("somewhere")).toThrow(
    'expected "host:port", { host, port }, "unix:/path" or "inproc:", got "somewhere"',
  );
  expect(() => wrong.listen(undefined as never)).toThrow("got undefined");
  await taken.shutdown();
});
