import { describe, expect, test } from "vitest";
import { silentLogger } from "../../src/log/logger.js";
import { RegistryError } from "../../src/registry/errors.js";
import { MemoryRegistry, MemoryStore } from "../../src/registry/memory.js";
import { isRegistryUrl, openRegistry, registryUrlOf } from "../../src/registry/open.js";
import type { Endpoint, Registry, Snapshot, Watch } from "../../src/registry/registry.js";
import { SeveralRegistries } from "../../src/registry/several.js";
import { ManualClock } from "../../src/testing/index.js";
import { Recorder } from "../tools/wait.js";
import { addresses, describeConformance, registration, shows } from "./conformance.js";

describeConformance("two registries at a time", async () => {
  const stores = [new MemoryStore(), new MemoryStore()];
  return {
    connect: () => new SeveralRegistries(stores.map((store) => new MemoryRegistry(store))),
    stop: async () => {},
  };
});

const service = "fixbug.UserServiceRpc";
const endpoint = (port: number, more: Partial<Endpoint> = {}): Endpoint => ({
  ...{ host: "127.0.0.1", port, protocol: "mprpc", weight: 1, attributes: {} },
  ...more,
});

/** A registry that says what a test wants, when it wants it. */
class ScriptedRegistry implements Registry {
  readonly name: string;
  readonly authenticated?: boolean;
  say: (snapshot: Snapshot) => void = () => {};
  fail: (trouble: RegistryError) => void = () => {};
  /** What `register` answers; each is used once, and then nothing goes wrong. */
  refusals: Error[] = [];
  registered = 0;
  watches = 0;

  constructor(name: string, authenticated?: boolean) {
    this.name = name;
    if (authenticated !== undefined) this.authenticated = authenticated;
  }

  async register() {
    const refusal = this.refusals.shift();
    if (refusal !== undefined) throw refusal;
    this.registered += 1;
    return {
      unregister: async () => {
        this.registered -= 1;
      },
    };
  }

  watch(
    _: string,
    say: (snapshot: Snapshot) => void,
    fail: (trouble: RegistryError) => void = () => {},
  ): Watch {
    this.watches += 1;
    this.say = say;
    this.fail = fail;
    const close = () => {
      this.watches -= 1;
    };
    return { current: undefined, close };
  }

  async list() {
    const refusal = this.refusals.shift();
    if (refusal !== undefined) throw refusal;
    return [{ service, endpoints: [endpoint(this.name.length)] }];
  }

  async close() {}
}

const away = () => new RegistryError("unreachable", "it is away");

function pair() {
  const a = new ScriptedRegistry("a:");
  const b = new ScriptedRegistry("bb:");
  const seen = new Recorder<Snapshot>();
  const troubles = new Recorder<RegistryError>();
  const both = new SeveralRegistries([a, b]);
  const watch = both.watch(service, seen.push, troubles.push);
  return { a, b, both, seen, troubles, watch };
}

describe("the union", () => {
  test("is a hint until each has answered; an early empty list is nobody's answer", () => {
    const { a, b, seen } = pair();
    a.say({ endpoints: [], stale: false });
    expect(seen.values).toEqual([]);
    a.say({ endpoints: [endpoint(8000)], stale: false });
    expect(seen.last).toEqual({ endpoints: [endpoint(8000)], stale: true, hint: true });
    b.say({ endpoints: [endpoint(8001)], stale: false });
    expect(seen.last).toEqual({ endpoints: [endpoint(8000), endpoint(8001)], stale: false });
  });

  test("one that is away from the start is not waited for", () => {
    const { a, b, seen, troubles } = pair();
    a.say({ endpoints: [endpoint(8000)], stale: false });
    b.fail(away());
    expect(seen.last).toEqual({ endpoints: [endpoint(8000)], stale: true });
    expect(troubles.values).toEqual([]);
    b.say({ endpoints: [endpoint(8001)], stale: false });
    expect(seen.last).toEqual({ endpoints: [endpoint(8000), endpoint(8001)], stale: false });
  });

  test("one that does not answer removes nothing; what it removes itself is gone", () => {
    const { a, b, seen } = pair();
    a.say({ endpoints: [endpoint(8000)], stale: false });
    b.say({ endpoints: [endpoint(8000), endpoint(8001)], stale: false });
    b.say({ endpoints: [endpoint(8000), endpoint(8001)], stale: true });
    b.fail(away());
    expect(seen.last).toEqual({ endpoints: [endpoint(8000), endpoint(8001)], stale: true });
    a.say({ endpoints: [], stale: false });
    expect(seen.last?.endpoints.map(({ port }) => port)).toEqual([8000, 8001]);
    b.say({ endpoints: [], stale: false });
    expect(seen.last).toEqual({ endpoints: [], stale: false });
  });

  test("of one address, an entry of our own protocol wins", () => {
    const { a, b, seen } = pair();
    a.say({ endpoints: [endpoint(8000, { protocol: "classic" })], stale: false });
    b.say({ endpoints: [endpoint(8000)], stale: false });
    expect(seen.last?.endpoints).toEqual([endpoint(8000)]);
  });

  test("the trouble of all is told, with each reason", () => {
    const { a, b, troubles } = pair();
    a.fail(away());
    expect(troubles.values).toEqual([]);
    b.fail(new RegistryError("denied", "no permission"));
    expect(troubles.last).toMatchObject({ code: "unreachable", message: "it is away; no permission" });
    a.fail(new RegistryError("denied", "none here either"));
    expect(troubles.last?.code).toBe("denied");
  });

  test("a watch that closes closes each", () => {
    const { a, b, watch } = pair();
    watch.close();
    expect([a.watches, b.watches]).toEqual([0, 0]);
  });
});

