import { describe, expect, test } from "vitest";
import { Account, Accounts, hostOf } from "../../src/auth/account.js";
import { RpcProvider, Status } from "../../src/index.js";
import { settle } from "../../src/testing/index.js";
import { failure } from "../support/async.js";
import { Cluster, type ClusterOptions } from "../support/cluster.js";
import { type Blob, ProbeService, ProbeServiceStub } from "../support/gen/probe.js";

async function start(provider: NonNullable<ClusterOptions["settings"]>["provider"]) {
  const cluster = new Cluster({ settings: { provider } });
  const waiting: Array<() => void> = [];
  const served = new RpcProvider(cluster.runtime());
  served.notifyService(ProbeService, {
    echo: (request) => request,
    relay: (request: Blob) => new Promise<Blob>((resolve) => waiting.push(() => resolve(request))),
    note: (request) => request,
  });
  cluster.onClose(() => served.shutdown());
  await served.start();
  const caller = (identity?: string): ProbeServiceStub => {
    const runtime = cluster.runtime({ transport: cluster.network.as(identity) });
    return new ProbeServiceStub(cluster.channel({}, runtime));
  };
  return { cluster, caller, waiting, clock: cluster.clock, provider: served };
}

describe("each caller", () => {
  test("has so many calls in flight, whatever its connections", async () => {
    const { caller, waiting } = await start({ inFlightPerCallerMax: 3 });
    const [one, two, other] = [caller("secret:a"), caller("secret:a"), caller("secret:b")];
    const held = [one.relay({}), one.relay({}), two.relay({})];
    while (waiting.length < 3) await settle();
    expect(await failure(two.echo({}))).toMatchObject({
      ...{ code: Status.RESOURCE_EXHAUSTED, executed: "never" },
      rawMessage: "secret:a has 3 calls in flight, its limit here (provider.maxinflightpercaller)",
    });
    await other.echo({});
    for (const go of waiting) go();
    await Promise.all(held);
    await two.echo({});
  });

  test("has its share of a provider that is nearly full, and all of one that is not", async () => {
    const { caller, waiting } = await start({ inFlightMax: 100 });
    const [greedy, modest] = [caller("secret:greedy"), caller("secret:modest")];
    const taken = Array.from({ length: 75 }, () => greedy.relay({}));
    await settle();
    const first = modest.relay({});
    await settle();
    expect((await failure(greedy.relay({}))).rawMessage).toContain("its share of the 100");
    const more = Array.from({ length: 24 }, () => modest.relay({}));
    await settle();
    expect(waiting).toHaveLength(100);
    for (const go of waiting) go();
    await Promise.all([...taken, first, ...more]);
  });

  test("alone may take all there is", async () => {
    const { caller, waiting } = await start({ inFlightMax: 20 });
    const only = caller("secret:only");
    const taken = Array.from({ length: 20 }, () => only.relay({}));
    await settle();
    expect(waiting).toHaveLength(20);
    for (const go of waiting) go();
    await Promise.all(taken);
  });

  test("makes so many calls a second, reconnecting or not", async () => {
    const { caller, clock } = await start({ callsPerSecondMax: 10 });
    const [one, again, other] = [caller("secret:a"), caller("secret:a"), caller("secret:b")];
    const outcomes = await Promise.allSettled(Array.from({ length: 15 }, () => one.echo({})));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(10);
    expect((await failure(again.echo({}))).rawMessage).toBe(
      "secret:a makes more than 10 calls a second, its limit here (provider.maxcallspersecond)",
    );
    await other.echo({});
    await clock.run(500);
    const later = await Promise.allSettled(Array.from({ length: 10 }, () => again.echo({})));
    expect(later.filter(({ status }) => status === "fulfilled")).toHaveLength(5);
  });

  test("has so many connections, of one address and of one identity", async () => {
    const { caller, provider } = await start({ connectionsPerCallerMax: 2 });
    await caller("secret:a").echo({});
    await caller("secret:a").echo({});
    const third = await failure(caller("secret:a").echo({}, { timeoutMs: 100 }));
    expect(third.message).toContain(
      "has 2 connections open, its limit here (provider.maxconnectionspercaller)",
    );
    expect(provider.connections).toBeLessThanOrEqual(3);
  });
});

test("accounts are forgotten when nobody uses them, and counts come out even", () => {
  const accounts = new Accounts(true);
  for (let i = 0; i < 10_000; i++) {
    const account = accounts.open(`caller ${i}`, i * 10);
    accounts.count(account, 1);
    accounts.count(account, -1);
    accounts.close(account, i * 10);
  }
  expect(accounts.busy).toBe(0);
  expect(accounts.find("caller 0")).toBeUndefined();
  expect(accounts.find("caller 9999")).toBeDefined();
});

test("a bucket gives its rate over time, and never more at once", () => {
  const account = new Account("x");
  let given = 0;
  for (let ms = 0; ms < 10_000; ms += 5) if (account.takeCall(10, 1_000_000 + ms)) given++;
  expect(given).toBeGreaterThanOrEqual(108);
  expect(given).toBeLessThanOrEqual(110);
});

test.each([
  ["10.0.0.7:1234", "10.0.0.7"],
  ["[::1]:80", "[::1]"],
  ["unix:/run/a.sock", "unix:/run/a.sock"],
])("the host of %s is %s", (address, host) => {
  expect(hostOf(address)).toBe(host);
});
