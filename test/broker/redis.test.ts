import { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { Broker, defineTopic } from "../../src/broker/index.js";
import { silentLogger } from "../../src/log/logger.js";
import { createRuntime } from "../../src/testing/index.js";
import { Item } from "../support/gen/flow.js";
import { eventually } from "../tools/wait.js";
import { brokerConformance } from "./conformance.js";
import { startServer } from "./servers.js";

brokerConformance("redis://", async () => {
  const server = await startServer("redis");
  return { url: `redis://127.0.0.1:${server.port}/0`, close: () => server.close() };
});

test("the group of a subscriber without one ends with it; of one that is gone, through the others", async () => {
  const server = await startServer("redis");
  onTestFinished(() => server.close());
  const redis = new Redis({ port: server.port, host: "127.0.0.1" });
  onTestFinished(() => redis.disconnect());
  const app = createRuntime({ log: silentLogger });
  onTestFinished(() => app.close());
  const broker = new Broker(app, { url: `redis://127.0.0.1:${server.port}/0` });
  const topic = defineTopic("own", Item);
  const key = "mprpc:{own}";
  const groups = async (): Promise<string[]> =>
    ((await redis.xinfo("GROUPS", key)) as unknown[][]).map((group) => String(group[1])).sort();
  const subscription = await broker.subscribe(topic, { ackWaitMs: 1000 }, () => {});
  await broker.subscribe(topic, { group: "lasting", ackWaitMs: 1000 }, () => {});
  const { group } = subscription;
  expect(await redis.pttl(`${key}:alive:${group}`)).toBeGreaterThan(1000);
  // As a process leaves it that was killed, once its time is over.
  await redis.xgroup("CREATE", key, "=gone", "$");
  await eventually("it is forgotten", async () => !(await groups()).includes("=gone"));
  expect(await groups()).toEqual([group, "lasting"].sort());
  await subscription.close();
  expect(await groups()).toEqual(["lasting"]);
  expect(await redis.exists(`${key}:alive:${group}`)).toBe(0);
});
