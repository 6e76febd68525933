import { beforeAll, describe, expect, test } from "vitest";
import { type Clock, systemClock, type Timer } from "../../src/base/clock.js";
import { silentLogger } from "../../src/log/logger.js";
import type { Registry, Snapshot } from "../../src/registry/registry.js";
import { LossyProxy } from "../tools/lossy-proxy.js";
import { sharedZooKeeper } from "../tools/shared-zookeeper.js";
import { eventually, Recorder, timed } from "../tools/wait.js";
import type { ZooKeeper } from "../tools/zookeeper.js";
import { addresses, expectNoGap, registration, shows } from "./conformance.js";
import { readText, Scenario, scenarioTimeout } from "./zookeeper-scenario.js";

const service = "fixbug.UserServiceRpc";
const providers = `/mprpc/${service}/providers`;
const election = `/mprpc/${service}/classic`;
const loginPath = "/UserServiceRpc/Login";

let server: ZooKeeper;
beforeAll(async () => {
  ({ server } = await sharedZooKeeper());
});

/** A scenario on the shared server. */
function play(name: string, story: (scenario: Scenario) => Promise<void>): void {
  test.concurrent(name, scenarioTimeout, () => Scenario.on(server.address, story));
}

const isStale = ({ stale }: Snapshot): boolean => stale;

/** Watches with this registry too, up to its first full list. */
async function followWith(registry: Registry, ...ports: number[]): Promise<Recorder<Snapshot>> {
  const seen = new Recorder<Snapshot>();
  registry.watch(service, seen.push);
  await seen.until(`${ports}`, shows(...ports));
  return seen;
}

