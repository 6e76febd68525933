// What comes while an authenticator still looks at the token: bytes and order, cancels, deadlines, refusals, and the memory of it all.
import { describe, expect, test } from "vitest";
import type { Authenticate } from "../../src/auth/authenticator.js";
import { type Address, type CallContext, RpcProvider, Status } from "../../src/index.js";
import { Reader } from "../../src/protobuf/reader.js";
import { encodeMessage } from "../../src/protobuf/types.js";
import { EarlyBody } from "../../src/protocol/grpc/early-body.js";
import { SeededRandom, settle } from "../../src/testing/index.js";
import { framed, RawClient } from "../grpc/raw.js";
import type { Side } from "../protocol/http2/pair.js";
import { type Deferred, deferred, failure } from "../support/async.js";
import { Cluster, type ClusterOptions } from "../support/cluster.js";
import { FlowService, FlowServiceStub, Item } from "../support/gen/flow.js";
import { nameIn, token, tokenOf } from "./guarded.js";

/** A provider that asks about each token by name; the answer is the test's. Its handlers give back what they get. */
async function start(options: ClusterOptions) {
  const cluster = new Cluster(options);
  const answers = new Map<string, Deferred<string | undefined>>();
  const answer = (name: string): Deferred<string | undefined> => {
    const known = answers.get(name) ?? deferred<string | undefined>();
    answers.set(name, known);
    return known;
  };
  const signals = new Map<string, AbortSignal>();
  const authenticate: Authenticate = (metadata, _peer, signal) => {
    signals.set(nameIn(metadata), signal);
    return answer(nameIn(metadata)).promise;
  };
  const served: string[] = [];
  const note = ({ method, peer }: CallContext): void =>
    void served.push(`${method.name} ${peer.identities.token}`);
  const provider = new RpcProvider(cluster.runtime(), {
    policy: { "*": "token:*" },
    authenticators: [authenticate],
  });
  provider.notifyService(FlowService, {
    async *watch(request, context) {
      note(context);
      yield request;
    },
    async put(requests, context) {
      note(context);
      const parts: Buffer[] = [];
      for await (const { data } of requests) parts.push(data);
      return { data: Buffer.concat(parts), number: parts.length };
    },
    async *chat(requests, context) {
      note(context);
      yield* requests;
    },
    ask(request, context) {
      note(context);
      return request;
    },
  });
  cluster.onClose(() => provider.shutdown());
  await provider.start();
  const runtime = cluster.runtime({ transport: cluster.network.as(undefined) });
  const flow = new FlowServiceStub(cluster.channel({}, runtime));
  return { cluster, provider, flow, answer, signals, served, clock: cluster.clock };
}

/** Bytes that are not those of any other place. */
function bytesOf(random: SeededRandom, most: number): Buffer {
  const bytes = Buffer.alloc(random.chance(0.2) ? 0 : random.integer(0, most));
  for (let at = 0; at < bytes.length; at++) bytes[at] = (at * 31 + bytes.length) & 0xff;
  return bytes;
}

