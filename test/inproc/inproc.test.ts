import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, onTestFinished, test } from "vitest";
import { RpcChannel } from "../../src/client/channel.js";
import { RpcError } from "../../src/error/rpc-error.js";
import { Status } from "../../src/error/status.js";
import { MprpcApplication } from "../../src/node/application.js";
import { setUnknownFields, unknownFields, type WithUnknownFields } from "../../src/protobuf/unknown.js";
import { RpcProvider } from "../../src/server/provider.js";
import { MemoryStore, memoryRegistry } from "../../src/testing/index.js";
import { deferred, failure } from "../support/async.js";
import { Cluster, startPair } from "../support/cluster.js";
import { ProbeService, ProbeServiceStub } from "../support/gen/probe.js";
import { RecordingLog } from "../support/log.js";

const over = "inproc" as const;

describe("what the two sides share", () => {
  test("nothing of a message: neither bytes nor lists, of requests and of replies", async () => {
    const seen: Buffer[] = [];
    const kept = { data: Buffer.from("reply") };
    const { stub } = await startPair({
      over,
      handlers: {
        echo: (request) => {
          seen.push(request.data);
          request.data.fill(0);
          return kept;
        },
      },
    });
    for (const size of [5, 100_000]) {
      const data = Buffer.alloc(size, "x");
      kept.data = Buffer.alloc(size, "y");
      const reply = await stub.echo({ data });
      expect(data.equals(Buffer.alloc(size, "x"))).toBe(true);
      expect(seen.at(-1)?.length).toBe(size);
      reply.data.fill(0);
      expect(kept.data.equals(Buffer.alloc(size, "y"))).toBe(true);
    }
  });

  test("fields that a type does not know are kept", async () => {
    const { stub } = await startPair({ over });
    const request = ProbeService.methods.echo.input.create({ text: "a" });
    setUnknownFields(request, Buffer.from([0xf8, 0x3f, 0x01]));
    const reply = await stub.echo(request);
    expect((reply as WithUnknownFields)[unknownFields]).toEqual(Buffer.from([0xf8, 0x3f, 0x01]));
  });

  test("no metadata, nor the bytes in them", async () => {
    const { stub } = await startPair({
      over,
      handlers: {
        echo: (_request, context) => {
          (context.metadata.get("a-bin") as Buffer).fill(0);
          context.metadata.append("more", "x");
          context.replyMetadata.set("b-bin", Buffer.from([7]));
          return {};
        },
      },
    });
    const bytes = Buffer.from([1, 2]);
    const metadata = { "a-bin": bytes };
    const told = deferred<Buffer>();
    await stub.echo({}, { metadata, onMetadata: (got) => told.resolve(got.getBytes("b-bin") as Buffer) });
    expect(bytes).toEqual(Buffer.from([1, 2]));
    expect(await told.promise).toEqual(Buffer.from([7]));
  });

  test("no async context: a handler does not see what its caller stored, nor a callback what the handler did", async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen: Array<string | undefined> = [];
    const { stub } = await startPair({
      over,
      handlers: {
        echo: (_request, context) => {
          seen.push(storage.getStore());
          context.replyMetadata.set("k", "v");
          return storage.run("handler", async () => ({}));
        },
      },
    });
    const told: Array<string | undefined> = [];
    const call = () => stub.echo({}, { onMetadata: () => told.push(storage.getStore()) });
    await call();
    await storage.run("caller", () => Promise.all([call(), call()]));
    expect(seen).toEqual([undefined, undefined, undefined]);
    expect(told).not.toContain("handler");
  });
});

describe("who calls", () => {
  test("is inproc:node, which a policy may judge", async () => {
    const { stub } = await startPair({
      over,
      handlers: { echo: (_, { peer }) => ({ text: JSON.stringify(peer) }) },
    });
    expect(JSON.parse((await stub.echo({})).text)).toEqual({
      address: "inproc:node",
      protocol: "inproc",
      identities: { transport: "inproc:node" },
    });
  });
});

