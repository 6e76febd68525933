import { describe, expect, onTestFinished, test } from "vitest";
import { LoginResponse, UserServiceRpcStub } from "../../example/caller/src/gen/user.js";
import { systemClock } from "../../src/base/clock.js";
import { RpcChannel } from "../../src/channel/channel.js";
import type { Endpoint, Registry } from "../../src/registry/registry.js";
import { StaticRegistry } from "../../src/registry/static.js";
import { createRuntime, type SettingsInit, settle } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { type ClassicDialect, classicDialects } from "../../src/wire/classic.js";
import { encodeMessage } from "../../src/wire/codec/types.js";
import { failure } from "../support/async.js";
import { FixedRegistry } from "../support/fixed-registry.js";
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
    { ...one.endpoint, classicMethods: ["Register"] },
    { ...other.endpoint, classicMethods: ["Login"] },
  ]);
  const { user } = channelTo(registry);
  for (let i = 0; i < 8; i++) await user.login({});
  expect([one.provider.connections, other.provider.connections]).toEqual([0, 8]);
});

test("none has the method: UNIMPLEMENTED, and nobody is asked", async () => {
  const { provider, endpoint } = await startClassic("le32");
  const { user } = channelTo(new FixedRegistry([{ ...endpoint, classicMethods: ["Login"] }]));
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
