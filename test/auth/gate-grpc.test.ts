import grpc from "@grpc/grpc-js";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Authenticate } from "../../src/auth/authenticator.js";
import { systemClock } from "../../src/base/clock.js";
import { type Address, RpcProvider, Status } from "../../src/index.js";
import { encodeMessage } from "../../src/protobuf/types.js";
import { Health, Reflection } from "../../src/services/builtin.js";
import { createRuntime, type SettingsInit } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { GrpcJsCaller, type Outcome } from "../grpc/grpc-js.js";
import { framed, RawClient } from "../grpc/raw.js";
import { deferred, failure } from "../support/async.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { FlowService, type Item } from "../support/gen/flow.js";
import { RecordingLog } from "../support/log.js";
import { nameIn, startGuarded, tokenOf } from "./guarded.js";
import { tokenTests } from "./token-tests.js";

tokenTests("grpc");

const start = (...[options, as]: Parameters<typeof startGuarded>) =>
  startGuarded(options, as, { over: "grpc" });

describe("identities of the transport", () => {
  test("decide over gRPC, and reach the handler", async () => {
    const policy = { "probe.ProbeService/Echo": "secret:web", "probe.ProbeService/Note": "secret:other" };
    const { stub, served, denied } = await start({ policy }, "secret:web");
    expect((await stub.echo({ text: "a" })).text).toBe("a");
    expect(served).toEqual(["Echo secret:web undefined"]);
    const error = await failure(stub.note({}));
    expect(error).toMatchObject({ code: Status.PERMISSION_DENIED, executed: "never" });
    expect(denied).toEqual([`probe.ProbeService/Note ${Status.PERMISSION_DENIED}`]);
    expect(await failure(stub.relay({}))).toMatchObject({ code: Status.PERMISSION_DENIED });
  });

  test("whoever has none is UNAUTHENTICATED; health is open, reflection is not", async () => {
    const { provider, cluster, stub, flow, served } = await start({ policy: { "probe.*": "secret:web" } });
    for (const call of [stub.echo({}), flow.put([{ number: 1 }]), flow.ask({})]) {
      expect(await failure(call)).toMatchObject({ code: Status.UNAUTHENTICATED, executed: "never" });
    }
    const endpoint = {
      ...(provider.address as Address),
      protocol: "grpc",
      weight: 1,
      attributes: {},
    } as const;
    const direct = cluster.channel({ registry: new FixedRegistry([endpoint]) });
    expect((await direct.call(Health.methods.check, { service: "" })).status).toBe(1);
    const listed = failure(direct.call(Reflection.methods.listServices, {}));
    expect(await listed).toMatchObject({ code: Status.UNAUTHENTICATED });
    expect(served).toEqual([]);
  });
});

/** A provider on a port of this machine whose callers are checked by `authenticate`, and a grpc-js client. */
async function onPort(
  authenticate: Authenticate,
  policy: Record<string, string> = { "*": "token:*" },
  settings: SettingsInit = {},
) {
  const app = createRuntime({
    ...{ clock: systemClock, transport: tcpTransport(systemClock), log: new RecordingLog(), settings },
  });
  onTestFinished(() => app.close());
  const served: string[] = [];
  const numbers: number[] = [];
  const provider = new RpcProvider(app, { policy, authenticators: [authenticate] });
  const note = (name: string, token: string | undefined): void => void served.push(`${name} ${token}`);
  provider.notifyService(FlowService, {
    async *watch({ number }, { peer }) {
      note("watch", peer.identities.token);
      for (let at = 0; at < number; at++) yield { number: at };
    },
    async put(requests, { peer }) {
      note("put", peer.identities.token);
      let number = 0;
      for await (const one of requests) {
        numbers.push(one.number);
        number += one.number;
      }
      return { number };
    },
    async *chat(requests, { peer }) {
      note("chat", peer.identities.token);
      yield* requests;
    },
    ask: (request, { peer }) => {
      note("ask", peer.identities.token);
      return request;
    },
  });
  onTestFinished(() => provider.shutdown());
  const address = await provider.start();
  const client = new GrpcJsCaller(`${address.host}:${address.port}`);
  return { provider, served, numbers, address, client };
}