describe("limits", () => {
  test("of a request, the caller's and the provider's", async () => {
    const { cluster } = await startPair({ over });
    const small = { settings: { limits: { bodyMaxBytes: 2000 } } };
    const stub = new ProbeServiceStub(cluster.channel({}, cluster.runtime(small)));
    const error = await failure(stub.echo({ data: Buffer.alloc(3000) }));
    expect(error).toMatchObject({ code: Status.RESOURCE_EXHAUSTED, executed: "never" });
    expect(error.message).toContain("limits.body");
  });

  test("of a reply: the smaller one of both sides", async () => {
    const { cluster } = await startPair({ over, handlers: { echo: () => ({ data: Buffer.alloc(3000) }) } });
    const small = { settings: { limits: { bodyMaxBytes: 2000 } } };
    const stub = new ProbeServiceStub(cluster.channel({}, cluster.runtime(small)));
    expect(await failure(stub.echo({}))).toMatchObject({ code: Status.RESOURCE_EXHAUSTED, executed: "yes" });
  });

  test("of metadata", async () => {
    const { stub } = await startPair({ over });
    const error = await failure(stub.echo({}, { metadata: { a: "x".repeat(70_000) } }));
    expect(error).toMatchObject({ code: Status.RESOURCE_EXHAUSTED, executed: "never" });
    expect(error.message).toContain("limits.header");
  });

  test("of calls in flight for one channel", async () => {
    const gate = deferred<object>();
    const settings = { provider: { inFlightPerConnectionMax: 2 } };
    const { stub } = await startPair({ over, settings, handlers: { echo: () => gate.promise } });
    const both = [stub.echo({}), stub.echo({})];
    expect(await failure(stub.echo({}))).toMatchObject({
      code: Status.RESOURCE_EXHAUSTED,
      executed: "never",
    });
    gate.resolve({});
    await Promise.all(both);
    await stub.echo({});
  });

  test("of connections: one channel too many is turned away", async () => {
    const { cluster, stub } = await startPair({ over, settings: { provider: { connectionsMax: 1 } } });
    await stub.echo({});
    const other = new ProbeServiceStub(cluster.channel());
    const error = await failure(other.echo({}));
    expect(error).toMatchObject({ code: Status.UNAVAILABLE, executed: "never" });
    expect(error.message).toContain("provider.maxconnections");
  });
});

describe("the event loop", () => {
  test("others have their turn while one call follows the other without a pause", async () => {
    const { stub } = await startPair({ over });
    let stopped = false;
    setImmediate(() => setImmediate(() => (stopped = true)));
    for (let i = 0; !stopped; i++) {
      await stub.echo({});
      if (i > 100_000) throw new Error("nothing else ran");
    }
  });
});

describe("the end of a provider", () => {
  test("calls in flight end, and later ones go to another provider", async () => {
    const cluster = new Cluster({ over });
    const gate = deferred<object>();
    const started = deferred<void>();
    const first = await cluster.provider({
      echo: () => {
        started.resolve();
        return gate.promise;
      },
    });
    const stub = new ProbeServiceStub(cluster.channel());
    const call = stub.echo({});
    await started.promise;
    await cluster.provider({ echo: () => ({ text: "second" }) });
    const stopping = first.shutdown();
    gate.resolve({ text: "first" });
    expect((await call).text).toBe("first");
    await cluster.clock.run(2000);
    await stopping;
    expect((await stub.echo({})).text).toBe("second");
    expect(first.connections).toBe(0);
  });

  test("a handler that takes longer than the drain is cancelled, and its caller told", async () => {
    const aborted = deferred<unknown>();
    const started = deferred<void>();
    const { cluster, provider, stub } = await startPair({
      over,
      handlers: {
        echo: (_, { signal }) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener("abort", () => {
              aborted.resolve(signal.reason);
              reject(signal.reason);
            });
            started.resolve();
          }),
      },
    });
    const call = failure(stub.echo({}, { timeoutMs: 60_000 }));
    await started.promise;
    const stopping = provider.shutdown();
    await cluster.clock.run(5000);
    await stopping;
    expect(await call).toMatchObject({ code: Status.UNAVAILABLE, executed: "maybe" });
    expect(await aborted.promise).toBeInstanceOf(RpcError);
  });

  test("a channel that closes lets its calls end, and then its connection", async () => {
    const gate = deferred<object>();
    const started = deferred<void>();
    const { channel, stub, provider } = await startPair({
      over,
      handlers: {
        echo: () => {
          started.resolve();
          return gate.promise;
        },
      },
    });
    const call = stub.echo({});
    await started.promise;
    const closing = channel.close();
    gate.resolve({ text: "done" });
    expect((await call).text).toBe("done");
    await closing;
    await expect.poll(() => provider.connections).toBe(0);
  });

  test("a oneway call made right before the channel closes arrives", async () => {
    const arrived = deferred<string>();
    const { channel } = await startPair({
      over,
      handlers: {
        note: ({ text }) => {
          arrived.resolve(text);
          return {};
        },
      },
    });
    await channel.oneway(ProbeService.methods.note, { text: "hello" });
    await channel.close();
    expect(await arrived.promise).toBe("hello");
  });
});

