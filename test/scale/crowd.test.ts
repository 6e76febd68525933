import { describe, expect, test } from "vitest";
import { settle } from "../../src/testing/index.js";
import type { Transport } from "../../src/transport/transport.js";
import { failure } from "../support/async.js";
import { Cluster } from "../support/cluster.js";
import { ProbeServiceStub } from "../support/gen/probe.js";

/** More callers than a provider has room for: what those beyond the limit are told, and how often they come back. */

const minuteMs = 60_000;

/** A provider whose places are all taken, and a way to make more callers, each with a connection of its own. */
async function startCrowd(connectionsMax: number) {
  const cluster = new Cluster({ settings: { provider: { connectionsMax } } });
  const provider = await cluster.provider();
  const { clock, network } = cluster;
  const newCaller = (connections = 1) => {
    const attemptsAtMs: number[] = [];
    const transport: Transport = {
      connect(address, options) {
        attemptsAtMs.push(clock.now());
        if (connections === 1) return network.connect(address, options);
        // One after the other.
        const delayMs = attemptsAtMs.length % 7;
        return new Promise((resolve, reject) => {
          clock.setTimer(() => network.connect(address, options).then(resolve, reject), delayMs);
        });
      },
      listen: (address, onConnection) => network.listen(address, onConnection),
      localHostTowards: () => network.localHostTowards(),
    };
    const channel = cluster.channel(
      {},
      cluster.runtime({ transport, settings: { channel: { connections } } }),
    );
    return { channel, stub: new ProbeServiceStub(channel), attemptsAtMs };
  };
  const holders = Array.from({ length: connectionsMax }, () => newCaller());
  await Promise.all(holders.map(({ stub }) => stub.echo({})));
  return { cluster, clock, provider, holders, newCaller };
}

describe("more callers than provider.maxconnections", () => {
  test.each([1, 7, 900])("%s at once are told why, and those within the limit go on", async (more) => {
    const { provider, holders, newCaller } = await startCrowd(3);
    const refused = Array.from({ length: more }, () => newCaller());
    for (const error of await Promise.all(refused.map(({ stub }) => failure(stub.echo({}))))) {
      expect(error).toMatchObject({ codeName: "UNAVAILABLE", executed: "never" });
      expect(error.rawMessage).toContain(
        "turned the caller away: 3 connections are open (provider.maxconnections)",
      );
    }
    const replies = await Promise.all(holders.map(({ stub }) => stub.echo({ number: 7 })));
    expect(replies.map(({ number }) => number)).toEqual([7, 7, 7]);
    await settle();
    expect(provider.connections).toBe(3);
  });

  test.each([
    ["without a call to make", { callsEveryMs: Infinity, options: {} }],
    ["that calls every 100 ms", { callsEveryMs: 100, options: {} }],
    ["whose calls wait", { callsEveryMs: 1000, options: { waitForReady: true, timeoutMs: Infinity } }],
  ])("a caller %s comes back ever more seldom", async (_, { callsEveryMs, options }) => {
    const { clock, newCaller } = await startCrowd(1);
    const { stub, attemptsAtMs } = newCaller();
    const endMs = clock.now() + 2 * minuteMs;
    const call = (): void => {
      if (clock.now() > endMs) return;
      stub.echo({}, options).catch(() => {});
      if (callsEveryMs !== Infinity) clock.setTimer(call, callsEveryMs);
    };
    call();
    await clock.run(2 * minuteMs);
    // 1 s, and each time 1.6 times as long, give or take a fifth.
    const waitsMs = attemptsAtMs.slice(1).map((atMs, i) => atMs - (attemptsAtMs[i] as number));
    expect(waitsMs.length).toBeGreaterThanOrEqual(6);
    for (const [i, waitMs] of waitsMs.entries()) {
      expect(waitMs).toBeGreaterThanOrEqual(0.8 * 1000 * 1.6 ** i);
      expect(waitMs).toBeLessThanOrEqual(1.2 * 1000 * 1.6 ** i + 1);
    }
  });

  test("a caller of several connections does not open the next while the first is being turned away", async () => {
    const { clock, newCaller } = await startCrowd(2);
    const { stub, attemptsAtMs } = newCaller(3);
    const waiting = Array.from({ length: 5 }, () =>
      stub.echo({}, { waitForReady: true, timeoutMs: minuteMs }),
    );
    const ends = Promise.allSettled(waiting);
    await clock.run(minuteMs);
    expect((await ends).map(({ status }) => status)).toEqual(Array(5).fill("rejected"));
    expect(attemptsAtMs.length).toBeLessThan(40);
  });

  test("a place that becomes free goes to who comes next, and in the end to everybody it suffices for", async () => {
    const { clock, holders, newCaller, provider } = await startCrowd(2);
    const waiting = [newCaller(), newCaller()];
    const options = { waitForReady: true, timeoutMs: Infinity };
    const calls = waiting.map(({ stub }, number) => stub.echo({ number }, options));
    await clock.run(minuteMs);
    expect(provider.connections).toBe(2);
    await holders[0]?.channel.close();
    expect((await newCaller().stub.echo({ text: "next" })).text).toBe("next");
    await settle();
    await holders[1]?.channel.close();
    await clock.run(2 * minuteMs);
    expect((await Promise.any(calls)).number).toBeLessThanOrEqual(1);
    expect(provider.connections).toBe(2);
  });
});