describe("partitions", () => {
  play("a provider cut off notices, is dropped, and registers again", async (scenario) => {
    const proxy = await scenario.proxy(server.port);
    const { seen } = scenario.follow();
    const provider = scenario.registry({}, proxy.address);
    await provider.register(registration(8000));
    const own = new Recorder<Snapshot>();
    provider.watch("fixbug.UserServiceRpc", own.push);
    await own.until("8000", shows(8000));
    await seen.until("8000", shows(8000));
    proxy.setBlackHole(true);
    await timed("the partitioned provider notices", () => own.until("stale", ({ stale }) => stale));
    await timed("its consumers drop it", () => seen.until("dropped", shows()));
    proxy.setBlackHole(false);
    await timed("back after the partition", () => seen.until("back", shows(8000)));
  });

  play("cut off while a newer provider takes its address: it gives up when it is back", async (scenario) => {
    const proxy = await scenario.proxy(server.port);
    const { seen } = scenario.follow();
    const older = scenario.registry({}, proxy.address);
    const lost = new Recorder<Error>();
    await older.register(registration(8000, { onLost: lost.push, attributes: { version: "old" } }));
    await seen.until("8000", shows(8000));
    proxy.setBlackHole(true);
    await scenario.registry().register(registration(8000, { attributes: { version: "new" } }));
    await seen.until("new", ({ endpoints }) => endpoints[0]?.attributes.version === "new");
    proxy.setBlackHole(false);
    await lost.until("told", (error) =>
      /127\.0\.0\.1:8000 of fixbug.UserServiceRpc was registered/.test(error.message),
    );
    const admin = await scenario.session();
    expect(await admin.children("/mprpc/fixbug.UserServiceRpc/providers")).toHaveLength(1);
    expect(await admin.children("/mprpc/fixbug.UserServiceRpc/classic")).toHaveLength(1);
    expect(seen.last?.endpoints[0]?.attributes.version).toBe("new");
  });

  play("a consumer cut off keeps its last list and catches up", async (scenario) => {
    const proxy = await scenario.proxy(server.port);
    const { seen } = scenario.follow({}, proxy.address);
    const provider = scenario.registry();
    const handle = await provider.register(registration(8000));
    await seen.until("8000", shows(8000));
    proxy.setBlackHole(true);
    const stale = await seen.until("stale", (snapshot) => snapshot.stale);
    expect(addresses(stale)).toEqual(["127.0.0.1:8000"]);
    await provider.register(registration(8001));
    await handle.unregister();
    proxy.setBlackHole(false);
    await timed("a consumer catches up", () => seen.until("8001", shows(8001)));
    const from = seen.values.findIndex(shows(8000));
    expect(seen.values.slice(from).filter(({ endpoints }) => endpoints.length === 0)).toEqual([]);
  });

  play(
    "cut off while leaving: it ends at once, and the entry goes when ZooKeeper is back",
    async (scenario) => {
      const proxy = await scenario.proxy(server.port);
      const { seen } = scenario.follow();
      const provider = scenario.registry({}, proxy.address);
      const handle = await provider.register(registration(8000));
      await provider.register(registration(8001));
      await seen.until("both", shows(8000, 8001));
      proxy.setBlackHole(true);
      await timed("unregister in a black hole", () => handle.unregister());
      proxy.setBlackHole(false);
      await seen.until("only the other", shows(8001));
      proxy.setBlackHole(true);
      await timed("close in a black hole", () => provider.close());
      await seen.until("expired", shows());
    },
  );

  play(
    "a provider cut off and back within its session: the same entry, and nobody noticed",
    async (scenario) => {
      const proxy = await scenario.proxy(server.port);
      const { seen } = scenario.follow();
      const provider = scenario.registry({ sessionTimeoutMs: 10_000 }, proxy.address);
      await provider.register(registration(8000));
      await seen.until("8000", shows(8000));
      const own = await followWith(provider, 8000);
      const admin = await scenario.session();
      const [name = ""] = await admin.children(providers);
      const before = await admin.exists(`${providers}/${name}`);
      proxy.setBlackHole(true);
      await timed("partitioned provider notices (session 10 s)", () => own.until("stale", isStale));
      proxy.setBlackHole(false);
      await timed("partition healed within the session", () => own.until("fresh", shows(8000)));
      expect(await admin.exists(`${providers}/${name}`)).toEqual(before);
      expect(seen.values.slice(seen.values.findIndex(shows(8000)))).toHaveLength(1);
    },
  );

  play(
    "a consumer cut off until its session has expired: the last list is kept, and corrected",
    async (scenario) => {
      const proxy = await scenario.proxy(server.port);
      const logged = new Recorder<string>();
      const { seen } = scenario.follow(
        { log: { ...silentLogger, warn: logged.push }, sessionTimeoutMs: 1500 },
        proxy.address,
      );
      const provider = scenario.registry();
      const handle = await provider.register(registration(8000));
      await provider.register(registration(8001));
      await seen.until("both", shows(8000, 8001));
      proxy.setBlackHole(true);
      await timed("partitioned consumer gives its session up", () =>
        logged.until("lost", (text) => text === "ZooKeeper session lost"),
      );
      expect(seen.last).toMatchObject({ stale: true });
      expect(addresses(seen.last ?? { endpoints: [], stale: true })).toHaveLength(2);
      await handle.unregister();
      proxy.setBlackHole(false);
      await timed("partition of a consumer healed after expiry, corrected", () =>
        seen.until("8001", shows(8001)),
      );
      expectNoGap(seen, "127.0.0.1:8001");
    },
  );

  play("a provider that is heard but hears nothing: one entry when it is over", async (scenario) => {
    const proxy = await scenario.proxy(server.port);
    const { seen } = scenario.follow();
    const logged = new Recorder<string>();
    const log = { ...silentLogger, warn: logged.push };
    const provider = scenario.registry({ log, sessionTimeoutMs: 1500 }, proxy.address);
    await provider.register(registration(8000));
    await seen.until("8000", shows(8000));
    proxy.setDeaf(true);
    await timed("deaf provider gives its session up", () =>
      logged.until("lost", (text) => text === "ZooKeeper session lost"),
    );
    proxy.setDeaf(false);
    const own = new Recorder<Snapshot>();
    provider.watch(service, own.push);
    await timed("deaf provider hears again", () => own.until("8000", shows(8000)));
    await seen.until("8000", shows(8000));
    const admin = await scenario.session();
    await eventually("one entry, one candidate, of the living session", async () => {
      const [name = "", ...others] = await admin.children(providers);
      const candidates = await admin.children(election);
      const entry = await admin.exists(`${providers}/${name}`);
      const classic = await admin.exists(loginPath);
      const alone = others.length === 0 && candidates.length === 1;
      return alone && entry !== undefined && entry.ephemeralOwner === classic?.ephemeralOwner;
    });
  });

  play(
    "provider and consumer both cut off, from different sides: each comes back by itself",
    async (scenario) => {
      const left = await scenario.proxy(server.port);
      const right = await scenario.proxy(server.port);
      const { seen } = scenario.follow({}, right.address);
      const witness = scenario.follow();
      await scenario.registry({}, left.address).register(registration(8000));
      await Promise.all([seen, witness.seen].map((each) => each.until("8000", shows(8000))));
      left.setBlackHole(true);
      right.setBlackHole(true);
      await timed("both partitioned: dropped for the others", () => witness.seen.until("dropped", shows()));
      await seen.until("stale", isStale);
      expect(addresses(seen.last ?? { endpoints: [], stale: true })).toEqual(["127.0.0.1:8000"]);
      left.setBlackHole(false);
      right.setBlackHole(false);
      await timed("both partitions healed", () =>
        Promise.all([seen, witness.seen].map((each) => each.until("8000", shows(8000)))),
      );
    },
  );
});

