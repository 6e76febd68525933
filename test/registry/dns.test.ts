import { createSocket, type Socket } from "node:dgram";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { silentLogger } from "../../src/log/logger.js";
import { RegistryError } from "../../src/registry/errors.js";
import { openRegistry } from "../../src/registry/open.js";
import type { Registry, Snapshot } from "../../src/registry/registry.js";
import { Dnsmasq, dnsmasqProgram } from "../tools/dnsmasq.js";
import { guarded, Recorder, timed } from "../tools/wait.js";
import { addresses, expectNoGap, registration } from "./conformance.js";

const users = "fixbug.UserServiceRpc";
const opened: Array<{ close(): Promise<void> }> = [];

beforeAll(() => void dnsmasqProgram());
afterAll(() => Promise.all(opened.map((one) => one.close())));

async function serve(...records: string[]): Promise<Dnsmasq> {
  const server = await Dnsmasq.start(...records);
  opened.push({ close: () => server.stop() });
  return server;
}

function open(url: string): { registry: Registry; warnings: string[] } {
  const warnings: string[] = [];
  const warn = (text: string) => void warnings.push(text);
  const registry = openRegistry(url, { log: { ...silentLogger, warn } });
  opened.push(registry);
  return { registry, warnings };
}

function follow(url: string, service = users) {
  const { registry, warnings } = open(url);
  const seen = new Recorder<Snapshot>();
  const troubles = new Recorder<RegistryError>();
  registry.watch(service, seen.push, troubles.push);
  return { registry, warnings, seen, troubles };
}

const shows =
  (...wanted: string[]) =>
  (snapshot: Snapshot) =>
    !snapshot.stale && addresses(snapshot).join() === wanted.join();

