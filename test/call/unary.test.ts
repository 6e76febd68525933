import { describe, expect, test } from "vitest";
import { RpcError } from "../../src/error/rpc-error.js";
import { Status } from "../../src/error/status.js";
import { deferred, failure, seeded } from "../support/async.js";
import { Cluster, everyWay, startPair } from "../support/cluster.js";
import { ProbeServiceStub, SideService, SideServiceStub } from "../support/gen/probe.js";
import { wheelOf } from "../support/wheel.js";

describe.each(everyWay.map((over) => ({ over })))("unary calls over $over", ({ over }) => {
  test("a call answers with every field of the reply", async () => {
    const { stub } = await startPair({
      over,
      handlers: { echo: ({ text, number }) => ({ text: text.toUpperCase(), number: number + 1 }) },
    });
    const reply = await stub.echo({ text: "abc", number: 41 });
    expect(reply).toEqual({ data: Buffer.alloc(0), text: "ABC", number: 42 });
  });

  test("an empty request and an empty reply", async () => {
    const { stub } = await startPair({ over, handlers: { echo: () => ({}) } });
    expect(await stub.echo({})).toEqual({ data: Buffer.alloc(0), text: "", number: 0 });
  });

  test("handlers may be synchronous, asynchronous, or give any thenable", async () => {
    const { stub } = await startPair({
      over,
      handlers: {
        echo: () => ({ text: "now" }),
        relay: async () => ({ text: "later" }),
        // biome-ignore lint/suspicious/noThenProperty: a thenable is what is tested.
        note: () => ({ then: (give: (value: object) => void) => give({ text: "then" }) }) as never,
      },
    });
    expect((await stub.echo({})).text).toBe("now");
    expect((await stub.relay({})).text).toBe("later");
    expect((await stub.note({})).text).toBe("then");
  });

  test("two thousand calls at a time, answered out of order, each get their own reply", async () => {
    const random = seeded(7);
    const { stub } = await startPair({
      over,
      handlers: {
        async echo({ number }) {
          for (let turns = random() * 4; turns > 0; turns--) await new Promise((go) => setImmediate(go));
          return { number: -number, text: String(number) };
        },
      },
    });
    const replies = await Promise.all(Array.from({ length: 2000 }, (_, number) => stub.echo({ number })));
    expect(replies.map(({ number, text }) => [-number, text])).toEqual(
      replies.map((_, number) => [number === 0 ? -0 : number, String(number)]),
    );
  });

  test.each([0, 1, 65_535, 65_536, 1 << 20, (4 << 20) - 64])(
    "a body of %i bytes, there and back",
    async (size) => {
      const { stub } = await startPair({ over });
      const data = Buffer.alloc(size, "mprpc");
      const reply = await stub.echo({ data });
      expect(reply.data.length).toBe(size);
      expect(reply.data.equals(data)).toBe(true);
    },
  );

  test("many large bodies at a time stay whole", async () => {
    const { stub } = await startPair({ over });
    const bodies = Array.from({ length: 24 }, (_, i) => Buffer.alloc(200_000 + i, i));
    const replies = await Promise.all(bodies.map((data) => stub.echo({ data })));
    expect(replies.every(({ data }, i) => data.equals(bodies[i] as Buffer))).toBe(true);
  });

  test("two services of one provider share the connection", async () => {
    const cluster = new Cluster({ over });
    const { RpcProvider } = await import("../../src/server/provider.js");
    const runtime = cluster.runtime();
    const provider = new RpcProvider(runtime);
    const { ProbeService } = await import("../support/gen/probe.js");
    provider.notifyService(ProbeService, { echo: (r) => r, relay: (r) => r, note: (r) => r });
    provider.notifyService(SideService, { echo: () => ({ text: "side" }) });
    await provider.start();
    cluster.onClose(() => provider.shutdown());
    const channel = cluster.channel();
    const replies = await Promise.all([
      new ProbeServiceStub(channel).echo({ text: "probe" }),
      new SideServiceStub(channel).echo({}),
    ]);
    expect(replies.map(({ text }) => text)).toEqual(["probe", "side"]);
    expect(provider.connections).toBe(1);
  });
});

test("a handler sees what there is to know of its call", async () => {
  const seen = deferred<Record<string, unknown>>("the handler");
  const { stub, providerRuntime, provider } = await startPair({
    handlers: {
      echo(request, context) {
        seen.resolve({
          method: context.method.fullName,
          peer: context.peer,
          left: context.timeLeftMs(),
          key: context.idempotencyKey,
          aborted: context.signal.aborted,
          metadata: [...context.metadata],
          canceled: context.controller.isCanceled(),
        });
        return request;
      },
    },
  });
  await stub.echo({}, { timeoutMs: 700, idempotencyKey: "order-7" });
  expect(await seen.promise).toEqual({
    method: "probe.ProbeService.Echo",
    peer: { address: expect.stringMatching(/^127\.0\.0\.1:\d+$/), protocol: "mprpc", identities: {} },
    left: 700,
    key: "order-7",
    aborted: false,
    metadata: [],
    canceled: false,
  });
  expect(wheelOf(providerRuntime).size).toBe(0);
  expect(provider.inFlight).toBe(0);
});

