import { expect, test } from "vitest";
import { encodeMessage } from "../../src/protobuf/types.js";
import type { Http2Options } from "../../src/protocol/http2/options.js";
import { RpcProvider } from "../../src/server/provider.js";
import { settle } from "../../src/testing/index.js";
import { deferred, failure } from "../support/async.js";
import { Cluster } from "../support/cluster.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { FlowService, FlowServiceStub } from "../support/gen/flow.js";
import { Blob, ProbeServiceStub } from "../support/gen/probe.js";
import { framed, RawClient } from "./raw.js";

const grpcFields = { "content-type": "application/grpc", te: "trailers" };
const echoPath = "/probe.ProbeService/Echo";

async function served(
  handlers: Parameters<Cluster["provider"]>[0] = {},
  settings: ConstructorParameters<typeof Cluster>[0]["settings"] = {},
) {
  const cluster = new Cluster({ settings });
  const provider = await cluster.provider(handlers);
  const address = provider.address as { host: string; port: number };
  const raw = (options: Partial<Http2Options> = {}) =>
    RawClient.connect(cluster.network, address, cluster.clock, options);
  return { cluster, provider, address, raw };
}

function grpcChannel(cluster: Cluster, provider: RpcProvider) {
  const address = provider.address as { host: string; port: number };
  const registry = new FixedRegistry([{ ...address, protocol: "grpc", weight: 1, attributes: {} }]);
  return new ProbeServiceStub(cluster.channel({ registry }));
}

test("one port: the same handler answers mprpc/2 and gRPC, and the context says which", async () => {
  const { cluster, provider } = await served({
    echo: (_request, context) => ({
      text: `${context.peer.protocol} ${context.metadata.getText("who")} ${context.timeLeftMs() > 0}`,
    }),
  });
  const options = { metadata: { who: "me" } };
  const ours = new ProbeServiceStub(cluster.channel());
  expect((await ours.echo({}, options)).text).toBe("mprpc me true");
  expect((await grpcChannel(cluster, provider).echo({}, options)).text).toBe("grpc me true");
});

const noCalls = [
  [{ ":method": "GET", ":path": "/index.html" }, "404", "no method /index.html"],
  [{ ":path": echoPath, "content-type": "application/json" }, "415", "content-type application/json"],
  [{ ":method": "GET", ":path": echoPath }, "405", "POST"],
] as const;

test.each(noCalls)(
  "a request that is no call is answered in HTTP at once: %j",
  async (fields, status, text) => {
    const { raw } = await served();
    const client = await raw();
    const whole = client.request(fields, Buffer.alloc(0));
    await whole.over;
    expect(whole.headers?.[":status"]).toBe(status);
    expect(whole.body.toString()).toContain(text);
    const open = client.request(fields);
    await open.over;
    expect(open.headers?.[":status"]).toBe(status);
    expect(open.body.toString()).toContain(text);
    // What it sends all the same is counted and given back: far more than the window of the connection.
    const chatty = Array.from({ length: 40 }, () => client.request(fields));
    for (const { stream } of chatty) stream?.write(Buffer.alloc(60_000), false);
    await Promise.all(chatty.map(({ over }) => over));
    const last = client.request(fields, Buffer.alloc(60_000));
    await last.over;
    expect(last.headers?.[":status"]).toBe(status);
    expect(client.closed).toBeUndefined();
  },
);

test.each(noCalls)(
  "a request that is no call, and stays open, holds no shutdown: %j",
  async (fields, status) => {
    const { raw, provider } = await served();
    const client = await raw();
    const open = client.request(fields);
    await open.over;
    expect(open.headers?.[":status"]).toBe(status);
    // Time stands still: one that waited for the request would wait for ever.
    await provider.shutdown();
    expect(client.closed).toBeDefined();
  },
);

test("HEAD is answered without a text, which would break its rule", async () => {
  const { raw } = await served();
  const head = (await raw()).request({ ":method": "HEAD", ":path": "/index.html" }, Buffer.alloc(0));
  await head.over;
  expect(head.headers?.[":status"]).toBe("404");
  expect(head.body).toHaveLength(0);
});

test("a caller whose windows have no room for a text is told the status, and holds no shutdown", async () => {
  const { raw, provider } = await served();
  const client = await raw({ windowBytes: 0 });
  const open = client.request(noCalls[0][0]);
  await open.over;
  expect(open.headers?.[":status"]).toBe("404");
  expect(open.body).toHaveLength(0);
  await provider.shutdown();
});

test.each([
  [{ ":path": "/no.Such/Method" }, "12", "no method"],
  [{ "grpc-encoding": "br" }, "12", "grpc-encoding br"],
  [{ "grpc-timeout": "1x" }, "13", "grpc-timeout 1x"],
  [{ "grpc-timeout": "0m" }, "4", "deadline"],
  [{ "x-bin": "?" }, "13", "x-bin"],
  [{ "content-type": "application/grpc+thrift" }, "12", "grpc+thrift"],
])("%j: trailers alone with grpc-status %s, and no handler ran", async (fields, status, text) => {
  const { raw } = await served();
  const side = (await raw()).request({ ":path": echoPath, ...grpcFields, ...fields }, framed());
  await side.over;
  expect(side.headers).toMatchObject({
    ...{ ":status": "200", "content-type": "application/grpc" },
    ...{ "grpc-status": status, "mprpc-executed": "never" },
  });
  expect(side.headers?.["grpc-message"]).toContain(text);
  if ("grpc-encoding" in fields) expect(side.headers?.["grpc-accept-encoding"]).toBe("identity,gzip");
});

