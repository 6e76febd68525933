import { describe, expect, onTestFinished, test } from "vitest";
import { FriendServiceRpcStub, GetFriendsListResponse } from "../../example/caller/src/gen/friend.js";
import { LoginRequest, LoginResponse, UserServiceRpcStub } from "../../example/caller/src/gen/user.js";
import { systemClock } from "../../src/base/clock.js";
import { RpcChannel } from "../../src/client/channel.js";
import { defineService, encodeMessage } from "../../src/protobuf/types.js";
import { type ClassicDialect, classicDialects } from "../../src/protocol/classic/classic-wire.js";
import type { Endpoint, Registry } from "../../src/registry/registry.js";
import { StaticRegistry } from "../../src/registry/static.js";
import { createRuntime, type SettingsInit, settle } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { failure } from "../support/async.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { RecordingLog } from "../support/log.js";
import { type ClassicHandler, ClassicProvider } from "./classic-provider.js";

const welcome: ClassicHandler = (service, method) => {
  if (service !== "UserServiceRpc" || method !== "Login") return undefined;
  return encodeMessage(LoginResponse, { result: { errmsg: "hello" }, success: true });
};

async function startClassic(dialect: ClassicDialect, handler = welcome) {
  const provider = await ClassicProvider.start(dialect, handler);
  onTestFinished(() => provider.stop());
  const endpoint: Endpoint = {
    host: "127.0.0.1",
    port: provider.port,
    protocol: "classic",
    weight: 1,
    attributes: dialect === "le32" ? {} : { dialect },
  };
  return { provider, endpoint };
}

function channelTo(registry: Registry, settings: SettingsInit = {}) {
  const runtime = createRuntime({ transport: tcpTransport(systemClock), registry, settings });
  const channel = new RpcChannel(runtime);
  onTestFinished(() => channel.close());
  return { channel, runtime, user: new UserServiceRpcStub(channel) };
}

describe.each(classicDialects)("a %s provider", (dialect) => {
  test("answers, one connection a call, each request in one write", async () => {
    const { provider, endpoint } = await startClassic(dialect);
    const { user } = channelTo(new FixedRegistry([endpoint]));
    for (let i = 0; i < 3; i++) {
      const reply = await user.login({ name: "zhang san", pwd: "123456" });
      expect([reply.success, reply.result?.errmsg.toString()]).toEqual([true, "hello"]);
    }
    expect([provider.connections, provider.aborts, provider.reads.length]).toEqual([3, 0, 3]);
  });

  test("answers many at a time", async () => {
    const { provider, endpoint } = await startClassic(dialect);
    const { user } = channelTo(new FixedRegistry([endpoint]));
    const replies = await Promise.all(Array.from({ length: 50 }, () => user.login({ name: "x" })));
    expect(replies.every(({ success }) => success)).toBe(true);
    expect(provider.aborts).toBe(0);
  });

  test("takes requests up to its limit in one piece", async () => {
    const { provider, endpoint } = await startClassic(dialect);
    const { user } = channelTo(new FixedRegistry([endpoint]));
    expect((await user.login({ name: Buffer.alloc(60_000) })).success).toBe(true);
    expect(provider.aborts).toBe(0);
  });

  test("says nothing to an unknown method: the caller's own deadline ends it, executed maybe", async () => {
    const { provider, endpoint } = await startClassic(dialect);
    const { user } = channelTo(new FixedRegistry([endpoint]));
    const error = await failure(user.register({ id: 1 }, { timeoutMs: 1500 }));
    expect(error).toMatchObject({ codeName: "DEADLINE_EXCEEDED", executed: "maybe", attempts: 1 });
    expect(provider.connections).toBe(1);
  });

  test("that resets the connection: UNAVAILABLE, executed maybe", async () => {
    const { endpoint } = await startClassic(dialect, () => "reset");
    const { user } = channelTo(new FixedRegistry([endpoint]));
    const error = await failure(user.login({}));
    expect(error).toMatchObject({ codeName: "UNAVAILABLE", executed: "maybe" });
    expect(error.message).toContain("closed the connection");
  });

  test("that answers with bytes that are no reply: INTERNAL, executed yes", async () => {
    const { endpoint } = await startClassic(dialect, () => Buffer.of(0x0a, 99));
    const { user } = channelTo(new FixedRegistry([endpoint]));
    expect(await failure(user.login({}))).toMatchObject({ codeName: "INTERNAL", executed: "yes" });
  });
});

