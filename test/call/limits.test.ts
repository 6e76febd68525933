import { describe, expect, test } from "vitest";
import { Metadata } from "../../src/base/metadata.js";
import { deferred, failure } from "../support/async.js";
import { startPair } from "../support/cluster.js";
import { ProbeServiceStub } from "../support/gen/probe.js";

const small = { limits: { bodyMaxBytes: 100_000 } };
const fits = Buffer.alloc(99_990);
const over = Buffer.alloc(100_001);

describe("bodies over the limit", () => {
  test("a request is refused here, with the key that changes it, and was never sent", async () => {
    const { stub, provider } = await startPair({ settings: small });
    const error = await failure(stub.echo({ data: over }));
    expect(error).toMatchObject({ codeName: "RESOURCE_EXHAUSTED", executed: "never" });
    expect(error.rawMessage).toBe("a request of 100005 bytes is over the limit of 100000 (limits.body)");
    expect((await stub.echo({ data: fits })).data.length).toBe(fits.length);
    expect(provider.connections).toBe(1);
  });

  test("the provider's own limit: told by its settings, and refused before sending", async () => {
    const { cluster, stub: _ } = await startPair({ settings: small });
    const stub = new ProbeServiceStub(
      cluster.channel({}, cluster.runtime({ settings: { limits: { bodyMaxBytes: 1 << 22 } } })),
    );
    await stub.echo({});
    const error = await failure(stub.echo({ data: over }));
    expect(error).toMatchObject({ codeName: "RESOURCE_EXHAUSTED", executed: "never" });
    expect(error.rawMessage).toBe(
      "a request of 100005 bytes is over the provider's limit of 100000 (its limits.body)",
    );
  });

  test("sent before the settings came: the provider passes over it and the connection lives", async () => {
    const { cluster, provider } = await startPair({ settings: small });
    const stub = new ProbeServiceStub(
      cluster.channel({}, cluster.runtime({ settings: { limits: { bodyMaxBytes: 1 << 22 } } })),
    );
    const [first, second] = await Promise.allSettled([
      stub.echo({ data: Buffer.alloc(3_000_000) }),
      stub.echo({ text: "after" }),
    ]);
    expect(first).toMatchObject({
      status: "rejected",
      reason: { codeName: "RESOURCE_EXHAUSTED", executed: "never" },
    });
    expect((first as PromiseRejectedResult).reason.rawMessage).toBe(
      "a request of 3000005 bytes is over the provider's limit of 100000 (limits.body)",
    );
    expect(second).toMatchObject({ status: "fulfilled", value: { text: "after" } });
    expect(provider.connections).toBe(1);
    // The skipped call agreed on the method's index all the same.
    expect((await stub.echo({ text: "again" })).text).toBe("again");
  });

  test("a reply over the provider's limit is RESOURCE_EXHAUSTED, executed yes", async () => {
    const { stub } = await startPair({ settings: small, handlers: { echo: () => ({ data: over }) } });
    const error = await failure(stub.echo({}));
    expect(error).toMatchObject({ codeName: "RESOURCE_EXHAUSTED", executed: "yes" });
    expect(error.rawMessage).toMatch(/^the reply takes 100005 bytes .*100000 \(limits\.body\)/);
    expect((await stub.relay({ text: "alive" })).text).toBe("alive");
  });

  test("a reply over the caller's limit too", async () => {
    const { cluster } = await startPair({ handlers: { echo: () => ({ data: over }) } });
    const stub = new ProbeServiceStub(cluster.channel({}, cluster.runtime({ settings: small })));
    const error = await failure(stub.echo({}));
    expect(error).toMatchObject({ codeName: "RESOURCE_EXHAUSTED", executed: "yes" });
    expect(error.rawMessage).toContain("limits.body");
    expect((await stub.relay({ text: "alive" })).text).toBe("alive");
  });
});

describe("headers over the limit", () => {
  const large = new Metadata({ blob: Buffer.alloc(70_000) });

  test("metadata of a request are refused here", async () => {
    const { stub } = await startPair();
    const error = await failure(stub.echo({}, { metadata: large }));
    expect(error).toMatchObject({ codeName: "RESOURCE_EXHAUSTED", executed: "never" });
    expect(error.rawMessage).toMatch(
      /metadata make a header of 70\d\d\d bytes, over the limit of 65536 \(limits\.header\)/,
    );
    expect((await stub.echo({ text: "alive" })).text).toBe("alive");
  });

  test("metadata of a reply fail the call, executed yes", async () => {
    const { stub } = await startPair({
      handlers: {
        echo(request, context) {
          context.replyMetadata.set("blob", Buffer.alloc(70_000));
          return request;
        },
      },
    });
    const error = await failure(stub.echo({}));
    expect(error).toMatchObject({ codeName: "RESOURCE_EXHAUSTED", executed: "yes" });
    expect(error.rawMessage).toContain("limits.header");
    expect((await stub.relay({ text: "alive" })).text).toBe("alive");
  });

  test("metadata just below the limit arrive", async () => {
    const { stub } = await startPair({
      handlers: { echo: (_, context) => ({ number: context.metadata.get("blob")?.length ?? -1 }) },
    });
    const reply = await stub.echo({}, { metadata: { blob: Buffer.alloc(65_000) } });
    expect(reply.number).toBe(65_000);
  });
});

