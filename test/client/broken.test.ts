import { describe, expect, test } from "vitest";
import { Kind } from "../../src/protocol/mprpc/wire/header.js";
import { settle } from "../../src/testing/index.js";
import { failure } from "../support/async.js";
import { Cluster } from "../support/cluster.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { controlFrame, RawPeer, replyFrame, settingsFrame } from "../support/raw-peer.js";

type Behaviour = (peer: RawPeer, callId: number) => void;

const behaviours: Record<string, Behaviour> = {
  "answers with malformed bytes": (peer) => peer.send(Buffer.alloc(4)),
  "answers each call twice": (peer, id) => peer.send(replyFrame({ id }), replyFrame({ id })),
  "answers a call nobody made": (peer, id) => peer.send(replyFrame({ id: id + 1 })),
  "goes away at the first call of each connection, and never answers it": (peer) =>
    peer.send(controlFrame(Kind.GOING_AWAY, 0, { acceptedCalls: 1 })),
  "says that it took more calls than were sent": (peer) =>
    peer.send(controlFrame(Kind.GOING_AWAY, 0, { acceptedCalls: 1000 })),
  "closes each connection at its first call": (peer) => peer.connection.end(),
  "resets each connection at its first call": (peer) => peer.connection.reset(),
};

/** A provider that welcomes its callers and then behaves so at each call. */
async function brokenProvider(cluster: Cluster, runtime: ReturnType<Cluster["runtime"]>, behave: Behaviour) {
  let connections = 0;
  const listener = await cluster.transport.listen({ host: "127.0.0.1", port: 0 }, (connection) => {
    connections++;
    const peer = new RawPeer(connection);
    peer.send(settingsFrame(1000));
    const answered = new Set<number>();
    const answer = async (): Promise<void> => {
      while (!peer.closed && !peer.ended) {
        await peer.until("a call", () => {
          const open = peer.frames.find((one) => one.kind === Kind.CALL && !answered.has(one.callId));
          if (open === undefined) return peer.closed || peer.ended;
          answered.add(open.callId);
          behave(peer, open.callId);
          return true;
        });
      }
    };
    void answer();
    cluster.onClose(async () => peer.connection.destroy());
  });
  cluster.onClose(() => listener.close());
  const { address } = listener;
  await runtime.registry.register({ service: "probe.ProbeService", methods: ["Echo"], address });
  return {
    address,
    get connections() {
      return connections;
    },
  };
}

describe.each(Object.entries(behaviours))("a provider that %s", (_what, behave) => {
  test("is in backoff as one that is down: calls meet it now and then only", async () => {
    const cluster = new Cluster({});
    const runtime = cluster.runtime();
    const broken = await brokenProvider(cluster, runtime, behave);
    const stub = new ProbeServiceStub(cluster.channel({}, runtime));
    const errors: string[] = [];
    // Two calls every 10 ms for five seconds.
    for (let i = 0; i < 500; i++) {
      for (let j = 0; j < 2; j++)
        void stub.echo({}, { timeoutMs: 1000 }).catch((error) => errors.push(String(error)));
      await cluster.clock.run(10);
    }
    expect(errors.length).toBeGreaterThan(900);
    // Delays of 1 s and more between them, and a probe a second when there is no other.
    expect(broken.connections).toBeLessThan(10);
    const down = /every endpoint of probe\.ProbeService is down: 127\.0\.0\.1:\d+ /;
    expect(errors.filter((text) => down.test(text)).length).toBeGreaterThan(800);
  });

  test("keeps no share beside a good one", async () => {
    const cluster = new Cluster({});
    const runtime = cluster.runtime();
    const broken = await brokenProvider(cluster, runtime, behave);
    await cluster.provider();
    const stub = new ProbeServiceStub(cluster.channel({}, runtime));
    let [served, failed] = [0, 0];
    for (let i = 0; i < 500; i++) {
      void stub.echo({}, { timeoutMs: 1000 }).then(
        () => served++,
        () => failed++,
      );
      await cluster.clock.run(10);
    }
    await settle();
    expect(broken.connections).toBeLessThan(8);
    expect(failed).toBeLessThan(8);
    expect(served).toBeGreaterThan(490);
  });
});

test("a connection that goes away, on which nobody waits for anything any more, does not stay", async () => {
  const cluster = new Cluster({});
  const runtime = cluster.runtime();
  const peers: RawPeer[] = [];
  await brokenProvider(cluster, runtime, (peer) => {
    peers.push(peer);
    peer.send(controlFrame(Kind.GOING_AWAY, 0, { acceptedCalls: 1 }));
  });
  const stub = new ProbeServiceStub(cluster.channel({}, runtime));
  const call = failure(stub.echo({}, { timeoutMs: 500 }));
  await cluster.clock.run(600);
  expect(await call).toMatchObject({ codeName: "DEADLINE_EXCEEDED" });
  // The cancel is not answered, the pings would be.
  await peers[0]?.end();
  expect(peers[0]?.frames.map(({ kind }) => kind)).toContain(Kind.CANCEL);
});

test("a provider that is mended is used again", async () => {
  const cluster = new Cluster({});
  const runtime = cluster.runtime();
  let isBroken = true;
  await brokenProvider(cluster, runtime, (peer, id) =>
    isBroken ? peer.send(Buffer.alloc(4)) : peer.send(replyFrame({ id, body: { text: "good" } })),
  );
  const stub = new ProbeServiceStub(cluster.channel({}, runtime));
  for (let i = 0; i < 20; i++) {
    void stub.echo({}).catch(() => {});
    await cluster.clock.run(500);
  }
  isBroken = false;
  await cluster.clock.run(130_000);
  const call = stub.echo({});
  await cluster.clock.run(100);
  expect((await call).text).toBe("good");
});

test("a connection that is lost once with its first call on it is made anew at once", async () => {
  const cluster = new Cluster({});
  const runtime = cluster.runtime();
  let losses = 0;
  await brokenProvider(cluster, runtime, (peer, id) =>
    losses++ === 0 ? peer.connection.reset() : peer.send(replyFrame({ id, body: { text: "good" } })),
  );
  const stub = new ProbeServiceStub(cluster.channel({}, runtime));
  await expect(stub.echo({})).rejects.toMatchObject({ codeName: "UNAVAILABLE" });
  expect((await stub.echo({})).text).toBe("good");
});