describe("registering", () => {
  test("where one does not answer goes on later, and is withdrawn everywhere", async () => {
    const clock = new ManualClock();
    const warnings: string[] = [];
    const log = { ...silentLogger, warn: (text: string) => void warnings.push(text) };
    const [a, b] = [new ScriptedRegistry("a:"), new ScriptedRegistry("bb:")];
    b.refusals = [away(), away()];
    const both = new SeveralRegistries([a, b], { clock, log });
    const handle = await both.register(registration(8000));
    expect([a.registered, b.registered]).toEqual([1, 0]);
    expect(warnings).toEqual(["a registry does not answer; this provider is registered there when it does"]);
    await clock.run(10_000);
    expect([a.registered, b.registered]).toEqual([1, 1]);
    await handle.unregister();
    expect([a.registered, b.registered]).toEqual([0, 0]);
  });

  test("fails when none answers, and when one refuses for good, which leaves nothing behind", async () => {
    const [a, b] = [new ScriptedRegistry("a:"), new ScriptedRegistry("bb:")];
    const both = new SeveralRegistries([a, b]);
    a.refusals = [away()];
    b.refusals = [away()];
    await expect(both.register(registration(8000))).rejects.toThrow("it is away");
    b.refusals = [new RegistryError("denied", "no permission")];
    await expect(both.register(registration(8000))).rejects.toThrow("no permission");
    expect([a.registered, b.registered]).toEqual([0, 0]);
  });

  test("is one incarnation in all of them", async () => {
    const stores = [new MemoryStore(), new MemoryStore()];
    const both = new SeveralRegistries(stores.map((store) => new MemoryRegistry(store)));
    await both.register(registration(8000));
    const lists = await Promise.all(stores.map((store) => new MemoryRegistry(store).list()));
    const [one, other] = lists.map((list) => list[0]?.endpoints[0]?.incarnation);
    expect(one).toBeDefined();
    expect(other).toBe(one);
  });

  test("a registry that goes away keeps its part of the list", async () => {
    const stores = [new MemoryStore(), new MemoryStore()] as const;
    await new MemoryRegistry(stores[0]).register(registration(8000));
    await new MemoryRegistry(stores[1]).register(registration(8001));
    const both = new SeveralRegistries(stores.map((store) => new MemoryRegistry(store)));
    const seen = new Recorder<Snapshot>();
    both.watch(service, seen.push);
    await seen.until("both", shows(8000, 8001));
    stores[1].setReachable(false);
    await seen.until("stale", ({ stale }) => stale);
    expect(seen.last && addresses(seen.last)).toEqual(["127.0.0.1:8000", "127.0.0.1:8001"]);
  });
});

test("list is of those that answer, and rejects when none does", async () => {
  const [a, b] = [new ScriptedRegistry("a:"), new ScriptedRegistry("bb:")];
  const both = new SeveralRegistries([a, b]);
  expect(await both.list()).toEqual([{ service, endpoints: [endpoint(2), endpoint(3)] }]);
  a.refusals = [away()];
  expect(await both.list()).toEqual([{ service, endpoints: [endpoint(3)] }]);
  a.refusals = [away()];
  b.refusals = [away()];
  await expect(both.list()).rejects.toThrow("it is away");
});

test("one that asks for credentials makes all count as authenticated", () => {
  const [open, closed] = [new ScriptedRegistry("a:"), new ScriptedRegistry("bb:", true)];
  expect(new SeveralRegistries([open, closed]).authenticated).toBe(true);
  expect(new SeveralRegistries([open, open]).authenticated).toBe(false);
});

test("several URLs with blanks between them open as one registry", async () => {
  const url = "static://127.0.0.1:1  static://127.0.0.1:2";
  expect(isRegistryUrl(url)).toBe(true);
  const registry = openRegistry(url);
  expect(registry.name).toBe("static://127.0.0.1:1 static://127.0.0.1:2");
  const seen = new Recorder<Snapshot>();
  registry.watch(service, seen.push);
  await seen.until("both", shows(1, 2));
  await registry.close();
  expect(() => openRegistry("static://127.0.0.1:1 static://127.0.0.1:1")).toThrow("is given twice");
  expect(() => openRegistry("static://127.0.0.1:1 nowhere://h")).toThrow(
    'registry "nowhere://h": it cannot be read',
  );
});

test.each([
  ["consul", "h:8500", "consul://h:8500"],
  ["consul", undefined, "consul://127.0.0.1:8500"],
  ["zookeeper", undefined, "zookeeper://127.0.0.1:2181"],
  ["zookeeper", "a:1,b:2/c", "zookeeper://a:1,b:2/c"],
  ["dns", "users:8000", "dns://users:8000"],
  ["dns", undefined, undefined],
  ["static", undefined, undefined],
  ["file", undefined, "file:"],
  ["etcd", "h:1", "etcd://h:1"],
  ["etcd", undefined, "etcd://127.0.0.1:2379"],
  ["nacos", "h:1", undefined],
  ["toString", "h:1", undefined],
])("registry=%s with the address %s is %s", (scheme, address, url) => {
  expect(registryUrlOf(scheme, address)).toBe(url);
});
