import { describe, expect, test } from "vitest";
import type { Authenticate, TokenIdentity } from "../../src/auth/authenticator.js";
import {
  type Address,
  type CallContext,
  type ProviderOptions,
  RpcError,
  RpcProvider,
  Status,
} from "../../src/index.js";
import { Health, Reflection } from "../../src/services/builtin.js";
import { settle } from "../../src/testing/index.js";
import { deferred, failure } from "../support/async.js";
import { Cluster, type ClusterOptions } from "../support/cluster.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { FlowService, FlowServiceStub } from "../support/gen/flow.js";
import { type Blob, ProbeService, ProbeServiceStub } from "../support/gen/probe.js";

const token = (name: string) => ({ metadata: { authorization: `Bearer ${name}` } });

/** Tokens are names: `alice`, or `alice@5000`, which expires at that time of the test's clock. */
function byName(cluster: () => Cluster, asked: string[] = []): Authenticate {
  return async (metadata) => {
    const text = metadata.getText("authorization")?.slice("Bearer ".length) ?? "";
    asked.push(text);
    const [name, expires] = text.split("@");
    if (name === "stranger") return undefined;
    if (name === "broken") throw new Error(`cannot look up ${text}-with-the-whole-token`);
    const identity: TokenIdentity = { name: `token:${name}` };
    if (expires === undefined) return identity;
    const { clock } = cluster();
    return { ...identity, expiresAtMs: clock.wallNow() - clock.now() + Number(expires) };
  };
}

async function start(options: ProviderOptions, as?: string, more: ClusterOptions = {}) {
  const cluster = new Cluster(more);
  const served: string[] = [];
  const waiting: Array<() => void> = [];
  const note = (call: CallContext): void =>
    void served.push(`${call.method.name} ${call.peer.identities.transport} ${call.peer.identities.token}`);
  const providerApp = cluster.runtime();
  const provider = new RpcProvider(providerApp, options);
  provider.notifyService(ProbeService, {
    echo: (request: Blob, context: CallContext) => {
      note(context);
      return request;
    },
    relay: (request: Blob) => new Promise<Blob>((resolve) => waiting.push(() => resolve(request))),
    note: (request: Blob) => request,
  });
  const ended = deferred<unknown>();
  provider.notifyService(FlowService, {
    async *watch(_request, context: CallContext) {
      note(context);
      yield { number: 1 };
      await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
      ended.resolve(context.signal.reason);
    },
    async put(requests, context: CallContext) {
      note(context);
      let number = 0;
      for await (const one of requests) number += one.number;
      return { number };
    },
    async *chat(requests) {
      yield* requests;
    },
    ask: (request) => request,
  });
  cluster.onClose(() => provider.shutdown());
  await provider.start();
  const runtime = cluster.runtime(as === undefined ? {} : { transport: cluster.network.as(as) });
  const channel = cluster.channel({}, runtime);
  const denied: string[] = [];
  providerApp.events.on("callDenied", ({ method, code }) => denied.push(`${method} ${code}`));
  return {
    ...{ cluster, provider, channel, served, denied, waiting, ended: ended.promise, clock: cluster.clock },
    log: cluster.log,
    stub: new ProbeServiceStub(channel),
    flow: new FlowServiceStub(channel),
  };
}

describe("identities of the transport", () => {
  test("decide, and reach the handler", async () => {
    const policy = { "probe.ProbeService/Echo": "secret:web", "probe.ProbeService/Note": "secret:other" };
    const { stub, served, denied, log } = await start({ policy }, "secret:web");
    expect((await stub.echo({ text: "a" })).text).toBe("a");
    expect(served).toEqual(["Echo secret:web undefined"]);
    const error = await failure(stub.note({}));
    expect(error).toMatchObject({ code: Status.PERMISSION_DENIED, executed: "never" });
    expect(error.rawMessage).toBe("probe.ProbeService/Note is not allowed to secret:web ([authz])");
    expect(denied).toEqual([`probe.ProbeService/Note ${Status.PERMISSION_DENIED}`]);
    expect(log.at("warn")).toContain("denied: probe.ProbeService/Note to secret:web");
    expect(await failure(stub.relay({}))).toMatchObject({ code: Status.PERMISSION_DENIED });
  });

  test("whoever has none is UNAUTHENTICATED, before the request is decoded; health is open, reflection is not", async () => {
    const { cluster, provider, stub, served } = await start({ policy: { "probe.*": "secret:web" } });
    expect(await failure(stub.echo({}))).toMatchObject({ code: Status.UNAUTHENTICATED, executed: "never" });
    const address = provider.address as Address;
    const endpoint = { ...address, protocol: "mprpc", weight: 1, attributes: {} };
    const direct = cluster.channel({ registry: new FixedRegistry([endpoint]) });
    expect((await direct.call(Health.methods.check, { service: "" })).status).toBe(1);
    const listed = failure(direct.call(Reflection.methods.listServices, {}));
    expect(await listed).toMatchObject({ code: Status.UNAUTHENTICATED });
    expect(served).toEqual([]);
  });

  test("inproc identities are subject to the policy like all others", async () => {
    const { stub } = await start({ policy: { "*": "secret:web" } }, "inproc:node");
    expect(await failure(stub.echo({}))).toMatchObject({ code: Status.PERMISSION_DENIED });
  });

  test("a flood of denials is counted in the log", async () => {
    const { stub, log, clock } = await start({ policy: { "*": "none" } });
    await Promise.allSettled(Array.from({ length: 100 }, () => stub.echo({})));
    await clock.run(1500);
    const lines = log.at("warn").filter((line) => line.startsWith("denied"));
    expect(lines).toHaveLength(21);
    expect(lines.at(-1)).toBe("denied: 80 more calls");
  });
});

