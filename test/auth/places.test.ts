import { afterEach, expect, test, vi } from "vitest";
import type { Authenticate } from "../../src/auth/authenticator.js";
import { type Address, Metadata, Status } from "../../src/index.js";
import { CallerChecks } from "../../src/protocol/mprpc/caller-checks.js";
import { SharedBudget } from "../../src/protocol/mprpc/streams/budget.js";
import { FrameEncoder } from "../../src/protocol/mprpc/wire/frame-encoder.js";
import { settle } from "../../src/testing/index.js";
import { deferred, failure } from "../support/async.js";
import type { Cluster } from "../support/cluster.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { callId, RawPeer, settingsFrame } from "../support/raw-peer.js";
import { nameIn, startGuarded, token } from "./guarded.js";

afterEach(() => vi.restoreAllMocks());

const settled = async (turns = 10): Promise<void> => {
  for (let i = 0; i < turns; i++) await settle();
};

/** An authenticator that answers when the test ends. */
function silent() {
  const answer = deferred<undefined>();
  const authenticate: Authenticate = () => answer.promise;
  return { authenticate, answer };
}

test("gRPC: what is refused while it waits for a check gives back what it took, and no more", async () => {
  const budgets = new Set<SharedBudget>();
  const { shareOf } = SharedBudget.prototype;
  vi.spyOn(SharedBudget.prototype, "shareOf").mockImplementation(function (this: SharedBudget, account) {
    budgets.add(this);
    return shareOf.call(this, account);
  });
  const { authenticate } = silent();
  const { flow } = await startGuarded({ authenticators: [authenticate] }, undefined, {
    over: "grpc",
    settings: { limits: { arrivingMaxBytes: 250_000 } },
  });
  const data = Buffer.alloc(100_000, 9);
  const ask = (signal?: AbortSignal) =>
    failure(flow.ask({ data }, { ...token("slow"), timeoutMs: 60_000, ...(signal && { signal }) }));
  const used: number[] = [];
  for (let round = 0; round < 3; round++) {
    const abort = new AbortController();
    const waiting = [ask(abort.signal), ask(abort.signal)];
    await settled();
    expect((await ask()).code).toBe(Status.RESOURCE_EXHAUSTED);
    abort.abort();
    await Promise.all(waiting);
    await settled();
    used.push([...budgets].reduce((sum, one) => sum + one.used, 0));
  }
  expect(new Set(used).size).toBe(1);
});

test("mprpc: nothing stays of a request that is given up while its token is checked", async () => {
  const sessions = new Set<CallerChecks>();
  const { refusal } = CallerChecks.prototype;
  vi.spyOn(CallerChecks.prototype, "refusal").mockImplementation(function (this: CallerChecks, ...given) {
    sessions.add(this);
    return refusal.apply(this, given);
  });
  const { authenticate } = silent();
  const { provider, cluster } = await startGuarded({ authenticators: [authenticate] });
  const peer = await RawPeer.connect(cluster.network.as(undefined), provider.address as Address);
  peer.send(settingsFrame());
  const metadata = Metadata.from({ ...token("x").metadata, pad: "p".repeat(5000) });
  for (let n = 1; n <= 20; n++) {
    const id = callId(1, n);
    const encoder = new FrameEncoder();
    encoder.beginCall(id, 0, -1, { serviceName: "probe.ProbeService", methodName: "Echo", metadata }, 1);
    encoder.announceBody(1 << 20);
    encoder.giveUpMessage(id);
    peer.send(encoder.writer.finish());
    await settle();
  }
  expect(sessions.size).toBe(1);
  expect([...sessions].flatMap((one) => [...one.calls])).toEqual([]);
  expect(provider.inFlight).toBe(0);
});

test("a stream ends with its token while strangers have taken the places of checks for calls", async () => {
  let cluster: Cluster | undefined;
  let asked = 0;
  let revoked = false;
  const never = new Promise<undefined>(() => {});
  const authenticate: Authenticate = async (metadata) => {
    const name = nameIn(metadata);
    const { clock } = cluster as Cluster;
    if (name === "good")
      return revoked ? undefined : { name: "token:good", expiresAtMs: clock.wallNow() + 2000 };
    asked++;
    return never;
  };
  const started = await startGuarded({ policy: { "*": "token:*" }, authenticators: [authenticate] });
  cluster = started.cluster;
  const { flow, clock } = started;
  const ended = failure(
    (async () => {
      for await (const _ of flow.watch({}, token("good"))) await settle();
    })(),
  );
  await settled();
  revoked = true;
  // Each has its share; the last of them takes what is left.
  for (const [id, connections] of [12, 3, 1, 1, 1, 1, 1].entries()) {
    for (let at = 0; at < connections; at++) {
      const runtime = cluster.runtime({ transport: cluster.network.as(`secret:${id}`) });
      const stub = new ProbeServiceStub(cluster.channel({}, runtime));
      for (let n = 0; n < 64; n++) {
        stub.echo({}, { ...token(`hang${id}-${at}-${n}`), timeoutMs: 600_000 }).catch(() => {});
      }
      await settle();
    }
  }
  expect(asked).toBeGreaterThan(1000);
  await clock.run(15_000);
  const outcome = await Promise.race([ended, settled().then(() => "still open")]);
  expect(outcome).toMatchObject({ code: Status.UNAUTHENTICATED });
});
