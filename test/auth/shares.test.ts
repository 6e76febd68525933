import net from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Address, RpcProvider, Status } from "../../src/index.js";
import { encodeMessage } from "../../src/protobuf/types.js";
import { writeClassicRequest } from "../../src/protocol/classic/classic-wire.js";
import { settle } from "../../src/testing/index.js";
import type { Transport } from "../../src/transport/transport.js";
import { framed, RawClient } from "../grpc/raw.js";
import type { Side } from "../protocol/http2/pair.js";
import { failure } from "../support/async.js";
import { Cluster, type ClusterOptions } from "../support/cluster.js";
import { Blob, ProbeService, ProbeServiceStub } from "../support/gen/probe.js";
import { callFrame, callId, echoNames, RawPeer, settingsFrame } from "../support/raw-peer.js";

type ProviderSettings = NonNullable<ClusterOptions["settings"]>["provider"];

/** How much is replied to a request with this text: more than a connection in memory, and the window of a stream of gRPC, take at once. */
const replyBytes: Readonly<Record<string, number>> = { large: 270 * 1024, huge: 600 * 1024 };

async function start(provider: ProviderSettings, options: ClusterOptions = {}) {
  const cluster = new Cluster({ settings: { provider }, ...options });
  const waiting: Array<() => void> = [];
  const served: string[] = [];
  const own = new RpcProvider(cluster.runtime());
  own.notifyService(ProbeService, {
    echo(request, { peer }) {
      served.push(peer.protocol);
      const bytes = replyBytes[request.text];
      return bytes === undefined ? request : { data: Buffer.alloc(bytes) };
    },
    relay: (request) => new Promise((resolve) => waiting.push(() => resolve(request))),
    note: (request) => request,
  });
  cluster.onClose(() => own.shutdown());
  await own.start();
  const address = own.address as Address;
  /** A caller with a connection of its own. */
  const caller = (identity: string): ProbeServiceStub => {
    const runtime = cluster.runtime({ transport: cluster.network.as(identity) });
    return new ProbeServiceStub(cluster.channel({}, runtime));
  };
  /** Another connection of that one, which makes no call; gives whether it may stay. */
  const connection = async (identity: string | undefined): Promise<RawPeer> => {
    const transport = identity === undefined ? cluster.network : cluster.network.as(identity);
    const peer = await RawPeer.connect(transport, address);
    peer.send(settingsFrame());
    await settle();
    return peer;
  };
  return { cluster, provider: own, address, caller, connection, waiting, served };
}

const staying = (peers: readonly RawPeer[]): RawPeer[] =>
  peers.filter(({ ended, closed }) => !ended && !closed);

describe("the connections of a provider", () => {
  test("are taken by one identity up to three quarters: others behind the same address find room", async () => {
    const { cluster, caller, connection } = await start({ connectionsMax: 8 });
    const greedy: RawPeer[] = [];
    for (let at = 0; at < 20; at++) greedy.push(await connection("secret:greedy"));
    expect(cluster.log.at("warn")).toContain(
      "caller turned away: secret:greedy has 6 connections open, its share of the 8 that are nearly all taken (provider.maxconnections, provider.maxconnectionspercaller)",
    );
    await caller("secret:honest").echo({});
    const refused = await failure(caller("secret:greedy").echo({}, { timeoutMs: 100 }));
    expect(refused.message).toContain("its share of the 8");
    await caller("secret:honest").echo({});
  });

  test("are shared evenly as soon as there are two, and what one gives back goes to the other", async () => {
    const { caller, connection } = await start({ connectionsMax: 8 });
    const first = await connection("secret:honest");
    const greedy: RawPeer[] = [];
    for (let at = 0; at < 20; at++) greedy.push(await connection("secret:greedy"));
    // Five and the one of the other are three quarters; from then on, four are the share of each.
    const open = staying(greedy);
    expect(open.length).toBe(5);
    const others = [first, await connection("secret:honest"), await connection("secret:honest")];
    expect(staying(others)).toHaveLength(3);
    open[0]?.connection.destroy();
    await settle();
    const again = await failure(caller("secret:greedy").echo({}, { timeoutMs: 100 }));
    expect(again.message).toContain("its share of the 8");
    await caller("secret:honest").echo({});
  });

  test("are no more of one than the operator says, who may also say: all of them", async () => {
    const { connection } = await start({ connectionsMax: 8, connectionsPerCallerMax: 8 });
    const all = await Promise.all(Array.from({ length: 10 }, () => connection("secret:proxy")));
    await settle();
    expect(staying(all)).toHaveLength(8);
  });

  test("over TCP, without an identity: an address takes nothing from another", async () => {
    const { provider, cluster } = await start({ connectionsMax: 8 }, { tcp: true });
    const { port } = provider.address as Address;
    const sockets: net.Socket[] = [];
    for (let at = 0; at < 30; at++) {
      const socket = net.connect({ host: "127.0.0.1", port, localAddress: "127.0.0.2" });
      onTestFinished(() => void socket.destroy());
      socket.on("error", () => {});
      socket.write(settingsFrame());
      sockets.push(socket);
    }
    // Within a second only 20 of them have a line, and the others one together.
    const refused = (): number =>
      cluster.log
        .at("warn")
        .reduce((sum, line) => sum + Number(/^connection refused: (\d+) more/.exec(line)?.[1] ?? 1), 0);
    await expect.poll(refused).toBe(24);
    expect(cluster.log.at("warn")[0]).toContain("127.0.0.2 has 6 connections open, its share of the 8");
    const stub = new ProbeServiceStub(cluster.channel());
    expect((await stub.echo({ text: "honest" })).text).toBe("honest");
    for (const socket of sockets) socket.destroy();
    await expect.poll(() => provider.connections).toBe(1);
  });
});