test.each([
  ["no message", Buffer.alloc(0), "without any"],
  ["two messages", Buffer.concat([framed(), framed()]), "a second one"],
  ["half a message", framed(Buffer.alloc(9)).subarray(0, 8), "in the middle"],
  ["what is no message", framed(Buffer.from([0xff])), "cannot be decoded"],
])("a unary call with %s fails INTERNAL", async (_name, body, text) => {
  const { raw, provider } = await served();
  const side = (await raw()).request({ ":path": echoPath, ...grpcFields }, body);
  await side.over;
  expect(side.headers?.["grpc-status"]).toBe("13");
  expect(side.headers?.["grpc-message"]).toContain(text);
  expect(provider.inFlight).toBe(0);
});

test("application/grpc+json", async () => {
  const { raw } = await served({ echo: ({ text }) => ({ text: `${text}!`, data: Buffer.from("ab") }) });
  const fields = { ":path": echoPath, ...grpcFields, "content-type": "application/grpc+json" };
  const side = (await raw()).request(fields, framed(Buffer.from('{"text": "hé", "unknown": 1}')));
  await side.over;
  expect(side.headers?.["content-type"]).toBe("application/grpc+json");
  expect(JSON.parse(side.body.toString("utf8", 5))).toEqual({ text: "hé!", data: "YWI=" });
  expect(side.trailers).toEqual({ "grpc-status": "0" });
});

test("an answer before the request is whole: trailers, and then the stream is reset without an error", async () => {
  const { raw } = await served({}, { limits: { bodyMaxBytes: 1024 } });
  const client = await raw();
  const side = client.request({ ":path": echoPath, ...grpcFields });
  const large = framed(Buffer.alloc(4096));
  side.stream?.write(large.subarray(0, 100), false);
  await side.over;
  expect(side.headers?.["grpc-status"]).toBe("8");
  expect(side.failure).toBeUndefined();
  const again = client.request({ ":path": echoPath, ...grpcFields }, framed());
  await again.over;
  expect(again.trailers?.["grpc-status"]).toBe("0");
});

test("a request that does not become whole is ended by its deadline", async () => {
  const { cluster, provider, raw } = await served();
  const side = (await raw()).request({ ":path": echoPath, ...grpcFields, "grpc-timeout": "500m" });
  side.stream?.write(framed(Buffer.alloc(9)).subarray(0, 8), false);
  await expect.poll(() => provider.inFlight).toBe(1);
  await cluster.clock.run(600);
  await side.over;
  expect(side.headers?.["grpc-status"]).toBe("4");
  expect(provider.inFlight).toBe(0);
});

test("users can neither set nor see mprpc-executed; a handler's failure says yes", async () => {
  const { cluster, provider, raw } = await served({
    echo: (_request, context) => {
      expect(context.metadata.has("mprpc-executed")).toBe(false);
      context.replyTrailers.set("mprpc-executed", "never");
      throw new Error("broken");
    },
  });
  const fields = { ":path": echoPath, ...grpcFields, "mprpc-executed": "never" };
  const side = (await raw()).request(fields, framed());
  await side.over;
  expect(side.headers).toMatchObject({ "grpc-status": "2", "mprpc-executed": "yes" });
  const error = await failure(grpcChannel(cluster, provider).echo({}));
  expect(error).toMatchObject({ executed: "yes", codeName: "UNKNOWN" });
  expect(error.trailers?.has("mprpc-executed") ?? false).toBe(false);
});

test("a handler that outlives its call keeps its place: resets do not let more of them in", async () => {
  const release = deferred<void>("the handlers' end");
  let running = 0;
  const { raw } = await served(
    {
      async echo() {
        running++;
        await release.promise;
        return {};
      },
    },
    { provider: { inFlightPerConnectionMax: 3 } },
  );
  const client = await raw();
  for (let i = 0; i < 10; i++) {
    const side = client.request({ ":path": echoPath, ...grpcFields }, framed());
    if (side.stream === undefined) break;
    await new Promise((resolve) => setImmediate(resolve));
    side.stream.reset();
  }
  await new Promise((resolve) => setImmediate(resolve));
  expect(running).toBeLessThanOrEqual(3);
  release.resolve();
});