describe.concurrent("dns, on dnsmasq", { timeout: 120_000 }, () => {
  test("every address of a name is an endpoint, and changes are seen", async () => {
    const server = await serve("host-record=users.test,10.0.0.1", "host-record=users.test,10.0.0.2");
    const { seen, registry } = follow(`dns://users.test:8000?refresh=100ms&server=${server.address}`);
    const { endpoints } = await seen.until("two", shows("10.0.0.1:8000", "10.0.0.2:8000"));
    expect(endpoints[0]).toEqual({
      ...{ host: "10.0.0.1", port: 8000, protocol: "mprpc", weight: 1, attributes: {} },
    });
    expect(await registry.list()).toEqual([{ service: "*", endpoints }]);
    await server.restart("host-record=users.test,10.0.0.2", "host-record=users.test,10.0.0.3");
    await timed("changed", () => seen.until("the others", shows("10.0.0.2:8000", "10.0.0.3:8000")));
    expectNoGap(seen, "10.0.0.2:8000");
  });

  test("with tls= the servers of a name are shown as those that speak TLS", async () => {
    const server = await serve("host-record=users.test,10.0.0.1");
    const { seen } = follow(`dns://users.test:8000?tls=required&protocol=grpc&server=${server.address}`);
    const { endpoints } = await seen.until("one", shows("10.0.0.1:8000"));
    expect(endpoints[0]).toMatchObject({ protocol: "grpc", attributes: { tls: "required" } });
  });

  test("SRV records have ports and weights; those of the lowest priority that have an address count", async () => {
    const server = await serve(
      "srv-host=_mprpc._tcp.test,gone.test,1,0,1",
      "srv-host=_mprpc._tcp.test,a.test,8000,10,5",
      "srv-host=_mprpc._tcp.test,b.test,8001,10,0",
      "srv-host=_mprpc._tcp.test,spare.test,8002,20,1",
      ...["host-record=a.test,10.0.0.1", "host-record=b.test,10.0.0.2", "host-record=spare.test,10.0.0.3"],
    );
    const { seen } = follow(`dns:///_mprpc._tcp.test?srv=1&refresh=100ms&server=${server.address}`);
    const { endpoints } = await seen.until("two", shows("10.0.0.1:8000", "10.0.0.2:8001"));
    expect(endpoints.map(({ weight }) => weight)).toEqual([5, 1]);
    await server.restart("srv-host=_mprpc._tcp.test,spare.test,8002,20,1", "host-record=spare.test,10.0.0.3");
    await seen.until("the spare one", shows("10.0.0.3:8002"));
  });

  test("a name with IPv6 addresses alone; one with both counts once", async () => {
    const server = await serve("host-record=six.test,fd00::1", "host-record=both.test,10.0.0.1,fd00::2");
    const options = `?refresh=100ms&server=${server.address}`;
    await follow(`dns:///six.test:8000${options}`).seen.until("IPv6", shows("[fd00::1]:8000"));
    await follow(`dns:///both.test:8000${options}`).seen.until("IPv4", shows("10.0.0.1:8000"));
  });

  test("each service has its own name; what is not named has none", async () => {
    const server = await serve("host-record=users.test,10.0.0.1", "host-record=friends.test,10.0.0.2");
    const url = `dns://UserServiceRpc=users.test:8000,fixbug.FriendServiceRpc=friends.test:8001?server=${server.address}`;
    const { registry, seen } = follow(url);
    await seen.until("users", shows("10.0.0.1:8000"));
    const friends = new Recorder<Snapshot>();
    registry.watch("fixbug.FriendServiceRpc", friends.push);
    await friends.until("friends", shows("10.0.0.2:8001"));
    const others = new Recorder<Snapshot>();
    registry.watch("fixbug.Other", others.push);
    await others.until("none", shows());
  });

  test("an answer that there is nothing keeps the last list, stale", async () => {
    const server = await serve("host-record=users.test,10.0.0.1");
    const { seen, troubles, warnings } = follow(
      `dns://users.test:8000?refresh=100ms&server=${server.address}`,
    );
    await seen.until("one", shows("10.0.0.1:8000"));
    await server.restart();
    await troubles.until("no address", ({ message }) => message.includes("no address for users.test:8000"));
    expect(seen.last).toMatchObject({ stale: true, endpoints: [{ host: "10.0.0.1" }] });
    await server.restart("host-record=users.test,10.0.0.9");
    await seen.until("the new one", shows("10.0.0.9:8000"));
    expect(seen.values.every(({ endpoints }) => endpoints.length === 1)).toBe(true);
    expect(warnings).toContain("cannot look endpoints up in the DNS");
  });

  test("a name that is not known yet is waited for, and the reason is told", async () => {
    const server = await serve();
    const { seen, troubles, registry } = follow(
      `dns://users.test:8000?refresh=100ms&server=${server.address}`,
    );
    await troubles.until(
      "why",
      ({ code, message }) => code === "unreachable" && /is the name right/.test(message),
    );
    expect(await registry.list()).toEqual([]);
    expect(seen.values).toEqual([]);
    await server.restart("host-record=users.test,10.0.0.1");
    await seen.until("one", shows("10.0.0.1:8000"));
  });

  test("the server killed, and frozen: the list is kept, stale, and followed again", async () => {
    const server = await serve("host-record=users.test,10.0.0.1");
    const { seen, registry } = follow(`dns://users.test:8000?refresh=100ms&server=${server.address}`);
    await seen.until("one", shows("10.0.0.1:8000"));
    await server.kill();
    await seen.until("stale", ({ stale }) => stale);
    await expect(registry.list()).rejects.toMatchObject({ code: "unreachable" });
    await server.start("host-record=users.test,10.0.0.2");
    await seen.until("another", shows("10.0.0.2:8000"));
    server.suspend();
    await timed("frozen, stale", () => seen.until("stale", ({ stale }) => stale));
    server.resume();
    await timed("thawed, fresh", () => seen.until("fresh", shows("10.0.0.2:8000")));
    expect(seen.values.every(({ endpoints }) => endpoints.length === 1)).toBe(true);
  });

  test("answers cut short, garbage, and none at all keep the list; each recovers", async () => {
    const server = await serve("host-record=users.test,10.0.0.1");
    const proxy = await UdpProxy.start(server.port);
    opened.push({ close: async () => proxy.stop() });
    const { seen } = follow(`dns://users.test:8000?refresh=100ms&server=127.0.0.1:${proxy.port}`);
    await seen.until("one", shows("10.0.0.1:8000"));
    for (const [name, spoil] of spoiled) {
      proxy.spoil = spoil;
      await seen.until(`${name}: stale`, ({ stale }) => stale);
      proxy.spoil = (answer) => answer;
      await seen.until(`${name}: fresh`, shows("10.0.0.1:8000"));
    }
    expect(seen.values.every(({ endpoints }) => endpoints.length === 1)).toBe(true);
  });

  test("a provider that registers there is told that it does nothing, once", async () => {
    const { registry, warnings } = open("dns://users.test:8000");
    const handle = await registry.register(registration(8000));
    await registry.register(registration(8001));
    await handle.unregister();
    expect(warnings).toEqual([
      "dns:///users.test:8000 only looks services up: this provider is listed there by whoever keeps the zone, such as a headless service of Kubernetes, not by itself",
    ]);
    await registry.close();
    await expect(registry.list()).rejects.toMatchObject({ code: "closed" });
  });

  test("names of the system, such as localhost", async () => {
    const { seen } = follow("dns:///localhost:8000");
    const { endpoints } = await seen.until("localhost", ({ endpoints }) => endpoints.length > 0);
    expect(["127.0.0.1", "::1"]).toContain(endpoints[0]?.host);
  });

  test("closed while a name is looked up in vain, it says nothing more", async () => {
    const server = await serve();
    server.suspend();
    const { registry, seen, troubles } = follow(`dns://users.test:8000?server=${server.address}`);
    await guarded(registry.close(), "closed");
    expect(seen.values).toEqual([]);
    expect(troubles.values).toEqual([]);
    server.resume();
  });
});