describe("tokens", () => {
  const policy = {
    "probe.ProbeService/*": "token:alice | token:bob",
    "probe.ProbeService/Note": "token:bob",
  };

  test("of two users on one connection are told apart, and each is asked about once", async () => {
    const asked: string[] = [];
    const options = { policy, authenticators: [byName(() => pair.cluster, asked)] };
    const pair = await start(options);
    const { stub, served } = pair;
    for (const name of ["alice", "bob", "alice", "bob"]) await stub.echo({}, token(name));
    expect(served.map((one) => one.split(" ")[2])).toEqual([
      "token:alice",
      "token:bob",
      "token:alice",
      "token:bob",
    ]);
    expect(await failure(stub.note({}, token("alice")))).toMatchObject({ code: Status.PERMISSION_DENIED });
    await stub.note({}, token("bob"));
    expect(await failure(stub.echo({}))).toMatchObject({ code: Status.UNAUTHENTICATED });
    expect(asked).toEqual(["alice", "bob"]);
    expect(pair.provider.connections).toBe(1);
  });

  test("of calls made at once are checked once, and the calls wait without a handler's place", async () => {
    const gate = deferred<string>();
    let asked = 0;
    const authenticate: Authenticate = () => {
      asked++;
      return gate.promise;
    };
    const more = { settings: { provider: { inFlightMax: 1 } } };
    const pair = await start({ policy, authenticators: [authenticate] }, undefined, more);
    const calls = Array.from({ length: 50 }, (_, i) => pair.stub.echo({ number: i }, token("x")));
    await settle();
    expect(asked).toBe(1);
    expect(pair.served).toEqual([]);
    gate.resolve("token:bob");
    expect((await Promise.all(calls)).map(({ number }) => number)).toEqual(calls.map((_, i) => i));
  });

  test("that nobody knows, or that cannot be checked, fail by name and show no token", async () => {
    const pair = await start({ policy, authenticators: [byName(() => pair.cluster)] });
    const unknown = await failure(pair.stub.echo({}, token("stranger")));
    expect(unknown).toMatchObject({ code: Status.UNAUTHENTICATED, executed: "never" });
    const broken = await failure(pair.stub.echo({}, token("broken-secret-0123456789")));
    expect(broken.code).toBe(Status.PERMISSION_DENIED);
    const failing = await failure(pair.stub.echo({}, token("broken")));
    expect(failing).toMatchObject({ code: Status.UNAVAILABLE, executed: "never" });
    const text = JSON.stringify([pair.log.lines, failing.message, unknown.message]);
    expect(text).toContain("an authenticator failed");
    expect(text).not.toContain("Bearer");
  });

  test("are given so much time, and the check ends with the last call that waits", async () => {
    const signals: AbortSignal[] = [];
    const never: Authenticate = (_metadata, _peer, signal) => {
      signals.push(signal);
      return new Promise(() => {});
    };
    const { stub, clock } = await start({ policy, authenticators: [never] });
    const late = failure(stub.echo({}, { ...token("x"), timeoutMs: 60_000 }));
    await clock.run(11_000);
    expect(await late).toMatchObject({ code: Status.UNAVAILABLE, executed: "never" });
    const abort = new AbortController();
    const given = failure(stub.echo({}, { ...token("y"), signal: abort.signal }));
    await settle();
    expect(signals.at(-1)?.aborted).toBe(false);
    abort.abort();
    await given;
    await settle();
    expect(signals.at(-1)?.aborted).toBe(true);
  });

  test("may not claim what only a transport can prove", async () => {
    const { stub, log } = await start({
      policy: { "*": "secret:web" },
      authenticators: [async () => "secret:web"],
    });
    expect(await failure(stub.echo({}, token("x")))).toMatchObject({ code: Status.UNAVAILABLE });
    expect(log.at("error").join()).toContain("none of the transport's kinds");
  });

  test("an authenticator sees the keys it names and nothing else", async () => {
    const seen: unknown[] = [];
    const authenticate: Authenticate = async (metadata, peer) => {
      seen.push(
        [...metadata].map(([key]) => key),
        peer.identities,
      );
      return `token:${metadata.getText("x-api-key")}`;
    };
    const options = { policy, authenticators: [{ authenticate, keys: ["X-Api-Key"] }] };
    const { stub } = await start(options, "secret:gw");
    await stub.echo({}, { metadata: { tenant: "t", "x-api-key": "alice" } });
    expect(seen).toEqual([["x-api-key"], { transport: "secret:gw" }]);
    expect(await failure(stub.echo({}, { metadata: { tenant: "t" } }))).toMatchObject({
      code: Status.PERMISSION_DENIED,
    });
  });

  test("that expire are asked about again, in the middle of a connection", async () => {
    const asked: string[] = [];
    const pair = await start({ policy, authenticators: [byName(() => pair.cluster, asked)] });
    const until = token(`alice@${pair.clock.now() + 5000}`);
    await pair.stub.echo({}, until);
    await pair.stub.echo({}, until);
    expect(asked).toHaveLength(1);
    await pair.clock.run(6000);
    const error = await failure(pair.stub.echo({}, until));
    expect(error).toMatchObject({ code: Status.UNAUTHENTICATED, executed: "never" });
    expect(error.rawMessage).toContain("expired");
    expect(asked).toHaveLength(2);
    expect(pair.provider.connections).toBe(1);
  });

  test("large requests, streams and oneway calls wait as well", async () => {
    const gate = deferred<string>();
    const options = { policy: { "*": "token:bob" }, authenticators: [() => gate.promise] };
    const { stub, flow, channel, served } = await start(options);
    const large = stub.note({ data: Buffer.alloc(600_000, 7) }, token("x"));
    const put = flow.put([{ number: 1 }, { number: 2 }], token("x"));
    const oneway = channel.oneway(ProbeService.methods.echo, {}, token("x"));
    await settle();
    await settle();
    expect(served).toEqual([]);
    gate.resolve("token:bob");
    expect((await large).data.length).toBe(600_000);
    expect((await put).number).toBe(3);
    await oneway;
    await settle();
    expect(served.sort()).toEqual(["Echo undefined token:bob", "Put undefined token:bob"]);
  });

  test("large requests and streams of strangers are refused when the answer comes", async () => {
    const gate = deferred<undefined>();
    const { stub, flow, served } = await start({ policy, authenticators: [() => gate.promise] });
    const large = failure(stub.note({ data: Buffer.alloc(600_000, 7) }, token("x")));
    const put = failure(flow.put([{ number: 1 }], token("x")));
    await settle();
    gate.resolve(undefined);
    expect(await large).toMatchObject({ code: Status.UNAUTHENTICATED, executed: "never" });
    expect(await put).toMatchObject({ code: Status.UNAUTHENTICATED, executed: "never" });
    expect(served).toEqual([]);
  });

  test("the peer of a handler shows no token, however it is printed", async () => {
    let shown = "";
    const { stub } = await start({
      authenticators: [async () => "token:bob"],
      interceptors: [
        (next) => async (call) => {
          const { inspect } = await import("node:util");
          shown = inspect(call.context.peer, { depth: 9 }) + JSON.stringify(call.context.peer);
          shown += JSON.stringify(call.context.metadata);
          return next(call);
        },
      ],
    });
    await stub.echo({}, token("canary-0123456789"));
    expect(shown).toContain("token:bob");
    expect(shown).not.toContain("canary");
  });
});