describe("connections that are cut or slow", () => {
  // Within the length, at its end, in the header, at its end, in the list of names.
  const offsets = [1, 3, 4, 7, 20, 25, 60];

  play(
    "a consumer's, in the middle of a frame at any byte: it recovers and misses nothing",
    async (scenario) => {
      const proxy = await scenario.proxy(server.port);
      const { seen } = scenario.follow({}, proxy.address);
      await scenario.registry().register(registration(8000));
      await seen.until("8000", shows(8000));
      const ports = [8000];
      const provider = scenario.registry();
      for (const [i, bytes] of offsets.entries()) {
        proxy.cutAfter(bytes);
        ports.push(8001 + i);
        await provider.register(registration(8001 + i, { protocols: ["mprpc"] }));
        await timed(`cut mid-frame at byte ${bytes}, consumer`, () =>
          seen.until(`${ports}`, shows(...ports)),
        );
      }
      expectNoGap(seen);
    },
  );

  play("a provider's, at any byte while it registers: it is registered once", async (scenario) => {
    const { seen } = scenario.follow();
    for (const [i, bytes] of offsets.entries()) {
      const proxy = await scenario.proxy(server.port);
      proxy.cutAfter(bytes);
      const provider = scenario.registry({}, proxy.address);
      await timed(`cut mid-frame at byte ${bytes}, provider`, () =>
        provider.register(registration(9000 + i)),
      );
    }
    await seen.until("all", shows(...offsets.map((_, i) => 9000 + i)));
    const admin = await scenario.session();
    expect(await admin.children(providers)).toHaveLength(offsets.length);
    await eventually("as many candidates", async () => {
      return (await admin.children(election)).length === offsets.length;
    });
  });

  play("slow by 50 ms each way: everything works, nothing is stale", async (scenario) => {
    const proxy = await scenario.proxy(server.port);
    proxy.setDelay(50);
    const { seen } = scenario.follow({}, proxy.address);
    const provider = scenario.registry({}, proxy.address);
    const handle = await timed("registered over a slow network", () => provider.register(registration(8000)));
    await seen.until("8000", shows(8000));
    const other = scenario.registry({}, proxy.address);
    const second = await timed("registered over a slow network, the second provider", () =>
      other.register(registration(8001)),
    );
    await seen.until("both", shows(8000, 8001));
    await second.unregister();
    await handle.unregister();
    await seen.until("none", shows());
    expect(seen.values.filter(isStale)).toEqual([]);
  });

  play("so slow that no answer comes in time: as a partition, and back when it is fast", async (scenario) => {
    const proxy = await scenario.proxy(server.port);
    const { seen } = scenario.follow({}, proxy.address);
    await scenario.registry().register(registration(8000));
    await seen.until("8000", shows(8000));
    proxy.setDelay(1500);
    await timed("too slow: stale", () => seen.until("stale", isStale));
    proxy.setDelay(0);
    await timed("fast again", () => seen.until("fresh", shows(8000)));
    expectNoGap(seen);
  });
});