test.each([
  ["dns://users", '"users" has no port; with srv=1'],
  ["dns:///", "it names nothing to look up"],
  ["dns://users:8000?srv=1", "the port comes from the SRV records: write users"],
  ["dns://users:8000?srv=2", "srv=2 is not 0 or 1"],
  ["dns://users:8000?tls=yes", "tls=yes is not required or optional"],
  ["dns://users:8000?refresh=1ms", "refresh=1ms is not a time of 100ms or more"],
  ["dns://users:8000?server=ns.example", "server=ns.example is not the numeric address of a name server"],
  ["dns://users:8000?ttl=1", 'unknown option "ttl" (known: refresh, server, srv, tls, protocol, dialect)'],
  ["dns://users:8000?protocol=http", 'protocol "http" is not mprpc, grpc or classic'],
  ["dns://a:1,b:2", "every service has two names; one name has all its instances"],
  ["dns://a b=x:1", '"a b" is not a service name'],
])("%s is refused", (url, reason) => {
  const refuse = () => openRegistry(url.replace(" ", "%20"));
  expect(refuse).toThrow(RegistryError);
  expect(refuse).toThrow(reason.replace(" b", "%20b"));
});

const spoiled: ReadonlyArray<[name: string, spoil: (answer: Buffer) => Buffer | undefined]> = [
  ["cut short", (answer) => answer.subarray(0, answer.length - 7)],
  ["garbage", (answer) => Buffer.concat([answer.subarray(0, 12), Buffer.alloc(64, 0xff)])],
  ["lost", () => undefined],
];

/** Passes questions on, and what it likes of the answers. */
class UdpProxy {
  spoil: (answer: Buffer) => Buffer | undefined = (answer) => answer;
  readonly #socket: Socket;
  readonly #upstreams = new Set<Socket>();

  private constructor(socket: Socket, targetPort: number) {
    this.#socket = socket;
    socket.on("message", (question, { port }) => {
      const upstream = createSocket("udp4");
      this.#upstreams.add(upstream);
      upstream.on("message", (answer) => {
        const passed = this.spoil(answer);
        if (passed !== undefined) this.#socket.send(passed, port, "127.0.0.1");
        this.#upstreams.delete(upstream);
        upstream.close();
      });
      upstream.send(question, targetPort, "127.0.0.1");
    });
  }

  static async start(targetPort: number): Promise<UdpProxy> {
    const socket = createSocket("udp4");
    await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
    return new UdpProxy(socket, targetPort);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  stop(): void {
    this.#socket.close();
    for (const upstream of this.#upstreams) upstream.close();
  }
}
