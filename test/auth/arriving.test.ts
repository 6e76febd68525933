import { describe, expect, test } from "vitest";
import { type Address, OutgoingStream, Status } from "../../src/index.js";
import { FrameEncoder } from "../../src/protocol/mprpc/wire/frame-encoder.js";
import { settle } from "../../src/testing/index.js";
import { RawClient } from "../grpc/raw.js";
import type { Side } from "../protocol/http2/pair.js";
import { deferred, failure } from "../support/async.js";
import type { ClusterOptions, Over } from "../support/cluster.js";
import { FlowServiceStub, type Item } from "../support/gen/flow.js";
import { callId, chunkFrame, RawPeer, settingsFrame } from "../support/raw-peer.js";
import { startGuarded, token } from "./guarded.js";

const MiB = 1024 * 1024;
const check = { ":path": "/grpc.health.v1.Health/Check", "content-type": "application/grpc", te: "trailers" };
const echo = { ...check, ":path": "/probe.ProbeService/Echo" };

const statuses = (sides: readonly Side[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { headers } of sides) {
    const key = headers?.["grpc-status"] ?? "open";
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
};

describe("requests over gRPC that are never whole", () => {
  async function start(settings: ClusterOptions["settings"]) {
    const pair = await startGuarded({ policy: { "*": "none", "probe.*": "secret:*" } }, undefined, {
      over: "grpc",
      ...(settings === undefined ? {} : { settings }),
    });
    const { cluster, provider, clock } = pair;
    const clientOf = async (identity?: string) => {
      const client = await RawClient.connect(
        cluster.network.as(identity),
        provider.address as Address,
        clock,
      );
      // Its limit of streams is known.
      await settle();
      return client;
    };
    return { ...pair, clientOf };
  }

  test("are few of one caller, and others begin theirs", async () => {
    const { clientOf, provider } = await start({ provider: { inFlightMax: 1000 } });
    const sides: Side[] = [];
    for (let at = 0; at < 3; at++) {
      const client = await clientOf();
      for (let call = 0; call < 400; call++) sides.push(client.request(check));
      await settle();
    }
    // Three quarters of 1,024.
    expect(statuses(sides)).toEqual({ open: 768, [Status.RESOURCE_EXHAUSTED]: 432 });
    expect(provider.inFlight).toBe(768);
    expect(sides.at(-1)?.headers?.["grpc-message"]).toMatch(
      / has 768 calls whose requests or tokens are not complete, its share of the 1024 there may be/,
    );
    const other = await clientOf("secret:other");
    const whole = other.request(check, Buffer.alloc(5));
    await whole.over;
    expect(whole.trailers?.["grpc-status"] ?? whole.headers?.["grpc-status"]).toBe("0");
  });

  test("are refused by the thousand, and the connection goes on when the rest of them comes", async () => {
    const { clientOf } = await start({ provider: { inFlightMax: 1000, inFlightPerConnectionMax: 8192 } });
    const client = await clientOf();
    const sides = Array.from({ length: 4000 }, () => client.request(check));
    for (const { stream } of sides) stream?.write(Buffer.alloc(5), true);
    for (let turn = 0; turn < 20; turn++) await settle();
    expect([client.goAway, client.closed]).toEqual([undefined, undefined]);
    const counts = statuses(sides);
    expect(counts[Status.RESOURCE_EXHAUSTED]).toBe(4000 - 768);
    const whole = client.request(check, Buffer.alloc(5));
    await whole.over;
    expect(whole.trailers?.["grpc-status"] ?? whole.headers?.["grpc-status"]).toBe("0");
  });

  test("end when they make no progress, and those that make some go on", async () => {
    const { clientOf, clock, provider } = await start({});
    const client = await clientOf();
    const sides = Array.from({ length: 10 }, () => client.request(check));
    const slow = client.request({ ...check });
    await settle();
    await clock.run(9000);
    expect(statuses(sides)).toEqual({ open: 10 });
    await clock.run(4000);
    expect(statuses(sides)).toEqual({ [Status.UNAVAILABLE]: 10 });
    expect(sides[0]?.headers?.["grpc-message"]).toBe("the request made no progress for 10000 ms");
    expect(provider.inFlight).toBe(0);
    expect(statuses([slow])).toEqual({ [Status.UNAVAILABLE]: 1 });
    const [moving, still] = [client.request(check), client.request(check)];
    for (let second = 0; second < 100; second++) {
      // A prefix of 200 bytes, and then one byte after the other.
      moving.stream?.write(second === 0 ? Buffer.of(0, 0, 0, 0, 200) : Buffer.of(0), false);
      await settle();
      await clock.run(1000);
      if (second === 40) expect(statuses([moving, still])).toEqual({ open: 2 });
    }
    // It may wait for its turn, and not for ever.
    expect(statuses([moving, still])).toEqual({ open: 1, [Status.UNAVAILABLE]: 1 });
  });

  test("hold no more metadata than limits.arrivingbytes on a connection, and give it back", async () => {
    const { clientOf, clock } = await start({ limits: { arrivingMaxBytes: 4 * MiB } });
    const client = await clientOf();
    const head = { ...check, pad: "p".repeat(50_000) };
    for (let round = 0; round < 2; round++) {
      const sides: Side[] = [];
      for (let at = 0; at < 120; at++) {
        sides.push(client.request(head));
        if (at % 20 === 0) await settle();
      }
      await settle();
      expect(statuses(sides)).toEqual({ open: 83, [Status.RESOURCE_EXHAUSTED]: 37 });
      expect(sides.at(-1)?.headers?.["grpc-message"]).toContain("(limits.arrivingbytes");
      await clock.run(13_000);
      expect(statuses(sides)[Status.UNAVAILABLE]).toBe(83);
    }
  });

  test("take only a share of provider.streambuffer with their metadata", async () => {
    const { clientOf, clock } = await start({ provider: { streamBufferBytes: MiB } });
    const [one, another] = [await clientOf(), await clientOf()];
    const head = { ...check, pad: "p".repeat(50_000) };
    for (let round = 0; round < 2; round++) {
      const sides: Side[] = [];
      for (let at = 0; at < 30; at++) {
        sides.push((at % 2 === 0 ? one : another).request(head));
        await settle();
      }
      // The one that goes over it is kept.
      expect(statuses(sides)).toEqual({ open: 16, [Status.RESOURCE_EXHAUSTED]: 14 });
      const other = (await clientOf("secret:other")).request(head);
      await settle();
      expect(statuses([other])).toEqual({ open: 1 });
      await clock.run(13_000);
    }
  });

  test("take only a share of provider.streambuffer with their bodies: larger requests of others come through", async () => {
    const { clientOf } = await start({ provider: { streamBufferBytes: 4 * MiB } });
    const part = Buffer.alloc(250_000, 0x41);
    part.writeUInt32BE(260_000, 1);
    part[0] = 0;
    const sides: Side[] = [];
    for (let at = 0; at < 3; at++) {
      const client = await clientOf("secret:greedy");
      for (let call = 0; call < 6; call++) {
        const side = client.request(echo);
        sides.push(side);
        side.stream?.write(part, false);
        await settle();
      }
    }
    const counts = statuses(sides);
    expect(counts[Status.RESOURCE_EXHAUSTED]).toBeGreaterThan(3);
    expect(counts.open).toBeGreaterThan(8);
    const honest = await clientOf("secret:honest");
    const side = honest.request(echo);
    side.stream?.write(part, false);
    await settle();
    expect(statuses([side])).toEqual({ open: 1 });
    const rest = Buffer.alloc(260_005 - part.length, 0x41);
    side.stream?.write(rest, true);
    await side.over;
    // It is no message, but it has arrived.
    expect(side.headers?.["grpc-status"]).toBe(String(Status.INTERNAL));
  });

  test("are small where they are for built-in services, to which strangers may speak", async () => {
    const { clientOf, provider } = await start({});
    const side = (await clientOf()).request(check);
    const part = Buffer.alloc(140_000);
    part.writeUInt32BE(1_000_000, 1);
    side.stream?.write(part, false);
    await side.over;
    expect(side.headers?.["grpc-status"]).toBe(String(Status.RESOURCE_EXHAUSTED));
    expect(side.headers?.["grpc-message"]).toContain("over the limit of 131072 for built-in services");
    expect(provider.inFlight).toBe(0);
  });
});

describe("requests of mprpc in chunks that are never whole", () => {
  async function start(streamBufferBytes: number) {
    const policy = { "*": "none", "probe.*": "secret:*" };
    const settings = { provider: { streamBufferBytes } };
    const { provider, cluster, clock } = await startGuarded({ policy }, undefined, { settings });
    const connect = async (identity?: string) => {
      const peer = await RawPeer.connect(cluster.network.as(identity), provider.address as Address);
      peer.send(settingsFrame());
      return peer;
    };
    return { provider, clock, connect };
  }
  /** Announces a request of a MiB, of which only the beginning comes. */
  const begin = (peer: RawPeer, number: number, service: string, method: string): void => {
    const id = callId(number);
    const encoder = new FrameEncoder();
    encoder.beginCall(id, 0, -1, { serviceName: service, methodName: method }, 1);
    encoder.announceBody(MiB);
    peer.send(encoder.writer.finish(), chunkFrame(id, Buffer.alloc(1000)));
  };

  test("take only a share of provider.streambuffer, and give it back", async () => {
    const { provider, clock, connect } = await start(16 * MiB);
    for (let round = 0; round < 2; round++) {
      for (let at = 0; at < 4; at++) {
        const peer = await connect("secret:greedy");
        for (let call = 1; call <= 5; call++) begin(peer, call, "probe.ProbeService", "Echo");
        await settle();
      }
      expect(provider.inFlight).toBe(12);
      begin(await connect("secret:honest"), 1, "probe.ProbeService", "Echo");
      await settle();
      expect(provider.inFlight).toBe(13);
      await clock.run(15_000);
      expect(provider.inFlight).toBe(0);
    }
  });

  test("are none of built-in services, to which strangers may speak", async () => {
    const { provider, connect } = await start(512 * MiB);
    begin(await connect(), 1, "grpc.health.v1.Health", "Check");
    await settle();
    expect(provider.inFlight).toBe(0);
  });
});

describe.each<Over>(["memory", "grpc", "inproc"])("calls over %s whose token is being checked", (over) => {
  test("hold no more metadata than limits.arrivingbytes", async () => {
    const answer = deferred();
    const authenticate = async () => {
      await answer.promise;
      return "token:x";
    };
    const { stub } = await startGuarded({ authenticators: [authenticate] }, undefined, {
      over,
      settings: { limits: { arrivingMaxBytes: 4 * MiB } },
    });
    const { metadata } = token("x");
    const pad = "p".repeat(60_000);
    const outcomes: unknown[] = [];
    const calls = Array.from({ length: 120 }, async () => {
      const outcome = await stub.echo({}, { metadata: { ...metadata, pad } }).catch((error) => error);
      outcomes.push(outcome);
    });
    for (let at = 0; at < 20; at++) await settle();
    expect(outcomes.length).toBeGreaterThan(50);
    expect(outcomes.length).toBeLessThan(60);
    expect(outcomes[0]).toMatchObject({ code: Status.RESOURCE_EXHAUSTED, executed: "never" });
    expect(String(outcomes[0])).toMatch(
      /requests of \d+ bytes wait for their tokens to be checked on this connection, over the limit of 4194304/,
    );
    const refused = outcomes.length;
    answer.resolve();
    await Promise.all(calls);
    expect(outcomes.slice(refused).filter((one) => one instanceof Error)).toEqual([]);
    await stub.echo({}, { metadata: { ...metadata, pad } });
  });
});

describe("provider.streambuffer", () => {
  test("is shared: one caller's idle streams leave room for those of another, on the same address too", async () => {
    const names = async (metadata: { getText(key: string): string | undefined }) =>
      `token:${metadata.getText("authorization")?.includes("greedy") ? "greedy" : "honest"}`;
    const { flow, cluster } = await startGuarded({ authenticators: [names] }, undefined, {
      settings: { provider: { streamBufferBytes: MiB } },
    });
    const another = new FlowServiceStub(cluster.channel());
    await flow.ask({}, token("greedy"));
    await another.ask({}, token("greedy"));
    const idle = Array.from({ length: 60 }, () => new OutgoingStream<Partial<Item>>());
    const errors: unknown[] = [];
    const calls = idle.map((one, at) =>
      (at % 2 === 0 ? flow : another).put(one, token("greedy")).catch((error) => void errors.push(error)),
    );
    await settle();
    // Three quarters of 64 streams of 16 KiB.
    expect(errors).toHaveLength(12);
    expect(errors[0]).toMatchObject({ code: Status.RESOURCE_EXHAUSTED, executed: "never" });
    expect(await flow.put([{ number: 7 }], token("honest"))).toMatchObject({ number: 7 });
    expect(await failure(flow.put([{ number: 7 }], token("greedy")))).toMatchObject({
      code: Status.RESOURCE_EXHAUSTED,
    });
    for (const one of idle) one.end();
    await Promise.all(calls);
    expect(await flow.put([{ number: 7 }], token("greedy"))).toMatchObject({ number: 7 });
  });
});
