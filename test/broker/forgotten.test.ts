// What a server forgets, and a member of the group knows.
import { type ConsumerInfo, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { Redis } from "ioredis";
import { afterEach, describe, expect, test } from "vitest";
import { Broker, defineTopic, type StartPosition } from "../../src/broker/index.js";
import { silentLogger } from "../../src/log/logger.js";
import { createRuntime } from "../../src/testing/index.js";
import { Item } from "../support/gen/flow.js";
import { TcpProxy } from "../tools/tcp-proxy.js";
import { eventually, Recorder } from "../tools/wait.js";
import { startNats, startServer } from "./servers.js";

const topic = defineTopic("forgotten.items", Item);
const stream = "mprpc=forgotten=items";
const key = "mprpc:{forgotten.items}";
const options = { group: "g", ackWaitMs: 1000, retry: { initialMs: 5, maxMs: 20 } };

const cleanups: Array<() => unknown> = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function open(url: string): Broker {
  const settings = { provider: { drainTimeoutMs: 100 } };
  const app = createRuntime({ log: silentLogger, settings });
  const broker = new Broker(app, { url });
  cleanups.push(() => app.close());
  cleanups.push(() => broker.close());
  return broker;
}

async function proxyOf(port: number): Promise<TcpProxy> {
  const proxy = await TcpProxy.start(port);
  cleanups.push(() => proxy.stop());
  return proxy;
}

async function publish(broker: Broker, from: number, to: number): Promise<void> {
  for (let number = from; number < to; number++) await broker.publish(topic, { number });
}

async function adminOf(port: number) {
  const connection = await connect({ servers: `127.0.0.1:${port}`, maxReconnectAttempts: -1 });
  cleanups.push(() => connection.close());
  return { connection, manager: await jetstreamManager(connection) };
}

/** What a nats-server reports of a request that it has answered. */
interface Answer {
  readonly subject: string;
  readonly response: string;
}

/** A broker with one member of the group, which has finished `count` messages, and knows it from the server. */
async function startMember(port: number, count: number, own: { url?: string; from?: StartPosition } = {}) {
  const { url = `nats://127.0.0.1:${port}`, from = "first" } = own;
  const broker = open(url);
  const seen = new Recorder<number>();
  await broker.subscribe(topic, { ...options, from }, ({ number }) => seen.push(number));
  await publish(broker, 0, count);
  const { connection, manager } = await adminOf(port);
  await eventually("all are finished", async () => {
    return (await manager.consumers.info(stream, "g")).ack_floor.stream_seq === count;
  });
  const answers = new Recorder<Answer>();
  connection.subscribe("$JS.EVENT.ADVISORY.API", { callback: (_, message) => answers.push(message.json()) });
  await connection.flush();
  // Whatever the member has asked before, it asks now.
  await publish(broker, count, count + 1);
  await answers.until("it was answered", () =>
    answers.values.some(({ subject, response }) => {
      if (subject !== `$JS.API.CONSUMER.INFO.${stream}.g`) return false;
      return (JSON.parse(response) as ConsumerInfo).ack_floor.stream_seq > count;
    }),
  );
  // What the server sends on one connection arrives in its order.
  await publish(broker, count + 1, count + 2);
  await seen.until("the last two", () => new Set(seen.values).size === count + 2);
  return { broker, seen };
}

describe("a nats-server", () => {
  test.each([
    ["its first message", "first"],
    ["a time", new Date(0)],
    ["a position", { after: "0" }],
  ] as const)(
    "that is killed while it writes how far a group that began at %s has come does not hand out all of it again",
    async (_, from) => {
      const server = await startNats();
      cleanups.push(() => server.close());
      const { broker, seen } = await startMember(server.port, 200, { from });
      const before = seen.values.length;
      await server.kill();
      await server.forget();
      await server.start();
      await eventually("one more is kept", () => broker.publish(topic, { number: 1000 }).then(() => true));
      await seen.until("the one behind", () => seen.values.includes(1000));
      expect(seen.values.slice(before).filter((number) => number < 200)).toEqual([]);
    },
  );

  test("that lost its data gives old numbers to new messages, and the group gets all of them", async () => {
    const server = await startNats();
    cleanups.push(() => server.close());
    const proxy = await proxyOf(server.port);
    const { seen } = await startMember(server.port, 50, { url: `nats://${proxy.address}` });
    proxy.setRefusing(true);
    await server.kill();
    await server.wipe();
    await server.start();
    await publish(open(`nats://127.0.0.1:${server.port}`), 1000, 1100);
    proxy.setRefusing(false);
    await seen.until("all new ones", () => seen.values.filter((number) => number >= 1000).length >= 100);
    expect(new Set(seen.values).size).toBe(152);
  });

  test("may be told to hand out all of it again, by seek", async () => {
    const server = await startNats();
    cleanups.push(() => server.close());
    const { broker, seen } = await startMember(server.port, 50);
    const before = seen.values.length;
    await broker.seek(topic, "g", "first");
    await seen.until("all once more", () => new Set(seen.values.slice(before)).size === 52);
    await server.restart();
    await eventually("one more is kept", () => broker.publish(topic, { number: 1000 }).then(() => true));
    await seen.until("the one behind", () => seen.values.includes(1000));
  });
});

/** Lets the server forget the group of a subscription that it has not heard of for long. */
async function forgetNats(port: number, group: string): Promise<void> {
  const { manager } = await adminOf(port);
  await manager.consumers.update(stream, group, { inactive_threshold: 1_000_000 });
  await eventually("it is gone", async () => {
    const { state } = await manager.streams.info(stream);
    return state.consumer_count === 1;
  });
}

async function forgetRedis(port: number, group: string): Promise<void> {
  const admin = new Redis(port, "127.0.0.1");
  cleanups.push(() => admin.disconnect());
  await admin.pexpire(`${key}:alive:${group}`, 1);
  // The other subscriber is the one who looks.
  await eventually("it is gone", async () => {
    const groups = (await admin.xinfo("GROUPS", key)) as unknown[];
    return groups.length === 1;
  });
}

test.each([
  ["redis", forgetRedis],
  ["nats", forgetNats],
] as const)(
  "%s: a subscriber without a group that was silent for long misses nothing",
  async (scheme, forget) => {
    const server = await startServer(scheme);
    cleanups.push(() => server.close());
    const proxy = await proxyOf(server.port);
    const direct = open(`${scheme}://127.0.0.1:${server.port}`);
    const others = new Recorder<number>();
    const own = { ackWaitMs: 30_000, retry: { initialMs: 20_000, maxMs: 20_000 } };
    await publish(direct, 0, 1);
    await direct.subscribe(topic, own, ({ number }) => others.push(number));
    const seen = new Recorder<number>();
    const tried = new Recorder<number>();
    const silent = open(`${scheme}://${proxy.address}`);
    const subscription = await silent.subscribe(topic, own, ({ number }) => {
      tried.push(number);
      // One that waits for its second attempt when the group is forgotten.
      if (number === 2 && tried.values.filter((one) => one === 2).length === 1) throw new Error("not yet");
      seen.push(number);
    });
    await publish(direct, 1, 5);
    await tried.until("four", () => tried.values.length === 4);
    proxy.setRefusing(true);
    await forget(server.port, subscription.group);
    await publish(direct, 5, 10);
    await others.until("all, for the other", () => new Set(others.values).size === 9);
    proxy.setRefusing(false);
    await seen.until("all", () => new Set(seen.values).size === 9);
    expect([...new Set(seen.values)].sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  },
);

test.each([
  ["redis", forgetRedis],
  ["nats", forgetNats],
] as const)("%s: one that had got nothing yet misses nothing either", async (scheme, forget) => {
  const server = await startServer(scheme);
  cleanups.push(() => server.close());
  const proxy = await proxyOf(server.port);
  const direct = open(`${scheme}://127.0.0.1:${server.port}`);
  await publish(direct, 0, 3);
  await direct.subscribe(topic, { ackWaitMs: 1000 }, () => {});
  const seen = new Recorder<number>();
  const silent = open(`${scheme}://${proxy.address}`);
  const subscription = await silent.subscribe(topic, { ackWaitMs: 1000 }, ({ number }) => seen.push(number));
  proxy.setRefusing(true);
  await forget(server.port, subscription.group);
  await publish(direct, 3, 6);
  proxy.setRefusing(false);
  await seen.until("all", () => new Set(seen.values).size === 3);
  expect([...new Set(seen.values)].sort()).toEqual([3, 4, 5]);
});

test("nats: a subscriber without a group, after the server lost its data, is forgotten, and misses nothing", async () => {
  const server = await startNats();
  cleanups.push(() => server.close());
  const proxy = await proxyOf(server.port);
  const direct = open(`nats://127.0.0.1:${server.port}`);
  const seen = new Recorder<number>();
  const own = { ackWaitMs: 30_000 };
  const silent = open(`nats://${proxy.address}`);
  const subscription = await silent.subscribe(topic, own, ({ number }) => seen.push(number));
  const uniqueUntil = (what: string, size: number) =>
    seen.until(what, () => new Set(seen.values).size === size);
  await publish(direct, 0, 60);
  await uniqueUntil("all of the old stream", 60);
  proxy.setRefusing(true);
  await server.kill();
  await server.wipe();
  await server.start();
  const again = open(`nats://127.0.0.1:${server.port}`);
  await again.subscribe(topic, own, () => {});
  // What comes while it is away is for it as well.
  await publish(again, 100, 110);
  proxy.setRefusing(false);
  await uniqueUntil("what came first to the new stream", 70);
  await publish(again, 110, 130);
  await uniqueUntil("what came then", 90);
  proxy.setRefusing(true);
  await forgetNats(server.port, subscription.group);
  await publish(again, 130, 140);
  proxy.setRefusing(false);
  await uniqueUntil("what came last", 100);
  expect(seen.values).toHaveLength(100);
});

test.each([
  ["redis", forgetRedis],
  ["nats", forgetNats],
] as const)(
  "%s: one that waits for a message that was removed goes on where it was",
  async (scheme, forget) => {
    const server = await startServer(scheme);
    cleanups.push(() => server.close());
    const proxy = await proxyOf(server.port);
    const direct = open(`${scheme}://127.0.0.1:${server.port}?maxlen=100`);
    const own = { ackWaitMs: 30_000, retry: { initialMs: 20_000, maxMs: 20_000 } };
    await publish(direct, 0, 1);
    await direct.subscribe(topic, own, () => {});
    const seen = new Recorder<number>();
    const silent = open(`${scheme}://${proxy.address}?maxlen=100`);
    const subscription = await silent.subscribe(topic, own, ({ number }) => {
      seen.push(number);
      if (number === 1) throw new Error("not yet");
    });
    for (let number = 1; number <= 400; number++) {
      await publish(direct, number, number + 1);
      // Before it is removed.
      await seen.until("each", () => seen.values.includes(number));
    }
    proxy.setRefusing(true);
    await forget(server.port, subscription.group);
    await publish(direct, 401, 406);
    proxy.setRefusing(false);
    await seen.until("the last", () => seen.values.includes(405));
    expect(seen.values).toEqual(Array.from({ length: 405 }, (_, at) => at + 1));
  },
);
