import { describe, expect, test } from "vitest";
import type { ServerCall } from "../../src/call/server-call.js";
import { type Address, Status } from "../../src/index.js";
import { Health, ServingStatus } from "../../src/services/builtin.js";
import { settle } from "../../src/testing/index.js";
import { deferred, failure } from "../support/async.js";
import type { Over } from "../support/cluster.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { byName, startGuarded, token } from "./guarded.js";

/** What whoever may call nothing but the health of a provider can take of it. */
describe.each<Over>(["memory", "grpc"])("a stranger over %s", (over) => {
  async function start(inFlightMax: number) {
    const options = { policy: { "*": "token:alice" }, authenticators: [byName(() => pair.cluster)] };
    const pair = await startGuarded(options, undefined, { over, settings: { provider: { inFlightMax } } });
    const { cluster, provider } = pair;
    const endpoint = {
      ...(provider.address as Address),
      ...{ protocol: over === "grpc" ? "grpc" : "mprpc", weight: 1, attributes: {} },
    } as const;
    /** A channel to the health of the provider, of a stranger or of who has that identity. */
    const channelOf = (identity?: string) => {
      const transport = identity === undefined ? cluster.network : cluster.network.as(identity);
      return cluster.channel({ registry: new FixedRegistry([endpoint]) }, cluster.runtime({ transport }));
    };
    return { ...pair, channelOf };
  }

  test("has few of the places with its watches of health, and leaves some to others", async () => {
    const { channelOf, stub, provider } = await start(80);
    const open = async (identity?: string) => {
      const stream = channelOf(identity).serverStream(Health.methods.watch, { service: "" });
      return stream[Symbol.asyncIterator]().next();
    };
    const outcomes = await Promise.allSettled(Array.from({ length: 40 }, () => open()));
    // Twenty of 80 are for such streams, and three quarters of them for one caller.
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(15);
    expect(provider.inFlight).toBe(15);
    const refused = await failure(open());
    expect(refused).toMatchObject({ code: Status.RESOURCE_EXHAUSTED, executed: "never" });
    expect(refused.rawMessage).toMatch(
      /^.+ has 15 streams of built-in services open, its share of the 20 there may be$/,
    );
    expect((await open("secret:probe")).value).toEqual({ status: ServingStatus.SERVING });
    await stub.echo({}, token("alice"));
    const check = await channelOf().call(Health.methods.check, { service: "" });
    expect(check.status).toBe(ServingStatus.SERVING);
  });

  test("opens another watch when one has ended", async () => {
    const { channelOf, provider } = await start(16);
    const channel = channelOf();
    for (let round = 0; round < 40; round++) {
      const statuses = channel.serverStream(Health.methods.watch, { service: "" })[Symbol.asyncIterator]();
      await statuses.next();
      await statuses.return?.();
      await settle();
    }
    expect(provider.inFlight).toBe(0);
  });

  test("asks for no service with an endless name", async () => {
    const { channelOf } = await start(100);
    const channel = channelOf();
    const long = { code: Status.INVALID_ARGUMENT };
    const service = "s".repeat(100_000);
    expect(await failure(channel.call(Health.methods.check, { service }))).toMatchObject(long);
    const watch = channel.serverStream(Health.methods.watch, { service });
    const refused = await failure(watch[Symbol.asyncIterator]().next());
    expect(refused).toMatchObject(long);
    expect(refused.rawMessage).toBe("the name of the service has 100000 characters, over the limit of 256");
    const known = channel.serverStream(Health.methods.watch, { service: "s".repeat(256) });
    expect((await known[Symbol.asyncIterator]().next()).value).toEqual({
      status: ServingStatus.SERVICE_UNKNOWN,
    });
  });

  test("makes the provider keep nothing of what it sends with a watch", async () => {
    const { channelOf, app } = await start(100);
    const calls: ServerCall[] = [];
    app.events.on("serverStart", ({ call }) => calls.push(call as ServerCall));
    const channel = channelOf();
    const metadata = { pad: "p".repeat(50_000) };
    const stream = channel.serverStream(Health.methods.watch, { service: "" }, { metadata });
    await stream[Symbol.asyncIterator]().next();
    const [call] = calls as [ServerCall];
    expect(call.ended).toBe(false);
    expect([call.request, call.metadata.size, call.idempotencyKey]).toEqual([undefined, 0, undefined]);
  });
});

