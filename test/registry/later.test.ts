import { expect, test, vi } from "vitest";
import { RegistryLater } from "../../src/registry/later.js";
import { MemoryRegistry, MemoryStore } from "../../src/registry/memory.js";
import type { Snapshot } from "../../src/registry/registry.js";
import { deferred } from "../support/async.js";

const registration = {
  service: "fixbug.UserServiceRpc",
  methods: ["Login"],
  address: { host: "127.0.0.1", port: 8000 },
};

function later() {
  const driver = new MemoryRegistry(new MemoryStore());
  const loading = deferred<MemoryRegistry>();
  const load = vi.fn(() => loading.promise);
  const registry = new RegistryLater({ name: "memory:", authenticated: false }, load);
  return { driver, loading, load, registry };
}

test("a driver is loaded at the first use, and once", async () => {
  const { driver, loading, load, registry } = later();
  expect(load).not.toHaveBeenCalled();
  const registered = registry.register(registration);
  const listed = registry.list();
  loading.resolve(driver);
  await registered;
  await listed;
  expect(load).toHaveBeenCalledTimes(1);
  expect(await driver.list()).toMatchObject([{ service: registration.service }]);
});

test("a watch that began before the driver was there gets its lists", async () => {
  const { driver, loading, registry } = later();
  const first = deferred<Snapshot>();
  const watch = registry.watch(registration.service, (snapshot) => first.resolve(snapshot));
  expect(watch.current).toBeUndefined();
  loading.resolve(driver);
  expect(await first.promise).toMatchObject({ endpoints: [] });
  await driver.register(registration);
  await vi.waitFor(() => expect(watch.current?.endpoints).toHaveLength(1));
  watch.close();
});

test("a watch that was closed before the driver was there is told nothing", async () => {
  const { driver, loading, registry } = later();
  const told = vi.fn();
  registry.watch(registration.service, told).close();
  loading.resolve(driver);
  await registry.list();
  await driver.register(registration);
  expect(told).not.toHaveBeenCalled();
});

test("a name that is none is refused at once", () => {
  expect(() => later().registry.watch("no/name", () => {})).toThrow("no/name");
});

test("closed before its first use it loads nothing, and says what its driver says", async () => {
  const { driver, loading, load, registry } = later();
  await registry.close();
  expect(load).not.toHaveBeenCalled();
  loading.resolve(driver);
  await expect(registry.register(registration)).rejects.toThrow("closed");
});

test("closed while the driver is loading, the driver is closed too", async () => {
  const { driver, loading, registry } = later();
  const listed = registry.register(registration);
  const closed = registry.close();
  loading.resolve(driver);
  await expect(listed).rejects.toThrow("closed");
  await closed;
  await expect(driver.register(registration)).rejects.toThrow("closed");
});

test("a driver that cannot be loaded is told to watchers and registrars", async () => {
  const { loading, registry } = later();
  const trouble = vi.fn();
  registry.watch(registration.service, () => {}, trouble);
  loading.reject(new Error("no such file"));
  await expect(registry.register(registration)).rejects.toThrow("no such file");
  expect(trouble.mock.calls[0]?.[0]).toMatchObject({
    code: "invalid",
    message: "memory:: its driver cannot be loaded: no such file",
  });
});
