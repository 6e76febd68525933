import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { formatAddress } from "../../src/base/address.js";
import { RegistryError } from "../../src/registry/errors.js";
import type { Registration, Registry, Snapshot } from "../../src/registry/registry.js";
import { guarded, Recorder } from "../tools/wait.js";

/** One place to meet, as several processes see it. */
export interface Cluster {
  /** A registry as another process would open it. */
  connect(): Registry;
  stop(): Promise<void>;
}

export function registration(port: number, more: Partial<Registration> = {}): Registration {
  return {
    service: "fixbug.UserServiceRpc",
    methods: ["Login", "Register"],
    address: { host: "127.0.0.1", port },
    ...more,
  };
}

export const addresses = (snapshot: Snapshot): string[] => snapshot.endpoints.map(formatAddress);

/** A predicate: exactly these ports, known to be up to date. */
export function shows(...ports: number[]): (snapshot: Snapshot) => boolean {
  const wanted = ports.map((port) => `127.0.0.1:${port}`).join();
  return (snapshot) => !snapshot.stale && addresses(snapshot).join() === wanted;
}

/** After the first list that has it, none is without this endpoint. */
export function expectNoGap(seen: Recorder<Snapshot>, address = "127.0.0.1:8000"): void {
  const from = seen.values.findIndex((snapshot) => addresses(snapshot).includes(address));
  for (const snapshot of seen.values.slice(from)) expect(addresses(snapshot)).toContain(address);
}