function bearer(name: string): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set("authorization", `Bearer ${tokenOf(name)}`);
  return metadata;
}

const byName: Authenticate = async (metadata) => {
  const name = nameIn(metadata);
  return name === "stranger" ? undefined : `token:${name}`;
};

const { ask, chat, put } = FlowService.methods;

describe("a client of @grpc/grpc-js", () => {
  test("is let in by its token; two users share a connection; health is open and reflection closed", async () => {
    const policy = { "flow.*": "token:alice | token:bob", "flow.FlowService/Ask": "token:bob" };
    const { client, served, provider } = await onPort(byName, policy);
    expect((await client.unary(ask, { text: "a" }, bearer("bob"))).replies).toMatchObject([{ text: "a" }]);
    expect(await client.unary(ask, {}, bearer("alice"))).toMatchObject({ code: Status.PERMISSION_DENIED });
    expect(await client.unary(ask, {}, bearer("stranger"))).toMatchObject({ code: Status.UNAUTHENTICATED });
    const nobody = await client.unary(ask, {});
    expect(nobody.code).toBe(Status.UNAUTHENTICATED);
    expect(nobody.trailing.get("mprpc-executed")).toEqual(["never"]);
    const { call, outcome } = client.bidi(chat, bearer("alice"));
    call.write({ number: 7 });
    call.end();
    expect((await outcome).replies).toMatchObject([{ number: 7 }]);
    expect(served).toEqual(["ask token:bob", "chat token:alice"]);
    expect((await client.unary(Health.methods.check, { service: "" })).code).toBe(Status.OK);
    expect((await client.unary(Reflection.methods.listServices, {})).code).toBe(Status.UNAUTHENTICATED);
    expect(provider.connections).toBe(1);
  });

  test("waits with all it sends, and is then served in order, however large that is", async () => {
    const answer = deferred<string>();
    const asked = deferred();
    const { client, served, provider } = await onPort(() => {
      asked.resolve();
      return answer.promise;
    });
    const sizes = [0, 1, 70_000, 600_000, 3];
    const calls = [
      client.unary(ask, { text: "small" }, bearer("x")),
      client.unary(ask, { data: Buffer.alloc(900_000, 7) }, bearer("x")),
    ];
    const { call, outcome } = client.bidi(chat, bearer("x"));
    sizes.forEach((size, number) => void call.write({ number, data: Buffer.alloc(size, number) }));
    call.end();
    await asked.promise;
    await expect.poll(() => provider.inFlight).toBe(3);
    expect(served).toEqual([]);
    answer.resolve("token:x");
    const [small, large] = (await Promise.all(calls)) as [Outcome, Outcome];
    expect(small.replies).toMatchObject([{ text: "small" }]);
    const { data } = large.replies[0] as Item;
    expect(data.equals(Buffer.alloc(900_000, 7))).toBe(true);
    const got = (await outcome).replies as Item[];
    expect(
      got.map(({ number, data }) => [number, data.length, data.every((byte) => byte === number)]),
    ).toEqual(sizes.map((size, number) => [number, size, true]));
    await expect.poll(() => provider.inFlight).toBe(0);
  });

  test("that gives up, or whose deadline passes, while it waits is forgotten, and the check with it", async () => {
    const signals: AbortSignal[] = [];
    const { client, served, provider } = await onPort((_metadata, _peer, signal) => {
      signals.push(signal);
      return new Promise(() => {});
    });
    const { call, outcome } = client.bidi(chat, bearer("x"));
    call.write({ data: Buffer.alloc(100_000) });
    await expect.poll(() => signals.length).toBe(1);
    call.cancel();
    expect((await outcome).code).toBe(Status.CANCELLED);
    await expect.poll(() => signals[0]?.aborted).toBe(true);
    const late = await client.unary(ask, {}, bearer("y"), { deadline: Date.now() + 1000 });
    expect(late.code).toBe(Status.DEADLINE_EXCEEDED);
    await expect.poll(() => signals[1]?.aborted).toBe(true);
    expect(served).toEqual([]);
    expect(provider.inFlight).toBe(0);
  });
});

