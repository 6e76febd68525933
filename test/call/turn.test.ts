import { describe, expect, test } from "vitest";
import type { Address } from "../../src/base/address.js";
import type { Clock } from "../../src/base/clock.js";
import { Metadata } from "../../src/base/metadata.js";
import { Turn } from "../../src/call/turn.js";
import type { ServerInterceptor } from "../../src/index.js";
import { writeClassicRequest } from "../../src/protocol/classic/classic-wire.js";
import { FrameEncoder } from "../../src/protocol/mprpc/wire/frame-encoder.js";
import { Kind } from "../../src/protocol/mprpc/wire/header.js";
import { RpcProvider } from "../../src/server/provider.js";
import { ManualClock, settle } from "../../src/testing/index.js";
import { deferred, failure } from "../support/async.js";
import { Cluster, type ClusterOptions } from "../support/cluster.js";
import { Blob, ProbeService, ProbeServiceStub } from "../support/gen/probe.js";
import { callFrame, callId, controlFrame, echoNames, RawPeer, settingsFrame } from "../support/raw-peer.js";

/** Its time goes on while a handler is busy; timers wait for the event loop, as they do in a process. */
class BusyClock implements Clock {
  readonly #inner: ManualClock;
  #busyMs = 0;
  reads = 0;

  constructor(inner: ManualClock) {
    this.#inner = inner;
  }

  now(): number {
    this.reads++;
    return this.#inner.now() + this.#busyMs;
  }

  wallNow(): number {
    return this.#inner.wallNow() + this.#busyMs;
  }

  setTimer(callback: () => void, delayMs: number) {
    return this.#inner.setTimer(callback, delayMs);
  }

  busy(ms: number): void {
    this.#busyMs += ms;
  }
}

describe("a turn", () => {
  const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  test("is over when its handlers have taken 10 ms, and the next one is not", async () => {
    const clock = new BusyClock(new ManualClock());
    const turn = new Turn(clock);
    expect(turn.begin(clock.now())).toBe(true);
    for (let i = 0; i < 3; i++) {
      clock.busy(3);
      expect(turn.spent()).toBe(false);
    }
    clock.busy(3);
    expect(turn.spent()).toBe(true);
    // Another connection has to wait as well.
    expect(turn.begin(clock.now())).toBe(false);
    await nextTurn();
    expect(turn.begin(clock.now())).toBe(true);
  });

  test("that begins when the budget was counted from an earlier one is over just the same", async () => {
    const clock = new BusyClock(new ManualClock());
    const turn = new Turn(clock);
    turn.begin(clock.now());
    await nextTurn();
    clock.busy(5);
    expect(turn.begin(clock.now())).toBe(true);
    clock.busy(9);
    expect(turn.spent()).toBe(false);
    clock.busy(1);
    expect(turn.spent()).toBe(true);
  });

  test("reads the clock behind every handler while they are slow, and behind each 16th when they are quick", () => {
    const clock = new BusyClock(new ManualClock());
    const turn = new Turn(clock);
    turn.begin(clock.now());
    clock.reads = 0;
    for (let i = 0; i < 100; i++) turn.spent();
    // Behind the 1st, 3rd, 7th, 15th, 31st, 47th ...
    expect(clock.reads).toBe(4 + Math.floor((100 - 15) / 16));
    while (clock.reads < 10) turn.spent();
    clock.busy(1);
    while (clock.reads < 11) turn.spent();
    for (let i = 0; i < 5; i++) {
      clock.busy(1);
      turn.spent();
    }
    expect(clock.reads).toBe(16);
  });

  test("lets those that wait go on one after the other, as far as its time goes", async () => {
    const clock = new BusyClock(new ManualClock());
    const turn = new Turn(clock);
    const went: string[] = [];
    const waiting = (name: string, times: number) => ({
      takeTurn() {
        went.push(name);
        clock.busy(20);
        turn.spent();
        if (--times > 0) turn.postpone(this);
      },
    });
    turn.postpone(waiting("a", 3));
    turn.postpone(waiting("b", 1));
    await nextTurn();
    expect(went).toEqual(["a"]);
    for (let i = 0; i < 4; i++) await nextTurn();
    expect(went).toEqual(["a", "b", "a", "a"]);
  });
});

