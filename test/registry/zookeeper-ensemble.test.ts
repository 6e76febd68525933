import { afterAll, beforeAll, expect, test } from "vitest";
import { silentLogger } from "../../src/log/logger.js";
import type { Snapshot } from "../../src/registry/registry.js";
import { eventually, Recorder, timed } from "../tools/wait.js";
import { ZooKeeperServer } from "../tools/zookeeper.js";
import { expectNoGap, registration, shows } from "./conformance.js";
import { readText, Scenario, scenarioTimeout } from "./zookeeper-scenario.js";

const providers = "/mprpc/fixbug.UserServiceRpc/providers";
const loginPath = "/UserServiceRpc/Login";

/** One ensemble of three for all stories: they break it one after the other, and leave it whole. */
let servers: ZooKeeperServer[];
beforeAll(async () => {
  servers = await ZooKeeperServer.startEnsemble(3);
});
afterAll(() => Promise.all(servers.map((server) => server.stop())));

const addressOf = (some: readonly ZooKeeperServer[]): string => some.map(({ address }) => address).join(",");

function play(name: string, story: (scenario: Scenario) => Promise<void>): void {
  test(name, scenarioTimeout, () => Scenario.on(addressOf(servers), story));
}

/** The leader, and the followers. */
async function roles(): Promise<[ZooKeeperServer, ZooKeeperServer, ZooKeeperServer]> {
  return eventually("a leader and two followers", async () => {
    const modes = await Promise.all(servers.map((server) => server.ask("srvr")));
    const leader = servers.find((_, i) => modes[i]?.includes("Mode: leader"));
    const [first, second] = servers.filter((_, i) => modes[i]?.includes("Mode: follower"));
    return leader !== undefined && first !== undefined && second !== undefined && [leader, first, second];
  });
}

/** A provider and a consumer that connect to the first of these servers first. */
async function startPair(scenario: Scenario, order: readonly ZooKeeperServer[]) {
  const address = addressOf(order);
  // Values at which the order stays; they differ, as names are drawn from them too.
  const provider = scenario.registry({ random: () => 0.98 }, address);
  await provider.register(registration(8000));
  const own = new Recorder<Snapshot>();
  provider.watch("fixbug.UserServiceRpc", own.push);
  const { seen } = scenario.follow({ random: () => 0.99 }, address);
  await Promise.all([own, seen].map((each) => each.until("8000", shows(8000))));
  return { own, seen };
}

const isStale = ({ stale }: Snapshot): boolean => stale;

play("the leader is killed: nothing is lost, and a new registration is seen", async (scenario) => {
  const [leader, ...followers] = await roles();
  const { seen } = await startPair(scenario, [leader, ...followers]);
  await leader.kill();
  await timed("leader killed, a new registration seen", async () => {
    await scenario.registry({ startTimeoutMs: 30_000 }).register(registration(8001));
    await seen.until("both", shows(8000, 8001));
  });
  await leader.start();
  expectNoGap(seen);
});

play("a partition from one server, and cuts at any byte: the sessions move on", async (scenario) => {
  const proxies = await Promise.all(servers.map(({ port }) => scenario.proxy(port)));
  const address = proxies.map((proxy) => proxy.address).join(",");
  const provider = scenario.registry({ random: () => 0.98 }, address);
  await provider.register(registration(8000));
  const own = new Recorder<Snapshot>();
  provider.watch("fixbug.UserServiceRpc", own.push);
  await own.until("8000", shows(8000));
  const { seen: witness } = scenario.follow();
  await witness.until("8000", shows(8000));
  const admin = await scenario.session();
  const [name = ""] = await admin.children(providers);
  const before = await admin.exists(`${providers}/${name}`);
  proxies[0]?.setBlackHole(true);
  await timed("partitioned from one of three: moved on", () => moved(own));
  proxies[0]?.setBlackHole(false);
  // Within the length of a frame, in its header, in its content; each cut sends it to the next server.
  for (const [i, bytes] of [1, 4, 7, 20, 25, 60].entries()) {
    for (const proxy of proxies) proxy.cutAfter(bytes);
    const other = await scenario.registry().register(registration(8001 + i, { protocols: ["mprpc"] }));
    await timed(`cut mid-frame at byte ${bytes}, three servers`, () =>
      own.until("both", shows(8000, 8001 + i)),
    );
    await other.unregister();
    await own.until("one", shows(8000));
  }
  expect(await admin.exists(`${providers}/${name}`)).toEqual(before);
  expectNoGap(own);
  expectNoGap(witness);
});