describe("the calls of a provider", () => {
  test("go to a caller that found none free, before the one that had all of them gets more", async () => {
    const { cluster, caller, waiting } = await start({ inFlightMax: 20 });
    const [greedy, modest] = [caller("secret:greedy"), caller("secret:modest")];
    const taken = Array.from({ length: 20 }, () => greedy.relay({}, { timeoutMs: 60_000 }));
    await settle();
    expect((await failure(modest.echo({}))).rawMessage).toContain("20 calls are in flight");
    waiting.shift()?.();
    await taken.shift();
    const again = await failure(greedy.echo({}));
    expect(again).toMatchObject({ code: Status.RESOURCE_EXHAUSTED, executed: "never" });
    expect(again.rawMessage).toContain("secret:greedy has 19 calls in flight, its share of the 20");
    await modest.echo({});
    // It has asked for no more.
    await cluster.clock.run(1000);
    await greedy.echo({});
    for (const go of waiting) go();
    await Promise.all(taken);
  });
});

const text = (sizes: string): RegExp => new RegExp(`bytes wait to be sent on the connections of ${sizes}`);

describe("bytes that one caller leaves unread, on all its connections", () => {
  const limit = { unreadPerCallerMaxBytes: 300 * 1024 };

  test("refuse its further calls, also on a connection that it reads, and no calls of others", async () => {
    const { caller, connection, served } = await start(limit);
    const [good, other] = [caller("secret:a"), caller("secret:b")];
    await good.echo({});
    const lazy = [await connection("secret:a"), await connection("secret:a")];
    for (const peer of lazy) {
      peer.connection.pause();
      peer.send(callFrame({ id: callId(1), index: 1, rare: echoNames, body: { text: "large" } }));
      await settle();
    }
    // Each has left one reply: together they are over the limit, none is alone.
    const error = await failure(good.echo({}));
    expect(error).toMatchObject({ code: Status.RESOURCE_EXHAUSTED, executed: "never" });
    expect(error.rawMessage).toMatch(
      text("secret:a, over the limit of 307200 \\(provider.unreadpercaller\\)"),
    );
    const before = served.length;
    lazy[0]?.send(callFrame({ id: callId(2), index: 1, rare: echoNames }));
    await settle();
    expect(served.length).toBe(before);
    await other.echo({});
    for (const peer of lazy) peer.connection.resume();
    await expect.poll(() => good.echo({ text: "read" }).then(({ text }) => text, String)).toBe("read");
  });

  test("count when a caller of gRPC gives no credit", async () => {
    const { cluster, address, caller, served } = await start(limit);
    const as = cluster.network.as("secret:a");
    const client = await RawClient.connect(as, address, cluster.clock);
    const head = { ":path": "/probe.ProbeService/Echo", "content-type": "application/grpc", te: "trailers" };
    const ask = (body: string): Side => {
      const side = client.request(head, framed(encodeMessage(Blob, { text: body })));
      side.onBytes = undefined;
      return side;
    };
    const sides = Array.from({ length: 3 }, () => ask("huge"));
    await settle();
    const refused = sides.filter(
      ({ headers }) => headers?.["grpc-status"] === String(Status.RESOURCE_EXHAUSTED),
    );
    expect(refused.length).toBeGreaterThan(0);
    expect(decodeURIComponent(refused[0]?.headers?.["grpc-message"] ?? "")).toMatch(text("secret:a"));
    expect(served).toHaveLength(sides.length - refused.length);
    expect((await failure(caller("secret:a").echo({}))).rawMessage).toMatch(text("secret:a"));
    await caller("secret:b").echo({});
    client.session.close("it leaves");
    await settle();
    await caller("secret:a").echo({});
  });

  test("of a classic caller count for its address: its connection is reset, as the wire has no reason", async () => {
    const { cluster, address, caller, served } = await start(limit);
    const lazy = await RawPeer.connect(cluster.network as Transport, address, false);
    lazy.connection.pause();
    const request = writeClassicRequest("framed", "ProbeService", "Echo", (writer) =>
      Blob.encode({ text: "large" }, writer),
    );
    for (let at = 0; at < 6; at++) {
      lazy.send(request);
      await settle();
    }
    expect(served.length).toBeLessThan(6);
    lazy.connection.resume();
    await lazy.until("the end", () => lazy.closed || lazy.ended);
    expect(cluster.log.at("warn").join("\n")).toMatch(text("127.0.0.1"));
    await caller("secret:b").echo({});
  });
});