/** A provider whose handlers are busy as long as their requests say, and raw callers of it. */
async function busyProvider(options: ClusterOptions & { busy?: (number: number) => number } = {}) {
  const cluster = new Cluster(options);
  const clock = new BusyClock(cluster.clock);
  const entered: number[] = [];
  const provider = await cluster.provider(
    {
      echo(request) {
        entered.push(request.number);
        clock.busy(options.busy?.(request.number) ?? 100);
        return request;
      },
      ...options.handlers,
    },
    { clock },
  );
  const address = provider.address as Address;
  const caller = async (): Promise<RawPeer> => {
    const peer = await RawPeer.connect(cluster.transport, address);
    peer.send(settingsFrame());
    return peer;
  };
  return { cluster, provider, clock, entered, caller, address };
}

const asks = (count: number, timeoutMs = -1, from = 1): Buffer =>
  Buffer.concat(
    Array.from({ length: count }, (_, i) =>
      callFrame({ id: callId(from + i), index: 1, timeoutMs, rare: echoNames, body: { number: from + i } }),
    ),
  );
const repliesOf = (peer: RawPeer) => peer.frames.filter(({ kind }) => kind === Kind.REPLY);

describe("a burst of calls whose handlers are busy for 100 ms each", () => {
  test("those whose deadline has passed meanwhile never run, and all of it takes as long as those that did", async () => {
    const { caller, entered, clock } = await busyProvider();
    const peer = await caller();
    await settle();
    const startMs = clock.now();
    peer.send(asks(60, 1500));
    await peer.until("all replies", () => repliesOf(peer).length === 60);
    const ok = repliesOf(peer).filter(({ status }) => status === 0);
    // One that is entered just before its deadline may end behind it.
    expect(entered).toHaveLength(15);
    expect(ok).toHaveLength(15);
    expect(clock.now() - startMs).toBeLessThan(1700);
    const late = repliesOf(peer).filter(({ status }) => status !== 0);
    for (const reply of late) {
      expect(reply).toMatchObject({
        status: 4,
        rare: { executed: "never", message: "the deadline passed before the handler ran" },
      });
    }
  });

  test("replies, pings and other connections have their turn in between", async () => {
    const order: string[] = [];
    const { caller, entered, cluster, address } = await busyProvider();
    const [burst, pinger] = [await caller(), await caller()];
    const stub = new ProbeServiceStub(cluster.channel());
    await stub.relay({});
    burst.send(asks(40));
    await burst.until("the first reply", () => repliesOf(burst).length > 0);
    expect(entered.length).toBeLessThan(5);
    pinger.send(controlFrame(Kind.PING, 0, { pingId: 9 }));
    await pinger.frame(Kind.PONG);
    order.push("pong");
    expect((await stub.relay({ text: "other" })).text).toBe("other");
    const newcomer = await RawPeer.connect(cluster.transport, address);
    newcomer.send(settingsFrame(), controlFrame(Kind.PING, 0, { pingId: 1 }));
    await newcomer.frame(Kind.PONG);
    expect(entered.length).toBeLessThan(40);
    await burst.until("all replies", () => repliesOf(burst).length === 40);
    expect(entered).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  });

  test("two callers take turns", async () => {
    const { caller, entered } = await busyProvider();
    const [one, other] = [await caller(), await caller()];
    one.send(asks(10, -1, 1));
    other.send(asks(10, -1, 1001));
    await one.until("all of the one", () => repliesOf(one).length === 10);
    await other.until("all of the other", () => repliesOf(other).length === 10);
    for (let i = 4; i < 18; i += 2) {
      const owners = entered.slice(i, i + 2).map((number) => (number > 1000 ? "other" : "one"));
      expect(new Set(owners).size).toBe(2);
    }
  });

  test("a cancel behind them in the same bytes is worked on in its place", async () => {
    const { caller, entered } = await busyProvider();
    const peer = await caller();
    peer.send(asks(5), controlFrame(Kind.CANCEL, callId(3)), asks(1, -1, 6));
    await peer.until("all replies", () => repliesOf(peer).length === 6);
    expect(entered).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("nor do those run whose deadline passed while their caller did not read", async () => {
    const { caller, entered, clock } = await busyProvider({
      busy: () => 0,
      handlers: { note: () => ({ data: Buffer.alloc(3 << 20) }) },
    });
    const peer = await caller();
    await settle();
    peer.connection.pause();
    // The reply of 3 MiB shuts the gate in front of the others.
    const large = callFrame({ id: callId(1), rare: { ...echoNames, methodName: "Note" } });
    peer.send(large, asks(20, 500, 2));
    await settle();
    clock.busy(1000);
    peer.connection.resume();
    await peer.until("all replies", () => repliesOf(peer).length === 21);
    expect(entered).toEqual([]);
    expect(repliesOf(peer).filter(({ rare }) => rare.executed === "never")).toHaveLength(20);
  });

  test("nor those of the second half of a read, when what the first half went on to do took long", async () => {
    const entered: number[] = [];
    const { caller, clock } = await busyProvider({
      handlers: {
        async echo(request) {
          entered.push(request.number);
          await undefined;
          clock.busy(100);
          return request;
        },
      },
    });
    const peer = await caller();
    await settle();
    peer.send(asks(16, 500));
    await peer.until("all replies", () => repliesOf(peer).length === 16);
    expect(entered).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test("the caller leaves: what it has sent is worked on to its end, without a word of it", async () => {
    const { caller, entered, provider, cluster } = await busyProvider();
    const peer = await caller();
    peer.send(
      ...Array.from({ length: 20 }, (_, i) =>
        callFrame({ id: 0, index: 1, rare: echoNames, body: { number: i } }),
      ),
    );
    peer.connection.end();
    await cluster.clock.run(1);
    for (let i = 0; i < 20; i++) await settle();
    expect(entered).toHaveLength(20);
    expect(provider.connections).toBe(0);
  });

  test("the keepalive does not take a caller for dead whose bytes wait for their turn", async () => {
    const { caller, cluster, entered, provider } = await busyProvider({
      settings: { keepalive: { intervalMs: 100, timeoutMs: 100 } },
    });
    const peer = await caller();
    peer.send(asks(30));
    // Many turns in which the clock says that nothing has been heard for long.
    for (let i = 0; i < 60 && entered.length < 30; i++) {
      cluster.clock.advance(150);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await peer.until("all replies", () => repliesOf(peer).length === 30);
    expect(provider.connections).toBe(1);
  });
});

test("requests that are announced and cancelled at once take of the turn as well", async () => {
  const cluster = new Cluster({});
  const clock = new BusyClock(cluster.clock);
  const runtime = cluster.runtime({ clock });
  const provider = new RpcProvider(runtime);
  provider.notifyService(ProbeService, { echo: (one) => one, relay: (one) => one, note: (one) => one });
  cluster.onClose(() => provider.shutdown());
  const address = await provider.start();
  let ended = 0;
  runtime.events.on("serverEnd", () => {
    ended++;
    clock.busy(4);
  });
  const [busy, pinger] = [
    await RawPeer.connect(cluster.transport, address),
    await RawPeer.connect(cluster.transport, address),
  ];
  busy.send(settingsFrame());
  pinger.send(settingsFrame());
  await settle();
  const announced = new FrameEncoder();
  for (let slot = 1; slot <= 40; slot++) {
    announced.beginCall(callId(slot), 1, -1, echoNames, 1);
    announced.announceBody(100);
    announced.control(Kind.CANCEL, callId(slot), undefined);
  }
  busy.send(announced.writer.finish());
  await busy.until("the first reply", () => repliesOf(busy).length > 0);
  expect(ended).toBeLessThan(10);
  pinger.send(controlFrame(Kind.PING, 0, { pingId: 1 }));
  await pinger.frame(Kind.PONG);
  expect(ended).toBeLessThan(40);
  await busy.until("all replies", () => repliesOf(busy).length === 40);
});

describe.each(["framed", "varint"] as const)(
  "a classic caller of %s whose requests wait for their turn",
  (dialect) => {
    const asked = writeClassicRequest(dialect, "ProbeService", "Echo", (writer) =>
      Blob.encode({ text: "hello" }, writer),
    );
    const replyBytes = dialect === "framed" ? 11 : 7;

    test("has all of them answered when the provider stops meanwhile, since an end would read as an empty reply", async () => {
      const { cluster, provider, address, entered } = await busyProvider();
      const peer = await RawPeer.connect(cluster.transport, address, false);
      peer.send(...Array.from({ length: 10 }, () => asked));
      await peer.until("a reply", () => peer.bytes.length > 0);
      expect(entered.length).toBeLessThan(10);
      const stopped = provider.shutdown();
      // What comes from now on is too late.
      peer.send(asked);
      await peer.end();
      expect(peer.bytes).toHaveLength(10 * replyBytes);
      peer.connection.end();
      await cluster.clock.run(1000);
      await stopped;
    });

    test("is reset when one of them has not come to its end", async () => {
      const { cluster, provider, address } = await busyProvider();
      const peer = await RawPeer.connect(cluster.transport, address, false);
      peer.send(asked, asked.subarray(0, 9));
      await peer.until("the reply", () => peer.bytes.length > 0);
      const stopped = provider.shutdown();
      await peer.end();
      expect(peer.closeError).toMatchObject({ message: expect.stringContaining("reset") });
      await cluster.clock.run(1000);
      await stopped;
    });
  },
);

describe("behind interceptors", () => {
  const passesOn: ServerInterceptor = (next) => async (call) => next(call);

  test("the deadline is looked at when the handler is entered", async () => {
    const { caller, entered } = await busyProvider({ serverInterceptors: [passesOn] });
    const peer = await caller();
    peer.send(asks(60, 1500));
    await peer.until("all replies", () => repliesOf(peer).length === 60);
    expect(entered).toHaveLength(15);
    expect(repliesOf(peer).filter(({ rare }) => rare.executed === "never")).toHaveLength(45);
  });

  test("also when all of them wait there for the same", async () => {
    const gate = deferred();
    const waits: ServerInterceptor = (next) => async (call) => {
      await gate.promise;
      return next(call);
    };
    const { caller, entered } = await busyProvider({ serverInterceptors: [waits] });
    const peer = await caller();
    peer.send(asks(48, 500));
    await settle();
    gate.resolve();
    await peer.until("all replies", () => repliesOf(peer).length === 48);
    expect(entered).toHaveLength(5);
  });

  test("a call that was cancelled there never enters its handler, since its caller is told so", async () => {
    const gate = deferred();
    const waits: ServerInterceptor = (next) => async (call) => {
      await gate.promise;
      return next(call);
    };
    const { caller, entered } = await busyProvider({ serverInterceptors: [waits] });
    const peer = await caller();
    peer.send(asks(1));
    await settle();
    peer.send(controlFrame(Kind.CANCEL, callId(1)));
    expect(await peer.frame(Kind.REPLY)).toMatchObject({ status: 1, rare: { executed: "never" } });
    gate.resolve();
    await settle();
    expect(entered).toEqual([]);
  });

  test("nor one whose deadline passed there", async () => {
    const gate = deferred();
    const waits: ServerInterceptor = (next) => async (call) => {
      await gate.promise;
      return next(call);
    };
    const { cluster, entered } = await busyProvider({ serverInterceptors: [waits] });
    const call = failure(new ProbeServiceStub(cluster.channel()).echo({}, { timeoutMs: 50 }));
    await settle();
    await cluster.clock.run(100);
    expect(await call).toMatchObject({ codeName: "DEADLINE_EXCEEDED" });
    gate.resolve();
    await settle();
    expect(entered).toEqual([]);
  });

  test("an interceptor that answers by itself, and goes on later all the same, runs no handler", async () => {
    const gate = deferred();
    const late = deferred<unknown>();
    const answers: ServerInterceptor = (next) => async (call) => {
      void gate.promise.then(() => next(call)).catch((error) => late.resolve(error));
      return { message: { text: "early" }, metadata: new Metadata(), trailers: new Metadata() };
    };
    const { cluster, entered } = await busyProvider({ serverInterceptors: [answers] });
    expect((await new ProbeServiceStub(cluster.channel()).echo({})).text).toBe("early");
    gate.resolve();
    expect(String(await late.promise)).toContain("the call has ended before its handler ran");
    expect(entered).toEqual([]);
  });
});