/** The system's clock, which can be put forward: timers that are due by then fire, as on any clock. */
class ForwardClock implements Clock {
  #forwardMs = 0;
  readonly #armings = new Set<() => void>();

  now(): number {
    return systemClock.now() + this.#forwardMs;
  }

  wallNow(): number {
    return systemClock.wallNow() + this.#forwardMs;
  }

  setTimer(callback: () => void, delayMs: number): Timer {
    const dueMs = this.now() + delayMs;
    let timer: Timer | undefined;
    const arm = (): void => {
      timer?.cancel();
      timer = systemClock.setTimer(
        () => {
          this.#armings.delete(arm);
          callback();
        },
        Math.max(0, dueMs - this.now()),
      );
    };
    this.#armings.add(arm);
    arm();
    return {
      cancel: () => {
        this.#armings.delete(arm);
        timer?.cancel();
      },
    };
  }

  putForward(ms: number): void {
    this.#forwardMs += ms;
    for (const arm of this.#armings) arm();
  }
}

describe("a session that is replaced", () => {
  play("while the server still holds the old one: the entry moves in one step", async (scenario) => {
    const clock = new ForwardClock();
    let replaced = false;
    const unheard = new Set<string>();
    const lossy = await LossyProxy.start(server.port, (_, operation) => {
      if (!replaced || unheard.has(operation)) return false;
      unheard.add(operation);
      return true;
    });
    try {
      const proxy = await scenario.proxy(lossy.port);
      const { seen } = scenario.follow();
      // The longest session the server grants, so that the old one lives to the end; and the longest waits to reconnect.
      const patient = { clock, sessionTimeoutMs: 10_000, random: () => 0.99 };
      const provider = scenario.registry(patient, proxy.address);
      await provider.register(registration(8000));
      await seen.until("8000", shows(8000));
      const admin = await scenario.session();
      const [name = ""] = await admin.children(providers);
      const before = await admin.exists(`${providers}/${name}`);
      const own = new Recorder<Snapshot>();
      provider.watch(service, (snapshot) => {
        own.push(snapshot);
        // Cut off for longer than it holds on to its session, as its own clock has it.
        if (snapshot.stale && !replaced) clock.putForward(20_001);
        replaced ||= snapshot.stale;
      });
      await own.until("8000", shows(8000));
      proxy.cut();
      await timed("session replaced, each of its first writes unheard", () =>
        eventually("a new owner", async () => {
          const stat = await admin.exists(`${providers}/${name}`);
          const classic = await admin.exists(loginPath);
          const moved = stat !== undefined && stat.ephemeralOwner !== before?.ephemeralOwner;
          return moved && classic?.ephemeralOwner === stat.ephemeralOwner;
        }),
      );
      await eventually("one candidate", async () => (await admin.children(election)).length === 1);
      expect(unheard).toContain("multi");
      // Its consumers saw nothing of it: no gap, nor a C++ provider where only the classic znodes were left.
      expect(seen.values.slice(seen.values.findIndex(shows(8000)))).toHaveLength(1);
      expect(await readText(admin, loginPath)).toBe("127.0.0.1:8000");
    } finally {
      await lossy.stop();
    }
  });
});
