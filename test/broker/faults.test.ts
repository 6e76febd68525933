import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Broker, defineTopic } from "../../src/broker/index.js";
import { RpcError } from "../../src/error/rpc-error.js";
import { silentLogger } from "../../src/log/logger.js";
import { createRuntime } from "../../src/testing/index.js";
import { Item } from "../support/gen/flow.js";
import { noteLeak } from "../tools/leaks/notes.js";
import { canary } from "../tools/leaks/secrets.js";
import { TcpProxy } from "../tools/tcp-proxy.js";
import { eventually, Recorder } from "../tools/wait.js";
import { type BrokerServer, startServer, writeConf } from "./servers.js";

const topic = defineTopic("faults.items", Item);
const cleanups: Array<() => unknown> = [];
let folder = "";

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "mprpc-broker-faults-"));
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(folder, { recursive: true, force: true });
});

async function serve(scheme: "redis" | "nats", ...extra: string[]): Promise<BrokerServer> {
  const server = await startServer(scheme, ...extra);
  cleanups.push(() => server.close());
  return server;
}

function open(url: string, password?: string, callTimeoutMs = 5000): Broker {
  const settings = { callTimeoutMs, broker: { url, password }, provider: { drainTimeoutMs: 100 } };
  const app = createRuntime({ log: silentLogger, settings });
  const broker = new Broker(app);
  cleanups.push(() => app.close());
  cleanups.push(() => broker.close());
  return broker;
}

async function failureOf(work: Promise<unknown>): Promise<RpcError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  noteLeak("an error of a broker", error);
  if (error instanceof RpcError) return error;
  throw new Error(`expected an RpcError, got ${String(error)}`);
}

const options = { group: "g", ackWaitMs: 1000, retry: { initialMs: 5, maxMs: 20 } };

async function publishUntilKept(broker: Broker, number: number): Promise<void> {
  await eventually(`message ${number} is kept`, async () => {
    await broker.publish(topic, { number }, { timeoutMs: 2000 });
    return true;
  });
}