test.each(["le32", "be32", "framed"] as const)("%s: an empty reply is an empty message", async (dialect) => {
  const { endpoint } = await startClassic(dialect, () => Buffer.alloc(0));
  const { user } = channelTo(new FixedRegistry([endpoint]));
  expect(await user.login({})).toEqual({ result: undefined, success: false });
});

test("a request over what a classic provider can take is refused here", async () => {
  const { provider, endpoint } = await startClassic("le32");
  const { user } = channelTo(new FixedRegistry([endpoint]));
  const error = await failure(user.login({ name: Buffer.alloc(70_000) }));
  expect(error).toMatchObject({ codeName: "RESOURCE_EXHAUSTED", executed: "never" });
  expect(error.rawMessage).toContain("over the limit of a classic provider, 65000");
  expect(provider.connections).toBe(0);
});

test("through static://...?protocol=classic", async () => {
  const { provider } = await startClassic("le32");
  const { user } = channelTo(new StaticRegistry(`static://127.0.0.1:${provider.port}?protocol=classic`));
  expect((await user.login({ name: "x" })).success).toBe(true);
});

test("a provider that is down: UNAVAILABLE, never", async () => {
  const { provider, endpoint } = await startClassic("le32");
  await provider.stop();
  const { user } = channelTo(new FixedRegistry([endpoint]));
  const error = await failure(user.login({}));
  expect(error).toMatchObject({ codeName: "UNAVAILABLE", executed: "never" });
  expect(error.message).toContain("ECONNREFUSED");
});

test("a reply over the limit is RESOURCE_EXHAUSTED", async () => {
  const big = encodeMessage(LoginResponse, { result: { errmsg: Buffer.alloc(20_000) } });
  const { endpoint } = await startClassic("le32", () => big);
  const { user } = channelTo(new FixedRegistry([endpoint]), { limits: { bodyMaxBytes: 10_000 } });
  const error = await failure(user.login({}));
  expect(error).toMatchObject({ codeName: "RESOURCE_EXHAUSTED" });
  expect(error.rawMessage).toContain("limits.body");
});

test("oneway is not a thing of the classic wire", async () => {
  const { endpoint } = await startClassic("le32");
  const { channel } = channelTo(new FixedRegistry([endpoint]));
  const { UserServiceRpc } = await import("../../example/caller/src/gen/user.js");
  expect(await failure(channel.oneway(UserServiceRpc.methods.login, {}))).toMatchObject({
    codeName: "UNIMPLEMENTED",
    executed: "never",
  });
});

test("only providers that have a znode for the method are asked", async () => {
  const one = await startClassic("le32");
  const other = await startClassic("le32");
  const registry = new FixedRegistry([
    { ...one.endpoint, methods: ["Register"] },
    { ...other.endpoint, methods: ["Login"] },
  ]);
  const { user } = channelTo(registry);
  for (let i = 0; i < 8; i++) await user.login({});
  expect([one.provider.connections, other.provider.connections]).toEqual([0, 8]);
});

test("none has the method: UNIMPLEMENTED, and nobody is asked", async () => {
  const { provider, endpoint } = await startClassic("le32");
  const { user } = channelTo(new FixedRegistry([{ ...endpoint, methods: ["Login"] }]));
  const error = await failure(user.register({}));
  expect(error).toMatchObject({ codeName: "UNIMPLEMENTED", executed: "never" });
  expect(error.rawMessage).toBe(
    "no classic provider of fixbug.UserServiceRpc in registry fixed: has Register",
  );
  expect(provider.connections).toBe(0);
});