test("shutdown: GOAWAY, and the call in flight is answered", async () => {
  const release = deferred<void>("the handler's end");
  const begun = deferred<void>("the handler");
  const { provider, raw, cluster } = await served({
    async echo() {
      begun.resolve();
      await release.promise;
      return { text: "done" };
    },
  });
  const client = await raw();
  const side = client.request({ ":path": echoPath, ...grpcFields }, framed());
  await begun.promise;
  const stopped = provider.shutdown();
  await expect.poll(() => client.goAway).toContain("shutting down");
  release.resolve();
  await side.over;
  expect(side.trailers).toEqual({ "grpc-status": "0" });
  while (client.closed === undefined) await cluster.clock.run(100);
  await stopped;
});

test("HTTP/1.1 is told in HTTP/1.1 what the port speaks", async () => {
  const { cluster, address } = await served();
  const connection = await cluster.network.connect(address, { timeoutMs: 1000 });
  let answer = "";
  const ended = deferred<void>("the end of the answer");
  connection.setHandler({
    onData: (chunk) => {
      answer += chunk.toString("latin1");
    },
    onEnd: () => ended.resolve(),
    onDrain() {},
    onClose: () => ended.resolve(),
  });
  connection.write(Buffer.from("GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
  await ended.promise;
  expect(answer).toMatch(/^HTTP\/1\.1 505 /);
  expect(answer).toContain("mprpc/2, classic mprpc, gRPC over HTTP/2");
});

test("provider.protocols: what is not served is refused, and the log or the caller is told", async () => {
  const { cluster, provider } = await served({}, { provider: { protocols: ["mprpc"] } });
  await expect(grpcChannel(cluster, provider).echo({ text: "no" })).rejects.toMatchObject({
    codeName: "UNAVAILABLE",
    message: expect.stringContaining("provider.protocols") as string,
  });
  expect((await new ProbeServiceStub(cluster.channel()).echo({ text: "a" })).text).toBe("a");
  const grpc = await served({}, { provider: { protocols: ["grpc"] } });
  const caller = grpcChannel(grpc.cluster, grpc.provider);
  expect((await caller.echo({ text: "b" })).text).toBe("b");
  // Its registry entry says what it speaks, so that callers of ours find their way.
  expect((await new ProbeServiceStub(grpc.cluster.channel()).echo({ text: "c" })).text).toBe("c");
});

test("a large reply waits for the caller's window, and comes whole", async () => {
  const { cluster, provider } = await served(
    { echo: ({ number }) => ({ data: Buffer.alloc(number, 7) }) },
    { limits: { bodyMaxBytes: 8 << 20 } },
  );
  const stub = grpcChannel(cluster, provider);
  const { data } = await stub.echo({ number: 5_000_000 }, { timeoutMs: Infinity });
  expect(data.length).toBe(5_000_000);
  expect(data.every((byte) => byte === 7)).toBe(true);
  expect(encodeMessage(Blob, { data }).length).toBeGreaterThan(5_000_000);
});

test("many streams to a caller that does not read: each has little waiting, and all come whole", async () => {
  const cluster = new Cluster({});
  const provider = new RpcProvider(cluster.runtime());
  const piece = { data: Buffer.alloc(60_000, 1) };
  let sent = 0;
  provider.notifyService(FlowService, {
    async *watch({ number }) {
      for (let i = 0; i < number; i++) {
        sent++;
        yield piece;
      }
    },
    put: () => ({}),
    chat: () => [],
    ask: () => ({}),
  });
  cluster.onClose(() => provider.shutdown());
  const address = await provider.start();
  const registry = new FixedRegistry([{ ...address, protocol: "grpc", weight: 1, attributes: {} }]);
  const stub = new FlowServiceStub(cluster.channel({ registry }));
  const [streams, messages] = [60, 40];
  const iterators = Array.from({ length: streams }, () =>
    stub.watch({ number: messages })[Symbol.asyncIterator](),
  );
  await Promise.all(iterators.map((one) => one.next()));
  for (let i = 0; i < 50; i++) await settle();
  // The windows of 256 KiB and 64 KiB more of each stream.
  expect(sent).toBeLessThan(streams * 20);
  let received = streams;
  await Promise.all(
    iterators.map(async (one) => {
      for (let next = await one.next(); next.done !== true; next = await one.next()) received++;
    }),
  );
  expect(received).toBe(streams * messages);
});

test("metadata that repeat, change and come back arrive as they were sent, both ways", async () => {
  const { cluster, provider } = await served({
    echo: (_request, { metadata, replyMetadata }) => {
      replyMetadata.set("tenant", metadata.getText("tenant") ?? "none").set("fixed", "yes");
      return { text: [...metadata].map(([key, value]) => `${key}=${value}`).join(" ") };
    },
  });
  const stub = grpcChannel(cluster, provider);
  for (const tenant of ["a", "a", "a", "b", "a", "a", "c", "c", "c"]) {
    let told: unknown;
    const { text } = await stub.echo(
      {},
      {
        metadata: { tenant, kind: "x" },
        onMetadata: (metadata) => {
          told = [metadata.get("tenant"), metadata.get("fixed")];
        },
      },
    );
    expect(text).toMatch(new RegExp(`^user-agent=\\S+ tenant=${tenant} kind=x$`));
    expect(told).toEqual([tenant, "yes"]);
  }
});