describe.each<Over>(["memory", "grpc"])("the authenticators of a provider over %s", (over) => {
  async function start() {
    const answers: Array<() => void> = [];
    const counts = { running: 0, most: 0, asked: 0 };
    // It does not look at its signal.
    const slow = async (): Promise<undefined> => {
      counts.asked++;
      counts.most = Math.max(counts.most, ++counts.running);
      const answer = deferred();
      answers.push(answer.resolve);
      await answer.promise;
      counts.running--;
    };
    const pair = await startGuarded({ policy: { "*": "token:*" }, authenticators: [slow] }, undefined, {
      over,
    });
    const answerAll = async (): Promise<void> => {
      for (const answer of answers.splice(0)) answer();
      await settle();
    };
    const { cluster } = pair;
    const stubOf = (identity: string): ProbeServiceStub => {
      const runtime = cluster.runtime({ transport: cluster.network.as(identity) });
      return new ProbeServiceStub(cluster.channel({}, runtime));
    };
    return { ...pair, counts, answerAll, stubOf };
  }

  /** Calls with tokens that nobody knows. */
  const call = async (stub: ProbeServiceStub, count: number, name: string, timeoutMs: number) => {
    await stub.note({}).catch(() => {});
    const calls = Array.from({ length: count }, (_, at) =>
      failure(stub.echo({}, { ...token(`${name}${at}`), timeoutMs })),
    );
    await settle();
    return calls;
  };

  test("run at most 64 at a time for a connection, given up or not", async () => {
    const { stub, clock, counts, answerAll } = await start();
    for (let round = 0; round < 4; round++) {
      const calls = await call(stub, 40, `round${round}-`, 100);
      await clock.run(100);
      await Promise.all(calls);
    }
    expect(counts).toEqual({ running: 64, most: 64, asked: 64 });
    const [refused] = await call(stub, 1, "late", 100);
    expect((await refused)?.rawMessage).toBe("64 tokens are being checked on this connection, the limit");
    await answerAll();
    expect(counts.running).toBe(0);
    const again = await call(stub, 1, "again", 100);
    expect(counts.running).toBe(1);
    await answerAll();
    await Promise.all(again);
  });

  test("run for one caller only in part, whatever its connections, and for a new one at once", async () => {
    const { clock, counts, answerAll, stubOf } = await start();
    const calls: Array<Promise<unknown>> = [];
    for (let at = 0; at < 14; at++) calls.push(...(await call(stubOf("secret:greedy"), 64, `${at}-`, 4000)));
    expect(counts.running).toBe(768);
    const [refused] = await call(stubOf("secret:greedy"), 1, "late", 4000);
    expect((await refused)?.rawMessage).toBe(
      "secret:greedy has 768 tokens that are being checked, its share of the 1024 there may be",
    );
    calls.push(...(await call(stubOf("secret:honest"), 1, "honest", 4000)));
    expect(counts.running).toBe(769);
    await answerAll();
    await clock.run(4000);
    await Promise.all(calls);
  });

  test("that never return are given up a minute later", async () => {
    const { stub, clock, counts, log } = await start();
    const calls = await call(stub, 64, "hangs", 100);
    await clock.run(100);
    await Promise.all(calls);
    await clock.run(59_000);
    const [refused] = await call(stub, 1, "late", 100);
    expect((await refused)?.code).toBe(Status.RESOURCE_EXHAUSTED);
    await clock.run(2000);
    expect(log.at("error")).toContain(
      "an authenticator has not returned for a minute after its signal was aborted: it counts no more among those that run",
    );
    const [asked] = await call(stub, 1, "again", 100);
    expect(counts.asked).toBe(65);
    await clock.run(100);
    await asked;
  });
});