describe.each(["memory", "grpc"] as const)("over %s, while the token is checked", (over) => {
  test.each(Array.from({ length: 8 }, (_, seed) => seed))(
    "calls of every kind keep their bytes and their order, and none is served: seed %i",
    async (seed) => {
      const random = SeededRandom.of(seed);
      const { flow, answer, served, provider } = await start({ over, seed });
      const calls = Array.from({ length: 12 }, async (_, at) => {
        const options = { ...token(`t${at % 3}`), timeoutMs: 60_000 };
        const parts = Array.from({ length: random.integer(1, 6) }, () => bytesOf(random, 300_000));
        const items = parts.map((data, number) => ({ data, number }));
        if (at % 3 === 0) {
          const data = bytesOf(random, 900_000);
          expect((await flow.ask({ data, number: at }, options)).data.equals(data)).toBe(true);
        } else if (at % 3 === 1) {
          const { data, number } = await flow.put(items, options);
          expect([data.equals(Buffer.concat(parts)), number]).toEqual([true, parts.length]);
        } else {
          const replies: Item[] = [];
          for await (const one of flow.chat(items, options)) replies.push(one);
          expect(replies.map(({ number }) => number)).toEqual(items.map(({ number }) => number));
          expect(replies.every(({ data }, place) => data.equals(parts[place] as Buffer))).toBe(true);
        }
      });
      for (let turns = random.integer(0, 6); turns > 0; turns--) await settle();
      expect(served).toEqual([]);
      for (const at of [1, 0, 2]) {
        answer(`t${at}`).resolve(`token:t${at}`);
        if (random.chance(0.5)) await settle();
      }
      await Promise.all(calls);
      expect(served).toHaveLength(12);
      await settle();
      expect(provider.inFlight).toBe(0);
    },
  );

  test("a cancelled call and one whose time has passed are forgotten, and take no byte of the others", async () => {
    const { flow, answer, signals, served, provider, clock } = await start({ over });
    const data = Buffer.alloc(400_000, 5);
    const abort = new AbortController();
    const { signal } = abort;
    const cancelled = [
      failure(flow.ask({ data }, { ...token("gone"), signal })),
      failure(flow.put([{ data }, { data }], { ...token("gone"), signal })),
    ];
    const late = [
      failure(flow.ask({ data }, { ...token("late"), timeoutMs: 1000 })),
      failure(flow.put([{ data }], { ...token("late"), timeoutMs: 1000 })),
    ];
    const good = flow.put([{ data }, { number: 2 }], { ...token("good"), timeoutMs: 60_000 });
    await settle();
    abort.abort();
    for (const error of await Promise.all(cancelled)) expect(error.code).toBe(Status.CANCELLED);
    await clock.run(1100);
    for (const error of await Promise.all(late)) expect(error.code).toBe(Status.DEADLINE_EXCEEDED);
    await settle();
    expect(signals.get("gone")?.aborted).toBe(true);
    expect(signals.get("late")?.aborted).toBe(true);
    // Answers that come too late.
    for (const name of ["gone", "late"]) answer(name).resolve(`token:${name}`);
    await settle();
    expect(served).toEqual([]);
    answer("good").resolve("token:good");
    expect((await good).data.equals(data)).toBe(true);
    expect(served).toEqual(["Put token:good"]);
    expect(provider.inFlight).toBe(0);
  });

  test("one that is refused is UNAUTHENTICATED, once, whatever of its body is still to come; the connection goes on", async () => {
    const { flow, answer, served, provider } = await start({ over });
    const ended: number[] = [];
    const hold = deferred();
    async function* slowly() {
      yield { data: Buffer.alloc(100_000, 1) };
      await hold.promise;
      yield { data: Buffer.alloc(900_000, 2) };
    }
    const refused = [
      flow.ask({ data: Buffer.alloc(2_000_000, 3) }, token("stranger")),
      flow.put([{ data: Buffer.alloc(300_000, 4) }], token("stranger")),
      flow.put(slowly(), token("stranger")),
    ].map((call) => failure(call.finally(() => void ended.push(1))));
    await settle();
    answer("stranger").resolve(undefined);
    for (const error of await Promise.all(refused))
      expect(error).toMatchObject({ code: Status.UNAUTHENTICATED, executed: "never" });
    hold.resolve();
    await settle();
    expect(ended).toHaveLength(3);
    expect(served).toEqual([]);
    answer("good").resolve("token:good");
    expect((await flow.ask({ text: "next" }, token("good"))).text).toBe("next");
    expect([provider.inFlight, provider.connections]).toEqual([0, 1]);
  });
});