describe("events", () => {
  test("both sides tell of the connection, and of its end", async () => {
    const { channel, stub, runtime, providerRuntime } = await startPair({ over });
    const told: string[] = [];
    for (const { events } of [runtime, providerRuntime]) {
      events.on("connectionOpen", ({ side, protocol }) => told.push(`${side} opens ${protocol}`));
      events.on("connectionClose", ({ side, reason }) => told.push(`${side} closes ${reason}`));
    }
    await stub.echo({});
    await channel.close();
    await expect.poll(() => told.length).toBe(4);
    expect(told.sort()).toEqual([
      "client closes undefined",
      "client opens mprpc",
      "server closes undefined",
      "server opens inproc",
    ]);
  });
});

describe("applications of one process", () => {
  async function start(flags: readonly string[], callerFlags: readonly string[] = flags) {
    const store = new MemoryStore();
    const log = new RecordingLog();
    const init = (more: readonly string[]) =>
      MprpcApplication.init(["node", "x", ...more], { env: {}, log, registry: memoryRegistry({ store }) });
    const app = await init(flags);
    const provider = new RpcProvider(app).notifyService(ProbeService, {
      echo: (_, { peer }) => ({ text: peer.protocol }),
      relay: (request) => request,
      note: (request) => request,
    });
    await provider.start();
    const caller = await init(callerFlags);
    const channel = new RpcChannel(caller);
    onTestFinished(async () => {
      await channel.close();
      await provider.shutdown();
      await Promise.all([app.close(), caller.close()]);
    });
    return { provider, stub: new ProbeServiceStub(channel), caller };
  }

  test("a provider of the process is called within it, though it listens on a port", async () => {
    const { stub, provider } = await start([]);
    expect((await stub.echo({})).text).toBe("inproc");
    expect(provider.address?.port).toBeGreaterThan(0);
  });

  test("channel.local=off goes over TCP", async () => {
    const { stub } = await start([], ["--channel.local=off"]);
    expect((await stub.echo({})).text).toBe("mprpc");
  });

  test("an advertised address may have others behind it, and is called as it says", async () => {
    const { stub, provider } = await start(["--advertiseaddress=127.0.0.1"]);
    expect((await stub.echo({})).text).toBe("mprpc");
    expect(provider.connections).toBe(1);
  });

  test("rpcserverip=inproc: opens no port at all, whatever channel.local says", async () => {
    const { stub, provider } = await start(["--rpcserverip=inproc:", "--channel.local=off"]);
    expect((await stub.echo({})).text).toBe("inproc");
    expect(provider.address?.host).toMatch(/^inproc:[0-9a-f]{16}$/);
    expect(provider.address?.port).toBe(0);
  });

  test("the name of a provider that is not in this process is told as such", async () => {
    const app = await MprpcApplication.init(["node", "x", "--registry=static://inproc:nobody"], {
      env: {},
      log: new RecordingLog(),
    });
    const channel = new RpcChannel(app);
    const error = await failure(new ProbeServiceStub(channel).echo({}));
    await channel.close();
    await app.close();
    expect(error).toMatchObject({ code: Status.UNAVAILABLE, executed: "never" });
    expect(error.message).toContain("inproc: reaches only providers of the same process");
  });

  test("two providers of one name are refused", async () => {
    await start(["--rpcserverip=inproc:twice"]);
    await expect(start(["--rpcserverip=inproc:twice"])).rejects.toThrow("choose another one");
  });
});