describe.each(["redis", "nats"] as const)("%s", (scheme) => {
  test("killed and restarted: subscriptions go on, and nothing that was kept is lost", async () => {
    const server = await serve(scheme);
    const broker = open(`${scheme}://127.0.0.1:${server.port}`);
    const states = new Recorder<string>();
    broker.events.on("disconnected", () => states.push("down"));
    broker.events.on("connected", () => states.push("up"));
    const seen = new Recorder<number>();
    await broker.subscribe(topic, options, ({ number }) => seen.push(number));
    for (let number = 0; number < 20; number++) await broker.publish(topic, { number });
    await server.kill();
    await states.until("it is noticed", (state) => state === "down");
    const failed = await failureOf(broker.publish(topic, { number: 99 }, { timeoutMs: 200 }));
    expect(failed.codeName).toMatch(/UNAVAILABLE|DEADLINE_EXCEEDED/);
    await server.start();
    for (let number = 20; number < 40; number++) await publishUntilKept(broker, number);
    await seen.until("all of them", () => new Set(seen.values.filter((one) => one < 40)).size === 40);
    expect(states.values).toContain("up");
  });

  test("cut in the middle, again and again", async () => {
    const server = await serve(scheme);
    const proxy = await TcpProxy.start(server.port);
    cleanups.push(() => proxy.stop());
    const broker = open(`${scheme}://${proxy.address}`);
    const seen = new Recorder<number>();
    await broker.subscribe(topic, options, ({ number }) => seen.push(number));
    for (let number = 0; number < 30; number++) {
      if (number % 10 === 5) proxy.cut();
      if (number % 10 === 8) proxy.cutAfter(30);
      await publishUntilKept(broker, number);
    }
    await seen.until("all of them", () => new Set(seen.values).size === 30);
  });

  test("away when a message fails for the last time: it becomes a dead letter with its reason", async () => {
    const server = await serve(scheme);
    const proxy = await TcpProxy.start(server.port);
    cleanups.push(() => proxy.stop());
    const broker = open(`${scheme}://${proxy.address}`);
    const down = new Recorder<string>();
    broker.events.on("disconnected", () => down.push("down"));
    const seen = new Recorder<number>();
    const once = { ...options, maxAttempts: 1, ackWaitMs: 30_000 };
    await broker.subscribe(topic, once, async ({ number }) => {
      seen.push(number);
      proxy.setRefusing(true);
      await down.until("it is noticed", () => true);
      // An error of a socket is told before its end.
      await new Promise((resolve) => setImmediate(resolve));
      throw new Error("the real reason");
    });
    await broker.publish(topic, { number: 1 });
    await seen.until("the message", () => true);
    await down.until("it is noticed", () => true);
    // What is done with the failure while nobody is there is done by then.
    for (let turns = 0; turns < 10; turns++) await new Promise((resolve) => setImmediate(resolve));
    proxy.setRefusing(false);
    const direct = open(`${scheme}://127.0.0.1:${server.port}`);
    const [letter] = await eventually("it is a dead letter", async () => {
      const letters = await direct.deadLetters(topic, "g").list();
      return letters.length > 0 && letters;
    });
    expect(letter).toMatchObject({ attempts: 1, error: expect.stringContaining("the real reason") });
    expect(seen.values).toEqual([1]);
  });

  test("frozen: a publish ends by its deadline, and all goes on when it thaws", async () => {
    const server = await serve(scheme);
    const broker = open(`${scheme}://127.0.0.1:${server.port}`);
    const seen = new Recorder<number>();
    await broker.subscribe(topic, options, ({ number }) => seen.push(number));
    await broker.publish(topic, { number: 1 });
    // The signal may reach it after the next message does.
    server.suspend();
    await eventually("it stands still", async () =>
      readFileSync(`/proc/${server.pid}/stat`, "utf8").includes(") T "),
    );
    cleanups.push(() => server.resume());
    const failed = await failureOf(broker.publish(topic, { number: 2 }, { timeoutMs: 300 }));
    expect(failed).toMatchObject({ codeName: "DEADLINE_EXCEEDED", executed: "maybe" });
    expect(failed.message).toContain("within 300 ms (timeoutMs, calltimeout)");
    server.resume();
    await publishUntilKept(broker, 3);
    await seen.until("what was kept", () => seen.values.includes(1) && seen.values.includes(3));
  });

  test("a wrong password, and a right one from a file", async () => {
    const [right, other] = [canary(), canary()];
    // Not as a flag, which everybody would see.
    const conf = await writeConf(
      folder,
      scheme === "redis" ? `requirepass ${right}\n` : `authorization { user: me, password: "${right}" }`,
    );
    const server = await serve(scheme, scheme === "redis" ? "--include" : "-c", conf);
    const user = scheme === "redis" ? "" : "user=me&";
    const url = `${scheme}://127.0.0.1:${server.port}?${user}`;
    const missing = await failureOf(open(url).publish(topic, { number: 1 }));
    const wrong = await failureOf(open(url, other).publish(topic, { number: 1 }));
    for (const error of [missing, wrong]) {
      expect(error).toMatchObject({ codeName: "UNAUTHENTICATED", executed: "never" });
      expect(error.message).toContain("MPRPC_BROKERPASSWORD");
    }
    const file = path.join(folder, "password");
    await writeFile(file, `${right}\n`, { mode: 0o600 });
    await open(`${url}passwordfile=${encodeURIComponent(file)}`).publish(topic, { number: 1 });
    const gone = open(`${url}passwordfile=${file}.gone`);
    expect((await failureOf(gone.publish(topic, { number: 1 }))).message).toContain("cannot be read");
  });

  test("another kind of server on the port", async () => {
    const other = await serve(scheme === "redis" ? "nats" : "redis");
    const error = await failureOf(open(`${scheme}://127.0.0.1:${other.port}`).publish(topic, { number: 1 }));
    if (scheme === "redis") expect(error.message).toContain("is no Redis server (the key broker)");
    // Redis waits for the client to speak first, as NATS' client does for the server.
    else expect(error.message).toMatch(/is no NATS server|cannot be reached|did not take the message/);
  });

  test("a web server on the port", async () => {
    const server: Server = createServer((socket) => {
      socket.on("error", () => {});
      socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => server.close());
    const { port } = server.address() as { port: number };
    const error = await failureOf(
      open(`${scheme}://127.0.0.1:${port}`).publish(topic, { number: 1 }, { timeoutMs: 3000 }),
    );
    expect(error.message).toMatch(/is no (Redis|NATS) server|it cannot be reached/);
  });

  test("nobody on the port: the error says who, and why", async () => {
    const error = await failureOf(
      open(`${scheme}://127.0.0.1:1`).publish(topic, { number: 1 }, { timeoutMs: 500 }),
    );
    expect(error.codeName).toBe("DEADLINE_EXCEEDED");
    expect(error.message).toMatch(/it cannot be reached: .*(ECONNREFUSED|refused)/i);
  });
});

test("redis: a read-only replica", async () => {
  const primary = await serve("redis");
  const replica = await serve("redis", "--replicaof", "127.0.0.1", String(primary.port));
  const broker = open(`redis://127.0.0.1:${replica.port}`);
  const error = await eventually("it is in step", async () => {
    const found = await failureOf(broker.publish(topic, { number: 1 }));
    return found.codeName === "FAILED_PRECONDITION" && found;
  });
  expect(error.message).toContain("is a read-only replica: name the primary in the key broker");
});

test("redis: a full server, and one that permits nothing", async () => {
  const password = canary();
  const conf = await writeConf(folder, `maxmemory 1\nuser low on >${password} +info +ping ~none:*\n`);
  const server = await serve("redis", "--include", conf);
  const url = `redis://127.0.0.1:${server.port}`;
  expect(await failureOf(open(url).publish(topic, { number: 1 }))).toMatchObject({
    codeName: "RESOURCE_EXHAUSTED",
    executed: "never",
  });
  expect(await failureOf(open(`${url}?user=low`, password).publish(topic, { number: 1 }))).toMatchObject({
    codeName: "PERMISSION_DENIED",
    executed: "never",
  });
});

test("redis: a stream that is deleted under its group begins anew", async () => {
  const server = await serve("redis");
  const { Redis } = await import("ioredis");
  const admin = new Redis(server.port, "127.0.0.1");
  cleanups.push(() => admin.disconnect());
  const broker = open(`redis://127.0.0.1:${server.port}`);
  const seen = new Recorder<number>();
  await broker.subscribe(topic, options, ({ number }) => seen.push(number));
  await broker.publish(topic, { number: 1 });
  await seen.until("the first", () => true);
  await admin.flushall();
  await broker.publish(topic, { number: 2 });
  await seen.until("the one behind", (number) => number === 2);
});

test("redis: what all groups have finished is trimmed, and nothing else", async () => {
  const server = await serve("redis");
  const { Redis } = await import("ioredis");
  const admin = new Redis(server.port, "127.0.0.1");
  cleanups.push(() => admin.disconnect());
  const broker = open(`redis://127.0.0.1:${server.port}`);
  let blocked = true;
  const slow = new Recorder<number>();
  await broker.subscribe(topic, { ...options, group: "slow", maxAttempts: 1_000_000 }, ({ number }) => {
    if (blocked && number === 0) throw new Error("not yet");
    slow.push(number);
  });
  const fast = new Recorder<number>();
  await broker.subscribe(topic, options, ({ number }) => fast.push(number));
  await Promise.all(Array.from({ length: 2000 }, (_, number) => broker.publish(topic, { number })));
  await fast.until("all", () => fast.values.length >= 2000);
  expect(await admin.xlen("mprpc:{faults.items}")).toBe(2000);
  blocked = false;
  await slow.until("all for the slow one", () => new Set(slow.values).size === 2000);
  await eventually("finished ones go", async () => (await admin.xlen("mprpc:{faults.items}")) < 200);
});

test("nats: dead letters that are deleted under their group are kept from then on", async () => {
  const server = await serve("nats");
  const broker = open(`nats://127.0.0.1:${server.port}`);
  const dead = new Recorder<string>();
  broker.events.on("deadLetter", ({ id }) => dead.push(id));
  await broker.subscribe(topic, { ...options, maxAttempts: 1, ackWaitMs: 30_000 }, () => {
    throw new Error("not this one");
  });
  const connection = await connect({ servers: `127.0.0.1:${server.port}` });
  cleanups.push(() => connection.close());
  await (await jetstreamManager(connection)).streams.delete("mprpc==faults=items");
  await broker.publish(topic, { number: 1 });
  await dead.until("the dead letter", () => true);
  const [letter] = await broker.deadLetters(topic, "g").list();
  expect(letter).toMatchObject({ error: expect.stringContaining("not this one") });
});

test("nats: without JetStream", async () => {
  const server = await serve("nats", "--no-jetstream");
  const broker = open(`nats://127.0.0.1:${server.port}`);
  for (const work of [broker.publish(topic, { number: 1 }), broker.subscribe(topic, options, () => {})]) {
    const error = await failureOf(work);
    expect(error).toMatchObject({ codeName: "FAILED_PRECONDITION", executed: "never" });
    expect(error.message).toContain("start nats-server with --jetstream --store_dir DIR");
  }
});

test("nats: a user who may not publish, and a message beyond max_payload", async () => {
  const password = canary();
  const conf = await writeConf(
    folder,
    `max_payload: 2000
     authorization { users = [
       { user: low, password: "${password}", permissions: { publish: ["nothing"], subscribe: ["_INBOX.>"] } },
       { user: high, password: "${password}" } ] }`,
  );
  const server = await serve("nats", "-c", conf);
  const url = `nats://127.0.0.1:${server.port}`;
  const denied = await failureOf(open(`${url}?user=low`, password).publish(topic, { number: 1 }));
  expect(denied).toMatchObject({ codeName: "PERMISSION_DENIED", executed: "never" });
  const large = open(`${url}?user=high`, password).publish(topic, { data: Buffer.alloc(3000) });
  const error = await failureOf(large);
  expect(error).toMatchObject({ codeName: "RESOURCE_EXHAUSTED", executed: "never" });
  expect(error.message).toContain("max_payload is 2000");
});