play("a follower freezes: its clients move on with their sessions", async (scenario) => {
  const [leader, frozen, other] = await roles();
  const { own, seen } = await startPair(scenario, [frozen, other, leader]);
  const admin = await scenario.session();
  const [name = ""] = await admin.children(providers);
  const before = await admin.exists(`${providers}/${name}`);
  frozen.suspend();
  try {
    await timed("frozen follower left by its clients", () =>
      Promise.all([own, seen].map((each) => moved(each))),
    );
    await eventually("the administrator too", async () => admin.connected);
    // Two that start only now, one for each order, so that one of them meets the frozen server first.
    await timed("frozen server of two, at the start", () =>
      Promise.all(
        [0, 0.99].map((random) => {
          const both = addressOf([frozen, other]);
          return scenario.follow({ random: () => random }, both).seen.until("8000", shows(8000));
        }),
      ),
    );
    const after = await eventually("the entry", () => admin.exists(`${providers}/${name}`));
    expect(after).toEqual(before);
  } finally {
    frozen.resume();
  }
  await scenario.registry({ random: () => 0.97 }, frozen.address).register(registration(8001));
  await seen.until("both", shows(8000, 8001));
  expectNoGap(seen);
});

/** Resolves when the list was stale and is no more. */
async function moved(seen: Recorder<Snapshot>): Promise<void> {
  await seen.until("stale, or through with it", () => seen.values.some(isStale));
  await seen.until("fresh again", shows(8000));
}

play("the leader freezes: the others elect one, and its thawing changes nothing", async (scenario) => {
  const [frozen, ...followers] = await roles();
  const { own, seen } = await startPair(scenario, [frozen, ...followers]);
  frozen.suspend();
  try {
    await timed("frozen leader left by its clients", () =>
      Promise.all([own, seen].map((each) => moved(each))),
    );
    await scenario.registry({ startTimeoutMs: 30_000, random: () => 0.97 }).register(registration(8001));
    await seen.until("both", shows(8000, 8001));
  } finally {
    frozen.resume();
  }
  await roles();
  const { seen: through } = scenario.follow({}, frozen.address);
  await through.until("the old leader knows", shows(8000, 8001));
  expectNoGap(seen);
});

play(
  "the quorum is lost for longer than the sessions: lists stay, and all register again",
  async (scenario) => {
    const [leader, first, second] = await roles();
    const warned = [new Recorder<string>(), new Recorder<string>()];
    const sessions = warned.map((each) => ({
      ...{ sessionTimeoutMs: 2000, log: { ...silentLogger, warn: each.push } },
    }));
    const { seen } = scenario.follow(sessions[0]);
    await scenario.registry(sessions[1]).register(registration(8000));
    await scenario.registry().register(registration(8001));
    await seen.until("both", shows(8000, 8001));
    await Promise.all([leader.kill(), first.kill()]);
    await seen.until("stale", isStale);
    await timed("quorum lost: sessions given up", () =>
      Promise.all(warned.map((each) => each.until("lost", (text) => text === "ZooKeeper session lost"))),
    );
    expectNoGap(seen);
    const started = Promise.all([leader.start(), first.start()]);
    await timed("quorum back (servers' start included)", async () => {
      await started;
      await seen.until("fresh", shows(8000, 8001));
    });
    expectNoGap(seen);
    expectNoGap(seen, "127.0.0.1:8001");
    const { seen: through } = scenario.follow({}, second.address);
    await through.until("the survivor knows", shows(8000, 8001));
  },
);

play("one server comes back with its data wiped: it has all of it from the others", async (scenario) => {
  const [leader, wiped, other] = await roles();
  const { seen } = await startPair(scenario, [wiped, other, leader]);
  await wiped.kill();
  await wiped.wipe();
  await wiped.start();
  const { seen: through } = scenario.follow({}, wiped.address);
  await timed("wiped server of three knows all", () => through.until("8000", shows(8000)));
  await seen.until("fresh", shows(8000));
  expectNoGap(seen);
});

play("all three are wiped: new sessions, all register again, no empty list", async (scenario) => {
  const { seen } = await startPair(scenario, servers);
  await Promise.all(servers.map((server) => server.kill()));
  await Promise.all(servers.map((server) => server.wipe()));
  await seen.until("stale", isStale);
  await Promise.all(servers.map((server) => server.start()));
  await timed("data of all three wiped", () => seen.until("fresh again", shows(8000)));
  expectNoGap(seen);
  const admin = await scenario.session();
  expect(await admin.children(providers)).toHaveLength(1);
  await eventually("classic", async () => (await readText(admin, loginPath)) === "127.0.0.1:8000");
});