describe("by hand over gRPC", () => {
  const head = (name: string, path: string) => ({
    ...{ ":path": `/flow.FlowService/${path}`, "content-type": "application/grpc", te: "trailers" },
    authorization: `Bearer ${tokenOf(name)}`,
  });

  async function byHand(settings: ClusterOptions["settings"] = {}) {
    const pair = await start({ over: "grpc", settings });
    const { network, clock } = pair.cluster;
    const client = await RawClient.connect(network.as(undefined), pair.provider.address as Address, clock);
    return { ...pair, client };
  }

  /** Writes `body` in so many DATA frames, cut anywhere. */
  function* written(side: Side, body: Buffer, random: SeededRandom, end: boolean): Generator<void> {
    for (let at = 0; at < body.length; ) {
      const size = Math.min(
        body.length - at,
        random.chance(0.5) ? random.integer(1, 9) : random.integer(1, 500),
      );
      const last = at + size === body.length;
      side.stream?.write(body.subarray(at, at + size), end && last && random.chance(0.5));
      at += size;
      if (last && end && side.stream?.closed === false) side.stream?.write(Buffer.alloc(0), true);
      yield;
    }
  }

  test.each(Array.from({ length: 8 }, (_, seed) => seed))(
    "bodies cut anywhere, of several calls at once, are read in order; some are reset, and no memory is lost: seed %i",
    async (seed) => {
      const random = SeededRandom.of(seed, "by hand");
      const { client, answer, served, provider } = await byHand({
        provider: { streamBufferBytes: (50_000 * 4) / 3 },
      });
      const sides = Array.from({ length: 10 }, (_, at) => {
        const items = Array.from({ length: random.integer(1, 5) }, (_, number) => ({
          number,
          data: bytesOf(random, 900),
        }));
        const body = Buffer.concat(items.map((one) => framed(encodeMessage(Item, one))));
        const side = client.request(head(`t${at % 2}`, "Put"));
        return { side, items, writing: written(side, body, random, true), reset: random.chance(0.3) };
      });
      const answerAfter = random.integer(0, 400);
      for (let step = 0, open = sides; open.length > 0; step++) {
        const one = open[random.integer(0, open.length - 1)] as (typeof sides)[number];
        if (one.writing.next().done === true) open = open.filter((other) => other !== one);
        if (one.reset && random.chance(0.05)) {
          one.side.stream?.reset();
          open = open.filter((other) => other !== one);
        }
        if (step % 20 === 0) await settle();
        if (step === answerAfter) answer("t0").resolve("token:t0");
        if (step === answerAfter + 30) answer("t1").resolve("token:t1");
      }
      for (const name of ["t0", "t1"]) answer(name).resolve(`token:${name}`);
      await settle();
      await settle();
      for (const { side, items } of sides) {
        if (side.stream?.closed === true && side.trailers === undefined) continue;
        expect(side.trailers?.["grpc-status"]).toBe("0");
        const reply = Item.decode(...replyIn(side.body));
        expect(reply.data.equals(Buffer.concat(items.map(({ data }) => data)))).toBe(true);
        expect(reply.number).toBe(items.length);
      }
      expect(served.length).toBeGreaterThan(0);
      expect(provider.inFlight).toBe(0);
      // The memory is all there again, and no more than all: what is just below it may wait, and one byte more may not.
      const body = (bytes: number): Buffer => framed(encodeMessage(Item, { data: Buffer.alloc(bytes) }));
      const waiting = [24_000, 24_000].map((bytes) => client.request(head("big", "Ask"), body(bytes)));
      await settle();
      expect(waiting.map(({ headers }) => headers)).toEqual(waiting.map(() => undefined));
      const more = client.request(head("big", "Ask"), body(4000));
      await settle();
      expect(more.headers?.["grpc-status"]).toBe(String(Status.RESOURCE_EXHAUSTED));
    },
  );

  test("the memory of early bodies is bounded, for each byte once: beyond it a call is refused, and it alone", async () => {
    const { client, answer, served, provider } = await byHand({
      provider: { streamBufferBytes: (50_000 * 4) / 3 },
    });
    const body = framed(encodeMessage(Item, { data: Buffer.alloc(20_000, 9) }));
    for (let round = 0; round < 5; round++) {
      const sides = [0, 1, 2].map(() => client.request(head("slow", "Ask"), body));
      await settle();
      // Two are 40 kB; the third is one too many.
      expect(sides.map(({ headers }) => headers?.["grpc-status"])).toEqual([
        undefined,
        undefined,
        String(Status.RESOURCE_EXHAUSTED),
      ]);
      for (const { stream } of sides) stream?.reset();
      await settle();
      expect(provider.inFlight).toBe(0);
    }
    const sides = [0, 1].map(() => client.request(head("good", "Ask"), body));
    await settle();
    answer("good").resolve("token:good");
    await Promise.all(sides.map(({ over }) => over));
    expect(sides.map(({ trailers }) => trailers?.["grpc-status"])).toEqual(["0", "0"]);
    expect(served).toEqual(["Ask token:good", "Ask token:good"]);
  });

  test("a refusal is one block of fields, and the rest of the body takes nothing of the connection's window", async () => {
    const { client, answer } = await byHand();
    const body = framed(encodeMessage(Item, { data: Buffer.alloc(240_000) }));
    answer("good").resolve("token:good");
    // 20 times 240 kB are more than the window of the connection.
    for (let round = 0; round < 20; round++) {
      const name = `stranger${round}`;
      const side = client.request(head(name, "Put"));
      side.stream?.write(body.subarray(0, 200_000), false);
      await settle();
      answer(name).resolve(undefined);
      await settle();
      expect([side.headers?.["grpc-status"], side.trailers, side.ended]).toEqual([
        String(Status.UNAUTHENTICATED),
        undefined,
        true,
      ]);
      expect(side.body).toHaveLength(0);
      if (side.stream?.closed === false) side.stream.write(body.subarray(200_000), true);
    }
    const side = client.request(head("good", "Ask"), body);
    await side.over;
    expect(side.trailers?.["grpc-status"]).toBe("0");
  });
});