test("cancelling closes the connection: it is all the wire can say", async () => {
  const { provider, endpoint } = await startClassic("le32", () => undefined);
  const { user } = channelTo(new FixedRegistry([endpoint]));
  const abort = new AbortController();
  const call = failure(user.login({}, { signal: abort.signal }));
  while (provider.reads.length === 0) await settle();
  abort.abort();
  expect(await call).toMatchObject({ codeName: "CANCELLED", executed: "maybe" });
});

/** Login as a method that may be sent again: a provider whose dialect nobody knows may be asked in several. */
const SafeUser = defineService({
  typeName: "fixbug.UserServiceRpc",
  methods: {
    login: { name: "Login", input: LoginRequest, output: LoginResponse, idempotency: "no_side_effects" },
  },
});

describe("the dialect of a provider whose entry does not tell it", () => {
  const unknown = (endpoint: Endpoint): Endpoint => ({ ...endpoint, attributes: {} });

  test.each(["le32", "varint", "framed"] as const)(
    "%s is found out by a call that may be sent again",
    async (dialect) => {
      const { provider, endpoint } = await startClassic(dialect);
      const { channel, user } = channelTo(new FixedRegistry([unknown(endpoint)]));
      const reply = await channel.call(SafeUser.methods.login, { name: "x" });
      expect(reply.success).toBe(true);
      const met = provider.connections;
      // From now on it is known, for all calls.
      expect((await user.login({ name: "x" })).success).toBe(true);
      expect(provider.connections).toBe(met + 1);
    },
  );

  test("is remembered of the endpoint, also when it goes from the list and comes back", async () => {
    const { provider, endpoint } = await startClassic("varint");
    const registry = new FixedRegistry([unknown(endpoint)]);
    const { channel, user } = channelTo(registry);
    await channel.call(SafeUser.methods.login, {});
    registry.publish([]);
    await settle();
    registry.publish([unknown(endpoint)]);
    await settle();
    const met = provider.connections;
    expect((await user.login({ name: "x" })).success).toBe(true);
    expect(provider.connections).toBe(met + 1);
  });

  test("is not tried out by a call that might run twice: its end tells what to set", async () => {
    const { provider, endpoint } = await startClassic("varint", () => undefined);
    const { user } = channelTo(new FixedRegistry([unknown(endpoint)]));
    provider.silent = true;
    const error = await failure(user.login({}, { timeoutMs: 700 }));
    expect(error).toMatchObject({ codeName: "DEADLINE_EXCEEDED", executed: "maybe" });
    expect(error.message).toContain("asked in the le32 dialect");
    expect(error.message).toContain("channel.classic=SERVICE=DIALECT");
    expect(provider.connections).toBe(1);
  });

  test("an empty reply is one of le32, if no other dialect has another", async () => {
    const { endpoint } = await startClassic("le32", () => Buffer.alloc(0));
    const { channel } = channelTo(new FixedRegistry([unknown(endpoint)]));
    expect(await channel.call(SafeUser.methods.login, {})).toEqual({ result: undefined, success: false });
  });

  test("also when the provider says nothing to the others, and does not close", async () => {
    const { provider, endpoint } = await startClassic("le32", () => Buffer.alloc(0));
    provider.silent = true;
    const { channel } = channelTo(new FixedRegistry([unknown(endpoint)]));
    const reply = await channel.call(SafeUser.methods.login, {}, { timeoutMs: 20_000 });
    expect(reply).toEqual({ result: undefined, success: false });
    expect(provider.connections).toBe(3);
  });

  test("no dialect is understood: the call fails with what the most likely one said", async () => {
    const { endpoint } = await startClassic("be32");
    const { channel } = channelTo(new FixedRegistry([unknown(endpoint)]));
    const error = await failure(channel.call(SafeUser.methods.login, {}, { timeoutMs: 3000 }));
    expect(error).toMatchObject({ codeName: "UNAVAILABLE", executed: "maybe" });
  });

  test.each([
    ["for the service", { "fixbug.UserServiceRpc": "varint" }],
    ["by its short name", { UserServiceRpc: "varint" }],
    ["for all", "varint"],
  ] as const)("is given %s", async (_how, classic) => {
    const { provider, endpoint } = await startClassic("varint");
    const runtime = createRuntime({
      transport: tcpTransport(systemClock),
      registry: new FixedRegistry([unknown(endpoint)]),
      settings: { channel: { classic } },
    });
    const channel = new RpcChannel(runtime);
    onTestFinished(() => channel.close());
    expect((await new UserServiceRpcStub(channel).login({ name: "x" })).success).toBe(true);
    expect([provider.connections, provider.aborts]).toEqual([1, 0]);
  });

  test("what the entry says counts more than what is said of the service", async () => {
    const { provider, endpoint } = await startClassic("framed");
    const { user } = channelTo(new FixedRegistry([endpoint]), { channel: { classic: "varint" } });
    expect((await user.login({ name: "x" })).success).toBe(true);
    expect([provider.connections, provider.aborts]).toEqual([1, 0]);
  });
});