const item = (number: number, sizeBytes = 0): Buffer =>
  framed(encodeMessage(put.input, { number, data: Buffer.alloc(sizeBytes) }));

/** Calls by hand: their bodies are sent, in as many DATA frames as there are parts, while their token is checked. */
async function byHand(settings: SettingsInit = {}) {
  const checked = deferred<string | undefined>();
  const never = new Promise<string>(() => {});
  let checks = 0;
  const authenticate: Authenticate = (metadata) => {
    checks++;
    return nameIn(metadata) === "never" ? never : checked.promise;
  };
  const pair = await onPort(authenticate, { "*": "token:x" }, settings);
  const client = await RawClient.connect(tcpTransport(systemClock), pair.address);
  const send = async (path: string, parts: readonly Buffer[], name = "x", type = "") => {
    const before = checks;
    const head = { ":path": `/flow.FlowService/${path}`, "content-type": `application/grpc${type}` };
    const side = client.request({ ...head, te: "trailers", authorization: `Bearer ${tokenOf(name)}` });
    parts.forEach((part, at) => void side.stream?.write(part, at === parts.length - 1));
    await expect.poll(() => checks).toBe(before + 1);
    // A call without a token is answered at once: by then all of the other's body has come.
    const behind = client.request({ ...head, te: "trailers" }, Buffer.alloc(5));
    await behind.over;
    return side;
  };
  return { ...pair, send, checked };
}

describe("what comes before it is known who calls", () => {
  test("is taken byte by byte, and read in order", async () => {
    const { send, checked, numbers, served, provider } = await byHand();
    const bytes = Buffer.concat([item(1), item(2), item(300)]);
    const parts = [...bytes].map((byte) => Buffer.of(byte));
    const side = await send("Put", parts);
    expect(served).toEqual([]);
    checked.resolve("token:x");
    await side.over;
    expect(numbers).toEqual([1, 2, 300]);
    await expect.poll(() => provider.inFlight).toBe(0);
  });

  test("is given up once when one of its parts ends the call: it frees no more than it took", async () => {
    const { send, checked } = await byHand({ provider: { streamBufferBytes: (50_000 * 4) / 3 } });
    const unreadable = framed(Buffer.of(0x0a, 200));
    const side = await send("Ask", [unreadable, item(3, 20_000), item(4, 20_000)]);
    checked.resolve("token:x");
    await side.over;
    expect(side.headers?.["grpc-status"]).toBe(String(Status.INTERNAL));
    const second = await send("Ask", [item(1, 60_000)], "never");
    await second.over;
    expect(second.headers).toMatchObject({
      ...{ "grpc-status": String(Status.RESOURCE_EXHAUSTED), "mprpc-executed": "never" },
    });
  });

  test("in JSON runs its handler once, though its token is known before JSON is loaded", async () => {
    const { send, checked, numbers, served } = await byHand();
    checked.resolve("token:x");
    const parts = [framed(Buffer.from('{"number":1}')), framed(Buffer.from('{"number":2}'))];
    const side = await send("Put", parts, "x", "+json");
    await side.over;
    expect(side.trailers?.["grpc-status"]).toBe("0");
    expect(numbers).toEqual([1, 2]);
    expect(served).toEqual(["put token:x"]);
  });

  test.each([["token:other"], [undefined]])(
    "is dropped when it comes of %s, who may not call",
    async (who) => {
      const { send, checked, served, provider } = await byHand();
      const side = await send("Ask", [item(1, 20_000)]);
      checked.resolve(who);
      await side.over;
      expect(side.headers?.["mprpc-executed"]).toBe("never");
      expect(served).toEqual([]);
      await expect.poll(() => provider.inFlight).toBe(0);
    },
  );
});
