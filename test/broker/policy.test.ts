import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { parsePolicyFile } from "../../src/auth/policy.js";
import { Broker, type BrokerOptions, defineTopic, MemoryStore } from "../../src/broker/index.js";
import { type CallContext, RpcProvider } from "../../src/index.js";
import { failure } from "../support/async.js";
import { Cluster, type ClusterOptions } from "../support/cluster.js";
import { Item } from "../support/gen/flow.js";
import { ProbeService, ProbeServiceStub } from "../support/gen/probe.js";
import { Recorder } from "../tools/wait.js";

const created = defineTopic("orders.created", Item);
const paid = defineTopic("orders.paid", Item);
const stock = defineTopic("stock", Item);

/** A broker of a process that proves to be `identity`, and others on the same messages. */
function start(policy: BrokerOptions["policy"], identity?: string, more: ClusterOptions = {}) {
  const cluster = new Cluster(more);
  const memory = new MemoryStore(cluster.clock);
  const open = (options: BrokerOptions, as?: string): Broker => {
    const transport = as === undefined ? cluster.network : cluster.network.as(as);
    const broker = new Broker(cluster.runtime({ transport }), { memory, ...options });
    cluster.onClose(() => broker.close());
    return broker;
  };
  return { cluster, open, broker: open(policy === undefined ? {} : { policy }, identity) };
}

const denied = (text: string) => ({ codeName: "PERMISSION_DENIED", executed: "never", rawMessage: text });

describe("rules for topics", () => {
  test("without any, everything may be published and subscribed to, whatever calls may do", async () => {
    const { broker, cluster } = start({ "*": "none" }, "secret:web");
    await broker.publish(created, { number: 1 });
    const seen = new Recorder<number>();
    await broker.subscribe(created, { group: "g" }, ({ number }) => seen.push(number));
    await cluster.clock.run(0);
    await seen.until("the message", () => true);
  });

  test("with one, what none allows is refused: publish, subscribe, seek and dead letters", async () => {
    const { broker, cluster } = start({ "topic:orders.created/publish": "secret:orders" }, "secret:orders");
    await broker.publish(created, { number: 1 });
    const subscribing =
      "subscribe to orders.created is not allowed to this process, secret:orders (the rule for topic:orders.created/subscribe in [authz] or auth.policy)";
    expect(await failure(broker.subscribe(created, { group: "g" }, () => {}))).toMatchObject(
      denied(subscribing),
    );
    expect(await failure(broker.seek(created, "g", "first"))).toMatchObject(denied(subscribing));
    expect(await failure(broker.deadLetters(created, "g").list())).toMatchObject(denied(subscribing));
    expect(await failure(broker.publish(stock, { number: 1 }))).toMatchObject(
      denied(
        "publish to stock is not allowed to this process, secret:orders (the rule for topic:stock/publish in [authz] or auth.policy)",
      ),
    );
    expect(cluster.log.at("warn").join("\n")).toContain(
      "denied: topic:orders.created/subscribe to secret:orders",
    );
  });

  test("the most specific decides: by name first, then by what is done", async () => {
    const { broker } = start(
      {
        "topic:*": "none",
        "topic:orders.*": "secret:a",
        "topic:orders.*/subscribe": "secret:b",
        "topic:orders.paid": "secret:c",
      },
      "secret:a",
    );
    await broker.publish(created, { number: 1 });
    for (const refused of [
      broker.subscribe(created, { group: "g" }, () => {}),
      broker.publish(paid, { number: 1 }),
      broker.publish(stock, { number: 1 }),
    ]) {
      expect(await failure(refused)).toMatchObject({ codeName: "PERMISSION_DENIED" });
    }
  });

  test("a process that proves nothing is inproc:node", async () => {
    const { broker, open } = start({ "topic:*": "inproc:node" });
    await broker.publish(created, { number: 1 });
    const other = open({ policy: { "topic:*": "secret:*" } });
    expect(await failure(other.publish(created, { number: 1 }))).toMatchObject(
      denied(
        "publish to orders.created is not allowed to this process, inproc:node (the rule for topic:orders.created/publish in [authz] or auth.policy)",
      ),
    );
  });

  test("interceptors do not see what is refused, events do", async () => {
    const seen: string[] = [];
    const { open } = start(undefined);
    const guarded = open({
      policy: { "topic:stock": "any" },
      interceptors: {
        publish: [
          (next) => (event) => {
            seen.push(event.topic.name);
            return next(event);
          },
        ],
      },
    });
    const ends: string[] = [];
    guarded.events.on("publishEnd", ({ event, code }) => ends.push(`${event.topic.name} ${code}`));
    guarded.events.on("denied", ({ topic, action, peer, error }) =>
      ends.push(`${topic.name} ${action} ${peer.identities.transport} ${error.codeName}`),
    );
    await guarded.publish(stock, { number: 1 });
    await failure(guarded.publish(paid, { number: 1 }));
    expect(seen).toEqual(["stock"]);
    expect(ends).toEqual(["stock 0", "orders.paid publish inproc:node PERMISSION_DENIED", "orders.paid 7"]);
  });

  test("wrong ones are told when the broker is made", () => {
    const { open } = start(undefined);
    expect(() => open({ policy: { "topic:orders": "everybody" } })).toThrow(/policy: expected any, none/);
    for (const pattern of ["topic:", "topic:a..b", "topic:a.*.b", "topic:a/read", "topic:*.a", "topics:a"]) {
      expect(() => open({ policy: { [pattern]: "any" } }), pattern).toThrow(/topic:NAME/);
    }
  });
});