/** Of the one message of a body: for `Item.decode`. */
function replyIn(body: Buffer): Parameters<typeof Item.decode> {
  return [new Reader(body.subarray(5)), body.length - 5];
}

test("a body that comes a byte at a time is kept in few buffers, and passed on whole", () => {
  const passed: Buffer[] = [];
  let kept = 0;
  let consumed = 0;
  const owner = {
    ended: false,
    stream: {
      consumed(bytes: number): void {
        consumed += bytes;
      },
    },
    keep(bytes: number): void {
      kept += bytes;
    },
    onData: (_stream: unknown, bytes: Buffer, from: number, to: number) =>
      void passed.push(Buffer.from(bytes.subarray(from, to))),
    onTrailers: () => {},
  };
  const wait = { leave: () => {} };
  const make = () => new EarlyBody(owner as never, wait as never);
  const whole = Buffer.from(Array.from({ length: 60_000 }, (_, at) => at & 0xff));
  const early = make();
  for (let at = 0; at < whole.length; at++) early.add(whole, at, at + 1);
  expect(kept).toBe(whole.length);
  early.pass();
  expect(passed.length).toBeLessThan(30);
  expect(Buffer.concat(passed).equals(whole)).toBe(true);
  expect([kept, consumed]).toEqual([0, 0]);
  const dropped = make();
  dropped.add(whole, 0, 50_000);
  dropped.add(whole, 50_000, 60_000);
  dropped.drop();
  expect(consumed).toBe(whole.length);
});

test("over mprpc, the memory of requests that wait is bounded: beyond it a call is refused, and it alone", async () => {
  const { flow, answer, served, provider } = await start({
    settings: { limits: { arrivingMaxBytes: 250_000 } },
  });
  const data = Buffer.alloc(100_000, 9);
  const ask = (name: string, signal?: AbortSignal) =>
    flow.ask({ data }, { ...token(name), timeoutMs: 60_000, ...(signal === undefined ? {} : { signal }) });
  for (let round = 0; round < 5; round++) {
    const abort = new AbortController();
    const waiting = [0, 1].map(() => failure(ask("slow", abort.signal)));
    await settle();
    const third = await failure(ask("slow"));
    expect(third).toMatchObject({ code: Status.RESOURCE_EXHAUSTED, executed: "never" });
    expect(third.rawMessage).toMatch(
      /wait for their tokens .* over the limit of 250000 \(limits.arrivingbytes\)/,
    );
    abort.abort();
    await Promise.all(waiting);
    await settle();
    expect(provider.inFlight).toBe(0);
  }
  const good = [ask("good"), ask("good")];
  await settle();
  answer("good").resolve("token:good");
  for (const reply of await Promise.all(good)) expect(reply.data.equals(data)).toBe(true);
  expect(served).toEqual(["Ask token:good", "Ask token:good"]);
});