describe("open streams", () => {
  test("end UNAUTHENTICATED when their token expires", async () => {
    const pair = await start({ policy: { "*": "token:*" }, authenticators: [byName(() => pair.cluster)] });
    const until = token(`alice@${pair.clock.now() + 5000}`);
    const replies = pair.flow.watch({}, until)[Symbol.asyncIterator]();
    expect((await replies.next()).value).toMatchObject({ number: 1 });
    const end = failure(replies.next() as Promise<unknown>);
    await pair.clock.run(6000);
    expect(await end).toMatchObject({ code: Status.UNAUTHENTICATED });
    expect(await pair.ended).toBeInstanceOf(RpcError);
  });

  test("go on when the token is good for longer by then", async () => {
    let untilMs = 0;
    const authenticate: Authenticate = async () => ({ name: "token:bob", expiresAtMs: untilMs });
    const pair = await start({ policy: { "*": "token:*" }, authenticators: [authenticate] });
    untilMs = pair.clock.wallNow() + 5000;
    const replies = pair.flow.watch({}, token("x"))[Symbol.asyncIterator]();
    await replies.next();
    untilMs = pair.clock.wallNow() + 20_000;
    const end = failure(replies.next() as Promise<unknown>);
    await pair.clock.run(10_000);
    expect(pair.provider.inFlight).toBe(1);
    untilMs = 1;
    await pair.clock.run(12_000);
    expect(await end).toMatchObject({ code: Status.UNAUTHENTICATED });
  });
});