describe("on behalf of a caller", () => {
  /** A service whose handler publishes for whoever calls it. */
  async function relay(policy: BrokerOptions["policy"], caller: string) {
    const { cluster, broker } = start(policy, "secret:gateway");
    const provider = new RpcProvider(cluster.runtime());
    const run = async (onBehalfOf: CallContext["peer"] | undefined) => {
      await broker.publish(created, { number: 1 }, { onBehalfOf });
      return {};
    };
    provider.notifyService(ProbeService, {
      echo: (_request, { peer }) => run(peer),
      relay: () => run(undefined),
      note: (request) => request,
    });
    await provider.start();
    cluster.onClose(() => provider.shutdown());
    const runtime = cluster.runtime({ transport: cluster.network.as(caller) });
    return { stub: new ProbeServiceStub(cluster.channel({}, runtime)), broker, cluster };
  }

  test("both must be allowed: the process and the caller", async () => {
    const rules = { "topic:orders.created/publish": "secret:gateway | secret:web" };
    const { stub: allowed } = await relay(rules, "secret:web");
    await allowed.echo({});
    const { stub, cluster } = await relay(rules, "secret:stranger");
    expect(await failure(stub.echo({}))).toMatchObject({
      codeName: "PERMISSION_DENIED",
      rawMessage: expect.stringContaining(
        "publish to orders.created is not allowed to secret:stranger (the rule for topic:orders.created/publish",
      ),
    });
    expect(cluster.log.at("warn").join("\n")).toContain(
      "denied: topic:orders.created/publish to secret:stranger",
    );
    const { stub: closed } = await relay({ "topic:*": "secret:web" }, "secret:web");
    expect(await failure(closed.echo({}))).toMatchObject({
      rawMessage: expect.stringContaining("is not allowed to this process, secret:gateway"),
    });
  });

  test("what a handler publishes of its own is the process's", async () => {
    const { stub } = await relay({ "topic:*": "secret:gateway" }, "secret:stranger");
    await stub.relay({});
    expect(await failure(stub.echo({}))).toMatchObject({ codeName: "PERMISSION_DENIED" });
  });

  test("a subscription as well", async () => {
    const { broker } = start({ "topic:*": "secret:gateway | jwt:idp#alice" }, "secret:gateway");
    const peer = (token: string) => ({ address: "-", protocol: "mprpc", identities: { token } });
    const subscribe = (token: string) =>
      broker.subscribe(created, { group: "feed", onBehalfOf: peer(token) }, () => {});
    await subscribe("jwt:idp#alice");
    expect(await failure(subscribe("jwt:idp#bob"))).toMatchObject(
      denied(
        "subscribe to orders.created is not allowed to jwt:idp#bob (the rule for topic:orders.created/subscribe in [authz] or auth.policy)",
      ),
    );
    const wrong = broker.publish(created, {}, { onBehalfOf: "jwt:idp#bob" as never });
    await expect(wrong).rejects.toThrow(TypeError);
  });
});

describe("rules in a file", () => {
  test("are read again: a subscription that they no longer allow ends, its messages go to others", async () => {
    const home = mkdtempSync(path.join(tmpdir(), "mprpc-topics-"));
    onTestFinished(() => rmSync(home, { recursive: true, force: true }));
    const file = path.join(home, "authz.conf");
    const put = (text: string): void => {
      writeFileSync(`${file}.draft`, text);
      renameSync(`${file}.draft`, file);
    };
    put("topic:orders.* = secret:a | secret:b");
    const policy = { file, parse: (text: string) => parsePolicyFile(text, file) };
    const { broker, open, cluster } = start(undefined, "secret:a", { settings: { auth: { policy } } });
    const { clock } = cluster;
    const first = new Recorder<number>();
    const leaving = await broker.subscribe(created, { group: "g" }, ({ number }) => first.push(number));
    await broker.publish(created, { number: 1 });
    await clock.run(0);
    await first.until("the first", (number) => number === 1);
    put("topic:orders.*/subscribe = secret:b\ntopic:orders.*/publish = secret:a");
    await clock.run(5000);
    await leaving.close();
    await broker.publish(created, { number: 2 });
    const second = new Recorder<number>();
    await open({}, "secret:b").subscribe(created, { group: "g" }, ({ number }) => second.push(number));
    await clock.run(0);
    await second.until("the second", (number) => number === 2);
    expect(first.values).toEqual([1]);
    expect(cluster.log.at("warn").join("\n")).toContain("denied: topic:orders.created/subscribe to secret:a");
    put("nonsense");
    await clock.run(5000);
    await broker.publish(created, { number: 3 });
  });
});