test("handlers are called as methods of their object", async () => {
  class Counter {
    count = 0;
    echo() {
      return { number: ++this.count };
    }
    relay() {
      return {};
    }
    note() {
      return {};
    }
  }
  const counter = new Counter();
  const cluster = new Cluster({});
  await cluster.provider(counter);
  // `provider` spreads its handlers, so the class goes in by hand.
  const { RpcProvider } = await import("../../src/server/provider.js");
  const { ProbeService } = await import("../support/gen/probe.js");
  const own = new RpcProvider(cluster.runtime({ registry: (await separate(cluster)).registry }));
  own.notifyService(ProbeService, counter);
  await own.start();
  cluster.onClose(() => own.shutdown());
  const channel = cluster.channel({ registry: (await separate(cluster)).registry });
  await new ProbeServiceStub(channel).echo({});
  await new ProbeServiceStub(channel).echo({});
  expect(counter.count).toBe(2);
});

const stores = new WeakMap<Cluster, import("../../src/testing/index.js").MemoryStore>();
/** A registry apart from the cluster's own. */
async function separate(cluster: Cluster) {
  const { MemoryStore, memoryRegistry } = await import("../../src/testing/index.js");
  const store = stores.get(cluster) ?? new MemoryStore();
  stores.set(cluster, store);
  return { registry: memoryRegistry({ store, clock: cluster.clock }) };
}

test("the generic form of a call: a method definition and a request", async () => {
  const { channel } = await startPair();
  const { ProbeService } = await import("../support/gen/probe.js");
  const reply = await channel.call(ProbeService.methods.echo, { text: "hello" });
  expect(reply.text).toBe("hello");
});

test("a reply the caller cannot read is INTERNAL, executed yes, and the connection lives on", async () => {
  const { channel, stub } = await startPair();
  const { ProbeService } = await import("../support/gen/probe.js");
  const strange = {
    ...ProbeService.methods.echo,
    output: {
      ...ProbeService.methods.echo.output,
      decode(): never {
        throw new RangeError("cut short");
      },
    },
  };
  const error = await failure(channel.call(strange, { text: "x" }));
  expect(error).toMatchObject({ codeName: "INTERNAL", executed: "yes" });
  expect(error.rawMessage).toBe("the reply cannot be decoded as probe.Blob: cut short");
  expect(error).toMatchObject({ phase: "receive" });
  expect((await stub.echo({ text: "still here" })).text).toBe("still here");
});

test("a request the provider cannot read is INTERNAL, executed never", async () => {
  let ran = false;
  const { channel } = await startPair({
    handlers: {
      echo(request) {
        ran = true;
        return request;
      },
    },
  });
  const { ProbeService } = await import("../support/gen/probe.js");
  const strange = {
    ...ProbeService.methods.echo,
    input: {
      ...ProbeService.methods.echo.input,
      encode(_: unknown, writer: import("../../src/protobuf/writer.js").Writer) {
        writer.uint32(0x0a).uint32(500);
      },
    },
  };
  const error = await failure(channel.call(strange, {}));
  expect(error).toMatchObject({ codeName: "INTERNAL", executed: "never" });
  expect(error.rawMessage).toMatch(/^the request cannot be decoded as probe\.Blob: /);
  expect(ran).toBe(false);
});

test("a request of the wrong kind fails here, executed never, and the next call is whole", async () => {
  const { stub } = await startPair();
  const error = await failure(stub.echo({ text: 7 as never }));
  expect(error).toMatchObject({ codeName: "INTERNAL", executed: "never", phase: "send" });
  expect(error.rawMessage).toMatch(/the request cannot be encoded: .*Blob\.text/);
  expect((await stub.echo({ text: "fine" })).text).toBe("fine");
});

test("an unknown method is UNIMPLEMENTED, executed never, by its name and again by its index", async () => {
  const { channel } = await startPair();
  const { ProbeService } = await import("../support/gen/probe.js");
  const missing = { ...ProbeService.methods.echo, name: "Missing", fullName: "probe.ProbeService.Missing" };
  for (let i = 0; i < 2; i++) {
    const error = await failure(channel.call(missing, {}));
    expect(error).toMatchObject({ codeName: "UNIMPLEMENTED", executed: "never" });
    if (i === 0) expect(error.rawMessage).toBe("this provider has no method probe.ProbeService.Missing");
  }
});

test("the time of a call in JSON includes the question for its messages", async () => {
  const pair = await startPair({
    clientInterceptors: [
      (next) => async (call) => {
        const reply = await next(call);
        if (call.method.name === "Describe") pair.clock.advance(400);
        return reply;
      },
    ],
    handlers: {
      echo() {
        throw new RpcError(Status.ABORTED, "again");
      },
    },
  });
  const call = (timeoutMs: number) =>
    failure(pair.channel.callJson("probe.ProbeService", "Echo", {}, { timeoutMs }));
  expect(await call(300)).toMatchObject({
    codeName: "DEADLINE_EXCEEDED",
    rawMessage: "no time is left of 300 ms (timeoutMs, calltimeout)",
    elapsedMs: 400,
  });
  // What it was told is remembered.
  expect(await call(300)).toMatchObject({ codeName: "ABORTED", elapsedMs: 0 });
});