describe("replies of varint, which have no length", () => {
  const rows = 10_000;
  const friends = Array.from({ length: rows }, (_, i) => Buffer.from(`friend ${i}`));
  const all = encodeMessage(GetFriendsListResponse, { result: {}, friends });

  /** The reply in pieces, with a pause of `pauseMs` between them. */
  async function replying(pieces: Buffer[], pauseMs: number, end = false) {
    const { provider, endpoint } = await startClassic("varint", () => undefined);
    provider.onRequest = async (socket) => {
      for (const piece of pieces) {
        socket.write(piece);
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
      if (end) socket.end();
    };
    const log = new RecordingLog();
    const runtime = createRuntime({
      transport: tcpTransport(systemClock),
      registry: new FixedRegistry([endpoint]),
      log,
    });
    const channel = new RpcChannel(runtime);
    onTestFinished(() => channel.close());
    return { friend: new FriendServiceRpcStub(channel), log };
  }

  test("a long one is read to its end: silence, or the end of the connection; and it is told once", async () => {
    const half = Math.floor(all.length / 2);
    for (const end of [false, true]) {
      const { friend, log } = await replying([all.subarray(0, half), all.subarray(half)], 1, end);
      for (let i = 0; i < 2; i++) {
        const reply = await friend.getFriendsList({ userid: 1 });
        expect(reply.friends).toHaveLength(rows);
      }
      const told = log.lines.filter(({ text }) => text.includes("does not say where a reply ends"));
      expect(told).toHaveLength(1);
    }
  });

  test("one of at most 1,024 bytes that decodes is taken as it comes", async () => {
    const short = encodeMessage(GetFriendsListResponse, { result: {}, friends: friends.slice(0, 20) });
    expect(short.length).toBeLessThan(1024);
    const { friend, log } = await replying([short], 60_000);
    expect((await friend.getFriendsList({})).friends).toHaveLength(20);
    expect(log.lines).toEqual([]);
  });

  test("one that stops in the middle of a field is INTERNAL, never a success", async () => {
    const { friend } = await replying([all.subarray(0, 5003)], 60_000);
    const error = await failure(friend.getFriendsList({}));
    expect(error).toMatchObject({ codeName: "INTERNAL", executed: "yes" });
    expect(error.rawMessage).toContain("cannot be decoded");
  });

  test("none at all and the end of the connection is UNAVAILABLE, maybe: a provider that was killed ends so", async () => {
    const { friend } = await replying([], 0, true);
    const error = await failure(friend.getFriendsList({}));
    expect(error).toMatchObject({ codeName: "UNAVAILABLE", executed: "maybe" });
    expect(error.rawMessage).toContain("without a reply, or with an empty one");
  });
});