/** What every driver that can register must do. */
export function describeConformance(driver: string, makeCluster: () => Promise<Cluster>): void {
  describe(`${driver} registry conformance`, () => {
    let cluster: Cluster;
    let open: Registry[] = [];

    const connect = () => {
      const registry = cluster.connect();
      open.push(registry);
      return registry;
    };
    const follow = (registry: Registry, service = "fixbug.UserServiceRpc") => {
      const seen = new Recorder<Snapshot>();
      return { seen, watch: registry.watch(service, seen.push) };
    };

    beforeEach(async () => {
      cluster = await makeCluster();
    });
    afterEach(async () => {
      await Promise.all(open.map((registry) => registry.close()));
      open = [];
      await cluster.stop();
    });

    test("a service nobody offers is an empty list, told asynchronously", async () => {
      const { seen, watch } = follow(connect());
      expect(seen.values).toEqual([]);
      expect(watch.current).toBeUndefined();
      await seen.until("an empty list", shows());
      expect(watch.current).toEqual({ endpoints: [], stale: false });
    });

    test("register is seen by a watcher there before, by one after, and by list", async () => {
      const consumer = connect();
      const { seen } = follow(consumer);
      await seen.until("an empty list", shows());
      await connect().register(
        registration(8000, { weight: 3, attributes: { version: "1.2 é&=", zone: "a/b?" } }),
      );
      const { endpoints } = await seen.until("8000", shows(8000));
      expect(endpoints[0]).toMatchObject({
        ...{ host: "127.0.0.1", port: 8000, protocol: "mprpc", weight: 3 },
        attributes: { version: "1.2 é&=", zone: "a/b?" },
      });
      const late = follow(consumer);
      expect(late.seen.values).toEqual([]);
      await late.seen.until("8000", shows(8000));
      const third = follow(connect());
      await third.seen.until("8000", shows(8000));
      const listing = await connect().list();
      expect(listing.find(({ service }) => service === "fixbug.UserServiceRpc")?.endpoints).toEqual(
        endpoints,
      );
    });

    test("unregister and close withdraw; unregister is idempotent", async () => {
      const { seen } = follow(connect());
      const provider = connect();
      const handle = await provider.register(registration(8000));
      await provider.register(registration(8001));
      await connect().register(registration(8002));
      await seen.until("three", shows(8000, 8001, 8002));
      await Promise.all([handle.unregister(), handle.unregister()]);
      await seen.until("two", shows(8001, 8002));
      await provider.close();
      await provider.close();
      await seen.until("one", shows(8002));
      await handle.unregister();
      expect(await connect().list()).toHaveLength(1);
    });

    test("services are kept apart, and one registry may offer several", async () => {
      const consumer = connect();
      const users = follow(consumer);
      const friends = follow(consumer, "fixbug.FriendServiceRpc");
      const provider = connect();
      await provider.register(registration(8000));
      await provider.register(
        registration(8000, { service: "fixbug.FriendServiceRpc", methods: ["GetFriendsList"] }),
      );
      await users.seen.until("users", shows(8000));
      await friends.seen.until("friends", shows(8000));
      const names = (await consumer.list()).map(({ service }) => service);
      expect(names).toEqual(["fixbug.FriendServiceRpc", "fixbug.UserServiceRpc"]);
    });

    test("the same address twice: the newer wins, the older is told once, no flapping", async () => {
      const { seen } = follow(connect());
      const lost = new Recorder<Error>();
      await connect().register(registration(8000, { onLost: lost.push, attributes: { version: "old" } }));
      await seen.until("old", shows(8000));
      await connect().register(registration(8000, { attributes: { version: "new" } }));
      await seen.until("new", ({ endpoints }) => endpoints[0]?.attributes.version === "new");
      await lost.until(
        "the older is told",
        (error) => error instanceof RegistryError && error.code === "superseded",
      );
      const own = connect();
      await own.register(registration(8001));
      await seen.until("one more, the old one never back", shows(8000, 8001));
      expect(seen.last?.endpoints[0]?.attributes.version).toBe("new");
      expect(lost.values).toHaveLength(1);
      const versions = seen.values.map(({ endpoints }) => endpoints[0]?.attributes.version);
      expect(versions.lastIndexOf("old")).toBeLessThan(versions.indexOf("new"));
    });

    test("the older one comes back when the newer one goes, and gives way to another again", async () => {
      const { seen } = follow(connect());
      const lost = new Recorder<Error>();
      const shown = (name: string) => (snapshot: Snapshot) =>
        shows(8000)(snapshot) && snapshot.endpoints[0]?.attributes.version === name;
      const older = await connect().register(
        registration(8000, { onLost: lost.push, attributes: { version: "old" } }),
      );
      await seen.until("old", shown("old"));
      for (const name of ["new", "newer"]) {
        const rounds = lost.values.length;
        const newer = connect();
        await newer.register(registration(8000, { attributes: { version: name } }));
        await seen.until(name, shown(name));
        await lost.until("told", () => lost.values.length > rounds);
        await newer.close();
        await seen.until("old again", shown("old"));
      }
      expect(lost.values).toHaveLength(2);
      await older.unregister();
      await seen.until("gone", shows());
    });

    test("one that gave way can be withdrawn, and does not come back then", async () => {
      const { seen } = follow(connect());
      const lost = new Recorder<Error>();
      const older = await connect().register(registration(8000, { onLost: lost.push }));
      const newer = await connect().register(registration(8000));
      await lost.until("told", () => true);
      await older.unregister();
      await newer.unregister();
      await connect().register(registration(8001));
      await seen.until("the other alone", shows(8001));
    });

    test("a group with one address: one endpoint that never changes, as long as any of it is registered", async () => {
      const consumer = connect();
      const { seen } = follow(consumer);
      await seen.until("none", shows());
      const lost = new Recorder<Error>();
      const join = () => connect().register(registration(8000, { group: "workers", onLost: lost.push }));
      const first = await join();
      await seen.until("8000", shows(8000));
      const second = await join();
      const third = await join();
      expect((await consumer.list()).map(({ endpoints }) => endpoints.length)).toEqual([1]);
      await third.unregister();
      await first.unregister();
      const fourth = await join();
      await second.unregister();
      // Whatever has happened by now is seen before this.
      const other = await connect().register(registration(8001));
      await seen.until("another", shows(8000, 8001));
      await other.unregister();
      await seen.until("8000 alone", shows(8000));
      expectNoGap(seen);
      const incarnations = seen.values.flatMap(({ endpoints }) =>
        endpoints.filter(({ port }) => port === 8000).map(({ incarnation }) => incarnation),
      );
      expect(new Set(incarnations)).toEqual(new Set(["workers"]));
      await fourth.unregister();
      await seen.until("gone", shows());
      expect(lost.values).toEqual([]);
    });

    test("a group gives way to a newer provider that is not of it, and comes back", async () => {
      const { seen } = follow(connect());
      const incarnationOf = (snapshot: Snapshot) => snapshot.endpoints[0]?.incarnation;
      await connect().register(registration(8000, { group: "workers" }));
      await connect().register(registration(8000, { group: "workers" }));
      await seen.until("the group", (snapshot) => incarnationOf(snapshot) === "workers");
      const other = await connect().register(registration(8000, { group: "others" }));
      await seen.until("the other", (snapshot) => incarnationOf(snapshot) === "others");
      await other.unregister();
      await seen.until("the group again", (snapshot) => incarnationOf(snapshot) === "workers");
    });

    test("unregister and register again at once ends registered", async () => {
      const { seen } = follow(connect());
      const provider = connect();
      for (let round = 0; round < 3; round++) {
        const handle = await provider.register(registration(8000, { attributes: { round: String(round) } }));
        await seen.until(
          `round ${round}`,
          ({ endpoints }) => endpoints[0]?.attributes.round === String(round),
        );
        const withdrawn = handle.unregister();
        const again = provider.register(registration(8000, { attributes: { round: `${round}b` } }));
        await withdrawn;
        const next = await again;
        await seen.until("again", ({ endpoints }) => endpoints[0]?.attributes.round === `${round}b`);
        await next.unregister();
        await seen.until("gone", shows());
      }
    });

    test("a restart at the same address is seen by its incarnation", async () => {
      const { seen } = follow(connect());
      const first = connect();
      await first.register(registration(8000));
      const before = (await seen.until("first", shows(8000))).endpoints[0]?.incarnation;
      await connect().register(registration(8000));
      await seen.until(
        "second",
        ({ endpoints }) => endpoints.length === 1 && endpoints[0]?.incarnation !== before,
      );
    });

    test("a closed watch hears nothing more, the other one does", async () => {
      const consumer = connect();
      const closed = follow(consumer);
      const kept = follow(consumer);
      await closed.seen.until("empty", shows());
      await kept.seen.until("empty", shows());
      closed.watch.close();
      closed.watch.close();
      await connect().register(registration(8000));
      await kept.seen.until("8000", shows(8000));
      expect(closed.seen.values).toHaveLength(1);
    });

    test("a watcher that throws harms nobody", async () => {
      const consumer = connect();
      consumer.watch("fixbug.UserServiceRpc", () => {
        throw new Error("bad watcher");
      });
      const { seen } = follow(consumer);
      await connect().register(registration(8000));
      await seen.until("8000", shows(8000));
    });

    test("registrations that can never work are refused with the reason", async () => {
      const provider = connect();
      const refused = (more: Partial<Registration>) => provider.register(registration(8000, more));
      await expect(refused({ service: "a/b" })).rejects.toThrow('service name "a/b" is not valid');
      await expect(refused({ methods: ["Log in"] })).rejects.toThrow('method name "Log in"');
      await expect(refused({ address: { host: "0.0.0.0", port: 1 } })).rejects.toThrow("advertiseaddress");
      await expect(refused({ address: { host: "::", port: 1 } })).rejects.toThrow("wildcard");
      await expect(refused({ address: { host: "127.0.0.1", port: 0 } })).rejects.toThrow("port 0");
      await expect(refused({ address: { host: "a b", port: 1 } })).rejects.toThrow('host "a b"');
      await expect(refused({ group: "a b" })).rejects.toThrow('group "a b"');
      await expect(refused({ weight: 0 })).rejects.toThrow("weight 0");
      await expect(refused({ attributes: { w: "1" } })).rejects.toThrow('attribute "w"');
      await expect(refused({ attributes: { note: "x".repeat(2000) } })).rejects.toThrow("the limit is 1000");
      await expect(refused({ service: ".." })).rejects.toBeInstanceOf(RegistryError);
      expect(() => provider.watch("a/b", () => {})).toThrow('service name "a/b" is not valid');
      expect(await provider.list()).toEqual([]);
    });

    test("an aborted signal stops register and list", async () => {
      const provider = connect();
      const reason = new Error("enough");
      await expect(provider.register(registration(8000), AbortSignal.abort(reason))).rejects.toBe(reason);
      await expect(provider.list(AbortSignal.abort(reason))).rejects.toBe(reason);
      expect(await provider.list()).toEqual([]);
    });

    test("after close, register and list are refused and watchers stay silent", async () => {
      const registry = connect();
      const { seen } = follow(registry);
      await seen.until("empty", shows());
      await registry.close();
      await expect(registry.register(registration(8000))).rejects.toMatchObject({ code: "closed" });
      await expect(registry.list()).rejects.toMatchObject({ code: "closed" });
      await connect().register(registration(8001));
      const other = follow(connect());
      await other.seen.until("8001", shows(8001));
      expect(seen.values).toHaveLength(1);
    });

    test("closed while registering, it leaves nothing behind", async () => {
      const { seen } = follow(connect());
      await seen.until("empty", shows());
      const provider = connect();
      const settled = Promise.allSettled([
        provider.register(registration(8000)),
        provider.register(registration(8001)),
      ]);
      await provider.close();
      await guarded(settled, "both registrations settle");
      await connect().register(registration(8002));
      await seen.until("only the later one", shows(8002));
      expect((await connect().list()).flatMap(({ endpoints }) => endpoints)).toHaveLength(1);
    });

    test("IPv6 and host names are kept as they are, in a stable order", async () => {
      const { seen } = follow(connect());
      const provider = connect();
      await provider.register(registration(8000, { address: { host: "::1", port: 8000 } }));
      await provider.register(registration(8000, { address: { host: "node-1.example", port: 8000 } }));
      await provider.register(registration(8000));
      const last = await seen.until("all three", ({ endpoints }) => endpoints.length === 3);
      expect(addresses(last)).toEqual(["127.0.0.1:8000", "[::1]:8000", "node-1.example:8000"]);
    });

    test("many registrations at once all arrive", async () => {
      const { seen } = follow(connect());
      const ports = Array.from({ length: 40 }, (_, i) => 9000 + i);
      const providers = [connect(), connect(), connect(), connect()];
      const all = ports.map((port, i) =>
        providers[i % 4]?.register(registration(port, { protocols: ["mprpc"] })),
      );
      await guarded(Promise.all(all), "forty registrations");
      await seen.until("forty", shows(...ports));
    });
  });
}
