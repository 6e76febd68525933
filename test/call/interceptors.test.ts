import { describe, expect, test } from "vitest";
import { Metadata } from "../../src/base/metadata.js";
import type { CallContext } from "../../src/call/context.js";
import { ContextKey } from "../../src/call/context-key.js";
import type { ClientInterceptor, ServerInterceptor } from "../../src/call/interceptor.js";
import { RpcError } from "../../src/error/rpc-error.js";
import { Status } from "../../src/error/status.js";
import { settle } from "../../src/testing/index.js";
import { deferred, failure } from "../support/async.js";
import { startPair } from "../support/cluster.js";
import { Blob, ProbeService } from "../support/gen/probe.js";

describe("client interceptors", () => {
  const noting =
    (name: string, order: string[]): ClientInterceptor =>
    (next) =>
    async (call) => {
      order.push(`${name} in`);
      const reply = await next(call);
      order.push(`${name} out`);
      return reply;
    };

  test("the first is the outermost", async () => {
    const order: string[] = [];
    const { stub } = await startPair({ clientInterceptors: [noting("a", order), noting("b", order)] });
    await stub.echo({});
    expect(order).toEqual(["a in", "b in", "b out", "a out"]);
  });

  test("see the call, and may change request, metadata and reply", async () => {
    const { stub } = await startPair({
      clientInterceptors: [
        (next) => async (call) => {
          expect(call.method.fullName).toBe("probe.ProbeService.Echo");
          expect(call.timeLeftMs()).toBe(5000);
          call.request = { text: `${(call.request as { text: string }).text}!` };
          call.metadata.set("token", "t");
          const reply = await next(call);
          expect(reply.metadata.get("from")).toBe("handler");
          reply.message = { ...(reply.message as Blob), number: 9 };
          return reply;
        },
      ],
      handlers: {
        echo(request, context) {
          context.replyMetadata.set("from", "handler");
          return { text: `${request.text} ${context.metadata.get("token")}` };
        },
      },
    });
    expect(await stub.echo({ text: "hi" })).toMatchObject({ text: "hi! t", number: 9 });
  });

  test("may answer without calling", async () => {
    const { stub, provider } = await startPair({
      clientInterceptors: [
        () => async () => ({
          message: Blob.create({ text: "cached" }),
          metadata: new Metadata(),
          trailers: new Metadata(),
        }),
      ],
    });
    expect((await stub.echo({})).text).toBe("cached");
    expect(provider.connections).toBe(0);
  });

  test("may call twice: two attempts under one deadline", async () => {
    let served = 0;
    const lefts: number[] = [];
    const { stub, clock } = await startPair({
      clientInterceptors: [
        (next) => async (call) => {
          try {
            return await next(call);
          } catch (error) {
            expect(error).toMatchObject({ codeName: "UNAVAILABLE", executed: "yes" });
            clock.advance(300);
            return next(call);
          }
        },
      ],
      handlers: {
        echo(request, context) {
          lefts.push(context.timeLeftMs());
          if (served++ === 0) throw new RpcError(Status.UNAVAILABLE, "not yet");
          return request;
        },
      },
    });
    expect((await stub.echo({ text: "x" }, { timeoutMs: 1000 })).text).toBe("x");
    expect(lefts).toEqual([1000, 700]);
  });

  test("a second attempt after the deadline is not sent", async () => {
    const { stub, clock } = await startPair({
      clientInterceptors: [
        (next) => async (call) => {
          await next(call);
          clock.advance(2000);
          return next(call);
        },
      ],
    });
    const error = await failure(stub.echo({}, { timeoutMs: 1000 }));
    expect(error).toMatchObject({ codeName: "DEADLINE_EXCEEDED", executed: "never" });
    expect(error.rawMessage).toBe("no time is left of 1000 ms (timeoutMs, calltimeout)");
  });

  test("what they throw before the call: executed never, the method named", async () => {
    const { stub } = await startPair({
      clientInterceptors: [
        () => () => {
          throw new Error("no token");
        },
      ],
    });
    const error = await failure(stub.echo({}));
    expect(error).toMatchObject({ codeName: "UNKNOWN", executed: "never", attempts: 0 });
    expect(error.message).toMatch(
      /^\[unknown\] client interceptor 1 of 1 threw: no token \(probe\.ProbeService\.Echo, /,
    );
    expect(error.cause).toMatchObject({ message: "no token" });
  });

  test("what they throw after the call: executed maybe", async () => {
    const { stub } = await startPair({
      clientInterceptors: [
        (next) => async (call) => {
          await next(call);
          throw Object.create(null);
        },
      ],
    });
    expect(await failure(stub.echo({}))).toMatchObject({
      codeName: "UNKNOWN",
      executed: "maybe",
      attempts: 1,
    });
  });

  test("an RpcError of theirs keeps its code", async () => {
    const { stub } = await startPair({
      clientInterceptors: [
        () => async () => {
          throw new RpcError(Status.UNAUTHENTICATED, "no token");
        },
      ],
    });
    expect(await failure(stub.echo({}))).toMatchObject({
      codeName: "UNAUTHENTICATED",
      executed: "never",
      method: "probe.ProbeService.Echo",
    });
  });

  test.each([
    ["nothing", () => async () => undefined as never],
    [
      "another call",
      (next: Parameters<ClientInterceptor>[0]) => (call: never) => next({ ...(call as object) } as never),
    ],
  ])("one that gives %s fails the call", async (_, interceptor) => {
    const { stub } = await startPair({ clientInterceptors: [interceptor as ClientInterceptor] });
    expect(await failure(stub.echo({}))).toMatchObject({ codeName: "UNKNOWN" });
  });

  test("onMetadata is told of replies and of failures, through interceptors too", async () => {
    const { stub } = await startPair({
      clientInterceptors: [(next) => (call) => next(call)],
      handlers: {
        echo(request, context) {
          context.replyMetadata.set("a", request.text);
          if (request.text === "fail") throw new RpcError(Status.ABORTED, "again");
          return request;
        },
      },
    });
    const got: unknown[] = [];
    const onMetadata = (metadata: Iterable<unknown>) => void got.push([...metadata]);
    await stub.echo({ text: "well" }, { onMetadata });
    await failure(stub.echo({ text: "fail" }, { onMetadata }));
    expect(got).toEqual([[["a", "well"]], [["a", "fail"]]]);
  });

  test("they run with an RpcController as well", async () => {
    const order: string[] = [];
    const { stub } = await startPair({ clientInterceptors: [noting("a", order)] });
    const { RpcController } = await import("../../src/call/controller.js");
    await stub.echo({}, new RpcController());
    expect(order).toEqual(["a in", "a out"]);
  });
});

describe("a ContextKey", () => {
  test("hands a typed value from an interceptor to the handler, each call its own", async () => {
    const user = new ContextKey<string>("user");
    const other = new ContextKey<string>("user");
    const heard: unknown[] = [];
    const { stub } = await startPair({
      serverInterceptors: [
        (next) => async (call) => {
          const name = (call.request as { text: string }).text;
          if (name !== "") user.set(call.context, name);
          return next(call);
        },
      ],
      handlers: {
        echo: (request, context) => {
          heard.push(user.get(context), other.get(context));
          return { text: user.require(context) + request.number };
        },
      },
    });
    expect((await stub.echo({ text: "ann", number: 1 })).text).toBe("ann1");
    expect((await stub.echo({ text: "bob", number: 2 })).text).toBe("bob2");
    expect((await failure(stub.echo({}))).code).toBe(Status.UNKNOWN);
    expect(heard).toEqual(["ann", undefined, "bob", undefined, undefined, undefined]);
    const context = { method: ProbeService.methods.echo } as unknown as CallContext;
    expect(() => user.require(context)).toThrow(
      "probe.ProbeService.Echo: the context has no user; is its interceptor missing?",
    );
  });
});

describe("server interceptors", () => {
  const withServer = (...serverInterceptors: ServerInterceptor[]) => {
    let handled = 0;
    const pair = startPair({
      serverInterceptors,
      handlers: {
        echo(request) {
          handled++;
          return request;
        },
      },
    });
    return pair.then((all) => ({ ...all, handled: () => handled }));
  };

  test("the first is the outermost; they change the request and the reply", async () => {
    const order: string[] = [];
    const noting =
      (name: string): ServerInterceptor =>
      (next) =>
      async (call) => {
        order.push(`${name} in`);
        call.request = { ...(call.request as Blob), text: (call.request as Blob).text + name };
        const reply = await next(call);
        order.push(`${name} out`);
        const message = reply.message as Blob;
        reply.message = { ...message, number: (message.number ?? 0) + 1 };
        return reply;
      };
    const { stub } = await withServer(noting("a"), noting("b"));
    expect(await stub.echo({ text: "x" })).toMatchObject({ text: "xab", number: 2 });
    expect(order).toEqual(["a in", "b in", "b out", "a out"]);
  });

  test("one shape on both sides: the kind of the call, the reply's message, metadata and trailers", async () => {
    const seen: unknown[] = [];
    const { stub } = await startPair({
      clientInterceptors: [
        (next) => async (call) => {
          const { message, metadata, trailers } = await next(call);
          seen.push(["client", call.kind, (message as Blob).text, metadata.getText("by"), trailers.size]);
          return { message, metadata, trailers };
        },
      ],
      serverInterceptors: [
        (next) => async (call) => {
          const { message, metadata, trailers } = await next(call);
          metadata.set("by", "interceptor");
          seen.push(["server", call.kind, (message as Blob).text, metadata === call.context.replyMetadata]);
          return { message: { text: "other" }, metadata, trailers };
        },
      ],
      handlers: { echo: () => ({ text: "own" }) },
    });
    expect((await stub.echo({})).text).toBe("other");
    expect(seen).toEqual([
      ["server", "unary", "own", true],
      ["client", "unary", "other", "interceptor", 0],
    ]);
  });

  test("a refusal before the handler: executed never", async () => {
    const { stub, handled } = await withServer(() => async () => {
      throw new RpcError(Status.PERMISSION_DENIED, "not you");
    });
    expect(await failure(stub.echo({}))).toMatchObject({ codeName: "PERMISSION_DENIED", executed: "never" });
    expect(handled()).toBe(0);
  });

  test("a refusal UNAVAILABLE before the handler is tried once more, transparently", async () => {
    let refusals = 0;
    const { stub, handled } = await withServer((next) => async (call) => {
      if (refusals++ === 0) throw new RpcError(Status.UNAVAILABLE, "warming up");
      return next(call);
    });
    expect((await stub.echo({ text: "x" })).text).toBe("x");
    expect([refusals, handled()]).toEqual([2, 1]);
  });

  test("a failure after the handler: executed yes", async () => {
    const { stub, handled } = await withServer((next) => async (call) => {
      await next(call);
      throw new RpcError(Status.ABORTED, "audit failed");
    });
    expect(await failure(stub.echo({}))).toMatchObject({ codeName: "ABORTED", executed: "yes" });
    expect(handled()).toBe(1);
  });

  test.each(["sync", "async"])(
    "one that throws something else (%s): UNKNOWN, the log has it",
    async (how) => {
      const { stub, log } = await withServer(
        () =>
          (() => {
            if (how === "sync") throw new TypeError("boom");
            return Promise.reject(new TypeError("boom"));
          }) as never,
      );
      expect(await failure(stub.echo({}))).toMatchObject({ codeName: "UNKNOWN", executed: "never" });
      expect(log.at("error")).toEqual([
        "probe.ProbeService.Echo failed, server interceptor 1 of 1 threw: boom",
      ]);
    },
  );

  test("nested calls inside them know their parent", async () => {
    const { stub } = await startPair({
      serverInterceptors: [
        (next) => async (call) => {
          await settle();
          return next(call);
        },
      ],
      handlers: { echo: (_, context) => ({ number: context.timeLeftMs() }) },
    });
    expect((await stub.echo({}, { timeoutMs: 77 })).number).toBe(77);
  });
});

describe("an interceptor that is written wrong is named", () => {
  // What a program without types can pass.
  const wrong = (interceptor: (...args: never[]) => unknown) => interceptor as never;
  const passes: ClientInterceptor = (next) => async (call) => {
    const reply = await next(call);
    expect(reply.metadata.size).toBe(0);
    return reply;
  };
  const forgetful = wrong((next: (call: unknown) => unknown) => (call: unknown) => {
    next(call);
  });
  const refusing = wrong(() => async () => new RpcError(Status.NOT_FOUND, "no such blob"));
  const forgetfulLater = wrong((next: (call: unknown) => unknown) => async (call: unknown) => {
    await next(call);
  });
  const failing = wrong(() => async () => {
    throw new Error("no key");
  });
  const form = "expected (next) => (call) => next(call), got a function that";

  test.each([
    [
      "not curried",
      wrong(function auth(call: unknown, next: (call: unknown) => unknown) {
        return next(call);
      }),
      `"auth": ${form} threw when it was given next: next is not a function; it takes 2 arguments`,
    ],
    [
      "async itself",
      wrong(async function auth(next: unknown) {
        return next;
      }),
      `"auth": ${form} returns a promise: it must not be async itself`,
    ],
    ["returns nothing", wrong(() => {}), `1 of 1: ${form} returns undefined`],
  ])("%s: when the channel or the service is made", async (_, interceptor, text) => {
    await expect(startPair({ clientInterceptors: [interceptor] })).rejects.toThrow(
      `client interceptor ${text}`,
    );
    await expect(startPair({ serverInterceptors: [interceptor] })).rejects.toThrow(
      `server interceptor ${text}`,
    );
  });

  test.each([
    [
      "forgot to return",
      { forgetful },
      '"forgetful" must return a promise of the reply, got nothing: write return next(call)',
    ],
    ["resolves with nothing", { forgetfulLater }, '"forgetfulLater" gave nothing as the reply'],
    ["throws", { failing }, '"failing" threw: no key'],
  ])("%s: at the caller, whatever stands around it", async (_, named, text) => {
    const [interceptor] = Object.entries(named).map(
      ([name, value]) => Object.defineProperty(value as object, "name", { value: name }) as never,
    );
    const { stub } = await startPair({
      clientInterceptors: [passes, interceptor as never, (next) => (call) => next(call)],
    });
    const error = await failure(stub.echo({}));
    expect(error.codeName).toBe("UNKNOWN");
    expect(error.rawMessage.startsWith(`client interceptor ${text}`), error.rawMessage).toBe(true);
  });

  test.each([
    ["forgot to return", { forgetful }, '"forgetful" must return a promise of the reply'],
    [
      "resolves with nothing",
      { forgetfulLater },
      '"forgetfulLater" gave nothing as the reply: an interceptor must give the reply of next(call)',
    ],
    [
      "resolves with an error",
      { refusing },
      '"refusing" gave an RpcError as the reply: an interceptor must give the reply of next(call)',
    ],
    ["throws", { failing }, '"failing" threw: no key'],
  ])("%s: in the provider's log", async (_, named, text) => {
    const [interceptor] = Object.entries(named).map(
      ([name, value]) => Object.defineProperty(value as object, "name", { value: name }) as never,
    );
    const { stub, log } = await startPair({
      serverInterceptors: [(next) => async (call) => next(call), interceptor as never],
    });
    await failure(stub.echo({}));
    await expect.poll(() => log.at("error").join()).toContain(`server interceptor ${text}`);
  });

  test("a handler's own failure is not blamed on them", async () => {
    const { stub, log } = await startPair({
      serverInterceptors: [(next) => async (call) => next(call)],
      handlers: {
        echo() {
          throw new Error("boom");
        },
      },
    });
    await failure(stub.echo({}));
    await expect.poll(() => log.at("error")).toEqual(["probe.ProbeService.Echo failed: boom"]);
  });
});

describe("oneway calls", () => {
  test("resolve when sent; the handler runs, and what it does is not told", async () => {
    const ran = deferred<string>("the handler");
    const { channel, provider } = await startPair({
      handlers: {
        note({ text }) {
          ran.resolve(text);
          throw new Error("nobody hears it");
        },
      },
    });
    expect(await channel.oneway(ProbeService.methods.note, { text: "hello" })).toBeUndefined();
    expect(await ran.promise).toBe("hello");
    await settle();
    expect(provider.inFlight).toBe(0);
  });

  test("keep their order and need no numbers", async () => {
    const seen: number[] = [];
    const { channel, stub } = await startPair({
      handlers: {
        note(request) {
          seen.push(request.number);
          return request;
        },
      },
    });
    for (let number = 0; number < 200; number++) {
      await channel.oneway(ProbeService.methods.note, { number });
    }
    await stub.echo({});
    expect(seen).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });

  test.each([false, true])("one sent right before close() arrives (tcp %s)", async (tcp) => {
    const ran = deferred<number>("the handler");
    const { channel } = await startPair({
      tcp,
      handlers: {
        note(request) {
          ran.resolve(request.data.length);
          return request;
        },
      },
    });
    await channel.oneway(ProbeService.methods.note, { data: Buffer.alloc(3_000_000) });
    await channel.close();
    expect(await ran.promise).toBe(3_000_000);
  });

  test("fail when they cannot be sent", async () => {
    const { channel } = await startPair({ handlers: null });
    expect(await failure(channel.oneway(ProbeService.methods.note, {}))).toMatchObject({
      codeName: "UNAVAILABLE",
      executed: "never",
    });
  });

  test("carry deadline and metadata", async () => {
    const seen = deferred<unknown>("the handler");
    const { channel } = await startPair({
      handlers: {
        note(request, context) {
          seen.resolve([context.timeLeftMs(), context.metadata.get("a")]);
          return request;
        },
      },
    });
    await channel.oneway(ProbeService.methods.note, {}, { timeoutMs: 900, metadata: { a: "b" } });
    expect(await seen.promise).toEqual([900, "b"]);
  });
});