describe("metadata", () => {
  test("text and binary, repeated keys and order, both ways", async () => {
    const seen = deferred<Metadata>("the handler's metadata");
    const { stub } = await startPair({
      handlers: {
        echo(request, context) {
          seen.resolve(context.metadata);
          context.replyMetadata
            .append("Trace", "a")
            .append("trace", Buffer.from([1, 2]))
            .append("x", "ü€");
          return request;
        },
      },
    });
    const received = deferred<Metadata>("the reply's metadata");
    const options = {
      metadata: { Tenant: ["t1", "t2"], key: Buffer.from([0, 1, 255]), empty: "" },
      onMetadata: received.resolve,
    };
    await stub.echo({}, options);
    expect([...(await seen.promise)]).toEqual([
      ["tenant", "t1"],
      ["tenant", "t2"],
      ["key", Buffer.from([0, 1, 255])],
      ["empty", ""],
    ]);
    expect([...(await received.promise)]).toEqual([
      ["trace", "a"],
      ["trace", Buffer.from([1, 2])],
      ["x", "ü€"],
    ]);
  });

  test("onMetadata comes before the promise settles, and not at all without metadata", async () => {
    const { stub } = await startPair({
      handlers: {
        relay(request, context) {
          context.replyMetadata.set("a", "b");
          return request;
        },
      },
    });
    const order: string[] = [];
    const options = { onMetadata: () => void order.push("metadata") };
    await stub.echo({}, options).then(() => order.push("echo"));
    await stub.relay({}, options).then(() => order.push("relay"));
    expect(order).toEqual(["echo", "metadata", "relay"]);
  });

  test("an onMetadata that throws hurts nobody", async () => {
    const { stub, log } = await startPair({
      handlers: {
        echo(request, context) {
          context.replyMetadata.set("a", "b");
          return request;
        },
      },
    });
    const onMetadata = () => {
      throw new Error("broken");
    };
    expect((await stub.echo({ text: "x" }, { onMetadata })).text).toBe("x");
    expect(log.at("error")).toEqual(["a caller's onMetadata threw"]);
  });

  test.each([
    ["a bad key", { "a b": "c" }],
    ["a bad value", { a: 7 as never }],
    ["no object", null as never],
  ])("%s fails the call, executed never", async (_, metadata) => {
    const { stub } = await startPair();
    expect(await failure(stub.echo({}, { metadata }))).toMatchObject({
      codeName: "INTERNAL",
      executed: "never",
      method: "probe.ProbeService.Echo",
    });
  });

  test("the caller's own Metadata does not change, also when interceptors add to theirs", async () => {
    const mine = new Metadata({ a: "1" });
    const { stub } = await startPair({
      clientInterceptors: [
        (next) => (call) => {
          call.metadata.set("b", "2");
          return next(call);
        },
      ],
      handlers: { echo: (_, context) => ({ text: [...context.metadata].flat().join() }) },
    });
    expect((await stub.echo({}, { metadata: mine })).text).toBe("a,1,b,2");
    expect([...mine]).toEqual([["a", "1"]]);
  });
});

test("the calls in flight on one connection: refused here once the provider's limit is known, by it before", async () => {
  const hold = deferred();
  const { stub } = await startPair({
    settings: { provider: { inFlightPerConnectionMax: 3 } },
    handlers: {
      async echo(request) {
        await hold.promise;
        return request;
      },
    },
  });
  const burst = Array.from({ length: 10 }, (_, number) => stub.echo({ number }, { timeoutMs: Infinity }));
  const refused = await Promise.all(burst.slice(3).map(failure));
  for (const error of refused) {
    expect(error).toMatchObject({ codeName: "RESOURCE_EXHAUSTED", executed: "never" });
    expect(error.rawMessage).toContain("provider.maxinflightperconnection");
  }
  const late = await failure(stub.echo({}));
  expect(late).toMatchObject({ codeName: "RESOURCE_EXHAUSTED", executed: "never", phase: "send" });
  hold.resolve();
  expect((await Promise.all(burst.slice(0, 3))).map(({ number }) => number)).toEqual([0, 1, 2]);
  expect((await stub.relay({ text: "room again" })).text).toBe("room again");
});

test("the calls in flight at one provider, over all connections", async () => {
  const hold = deferred();
  const { cluster, provider } = await startPair({
    settings: { provider: { inFlightMax: 3 } },
    handlers: {
      async echo(request) {
        await hold.promise;
        return request;
      },
    },
  });
  const stubs = Array.from({ length: 5 }, () => new ProbeServiceStub(cluster.channel()));
  const calls = stubs.map((stub, number) => stub.echo({ number }));
  const settled = Promise.allSettled(calls);
  const errors = await Promise.all([calls[3], calls[4]].map((call) => failure(call as Promise<unknown>)));
  for (const error of errors) {
    expect(error).toMatchObject({ codeName: "RESOURCE_EXHAUSTED", executed: "never" });
    expect(error.rawMessage).toBe("3 calls are in flight, the provider's limit (provider.maxinflight)");
  }
  hold.resolve();
  expect((await settled).map(({ status }) => status)).toEqual([
    "fulfilled",
    "fulfilled",
    "fulfilled",
    "rejected",
    "rejected",
  ]);
  expect(provider.inFlight).toBe(0);
});
