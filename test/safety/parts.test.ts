// Parts that a program brings itself, and callbacks it gives to ours: each throws, rejects, and with anything.
import { describe, expect, onTestFinished, test } from "vitest";
import type { Clock } from "../../src/base/clock.js";
import { RpcChannel } from "../../src/client/channel.js";
import { RpcError } from "../../src/error/rpc-error.js";
import { MprpcApplication, type Registry, RpcProvider, type Transport } from "../../src/index.js";
import type { Logger } from "../../src/log/logger.js";
import { Writer } from "../../src/protobuf/writer.js";
import {
  createRuntime,
  ManualClock,
  MemoryNetwork,
  MemoryStore,
  memoryRegistry,
  settle,
} from "../../src/testing/index.js";
import { failure } from "../support/async.js";
import { type Pair, startPair } from "../support/cluster.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { type Blob, ProbeService, ProbeServiceStub } from "../support/gen/probe.js";
import { RecordingLog } from "../support/log.js";
import { guarded } from "../tools/wait.js";
import { failures, throws } from "./garbage.js";
import { expectNoUnhandled } from "./unhandled.js";

expectNoUnhandled();

const handlers = {
  echo: (request: Blob) => request,
  relay: (request: Blob) => request,
  note: (request: Blob) => request,
};

/** A provider and a channel of one runtime, on these parts. */
async function startOn(parts: { registry?: Registry; transport?: Transport; log?: Logger; clock?: Clock }) {
  const runtime = createRuntime({
    registry: memoryRegistry(),
    transport: new MemoryNetwork(),
    settings: { provider: { drainTimeoutMs: 50 } },
    ...parts,
  });
  const provider = new RpcProvider(runtime).notifyService(ProbeService, handlers);
  const channel = new RpcChannel(runtime);
  onTestFinished(async () => {
    await channel.close();
    await provider.shutdown();
  });
  return { runtime, provider, channel, stub: new ProbeServiceStub(channel) };
}

describe("a registry", () => {
  test.each(failures)("whose register %s: the start says so, and leaves nothing behind", async (_, fail) => {
    const registry = Object.assign(new FixedRegistry([]), { register: fail });
    const { provider } = await startOn({ registry });
    const told = await guarded(
      provider.start().then(
        () => "started",
        () => "refused",
      ),
      "the start",
    );
    expect(told).toBe("refused");
    await expect(provider.start()).rejects.toThrow("stopped");
  });

  test.each(failures)("whose unregister %s: the drain goes on", async (_, fail) => {
    const log = new RecordingLog();
    const registry = Object.assign(new FixedRegistry([]), { register: async () => ({ unregister: fail }) });
    const { provider } = await startOn({ registry, log });
    await provider.start();
    await guarded(provider.shutdown(), "the drain");
    expect(log.at("warn")).toEqual([
      expect.stringMatching(/^a registration was not withdrawn from fixed:: /),
    ]);
  });

  test.each(throws)("whose watch %s: the call fails, and the next too", async (_, fail) => {
    const { stub } = await startOn({ registry: Object.assign(new FixedRegistry([]), { watch: fail }) });
    for (let i = 0; i < 2; i++) {
      const error = await failure(stub.echo({}));
      expect(error).toMatchObject({ codeName: "INTERNAL", executed: "never" });
      expect(error.rawMessage).toMatch(/^the call cannot be made: /);
    }
  });

  test.each(failures)("whose close %s: the application closes", async (_, fail) => {
    const log = new RecordingLog();
    const registry = Object.assign(new FixedRegistry([]), { close: fail });
    const app = await MprpcApplication.init(["node", "x"], {
      env: {},
      cwd: import.meta.dirname,
      log,
      registry,
    });
    await guarded(app.close(), "close()");
    expect(log.at("error")).toEqual(["the registry fixed: did not close"]);
  });

  test.each(failures)("whose watcher %s: the others are told", async (_, fail) => {
    const log = new RecordingLog();
    const store = new MemoryStore();
    const [ours, theirs] = [memoryRegistry({ store, log }), memoryRegistry({ store })];
    const seen: number[] = [];
    ours.watch("a.B", fail);
    ours.watch("a.B", ({ endpoints }) => void seen.push(endpoints.length));
    await settle();
    const address = { host: "127.0.0.1", port: 1 };
    await theirs.register({ service: "a.B", methods: ["C"], address });
    await settle();
    expect(seen).toEqual([0, 1]);
    expect(log.at("error")).toEqual(new Array(2).fill("a watcher of a service threw"));
  });

  test.each(failures)("whose onLost %s: the newer provider has the address", async (_, fail) => {
    const log = new RecordingLog();
    const registry = memoryRegistry({ store: new MemoryStore(), log });
    const entry = { service: "a.B", methods: ["C"], address: { host: "127.0.0.1", port: 1 } };
    await registry.register({ ...entry, onLost: fail });
    await registry.register(entry);
    await settle();
    expect(log.at("error")).toEqual(["an onLost callback threw"]);
    expect(await registry.list()).toHaveLength(1);
  });
});

describe("a transport", () => {
  test.each(failures)("whose connect %s: the call fails, and the next works", async (_, fail) => {
    const network = new MemoryNetwork();
    let broken = true;
    const transport: Transport = {
      connect: (address, options) => (broken ? fail() : network.connect(address, options)),
      listen: (address, onConnection) => network.listen(address, onConnection),
      localHostTowards: () => network.localHostTowards(),
    };
    const clock = new ManualClock();
    const { provider, stub } = await startOn({ transport, clock });
    await provider.start();
    expect(await failure(stub.echo({}))).toMatchObject({ codeName: "UNAVAILABLE", executed: "never" });
    broken = false;
    const next = stub.echo({ text: "now" }, { waitForReady: true });
    // Beyond the first backoff.
    await clock.run(1500);
    expect((await next).text).toBe("now");
  });

  test.each(failures)("whose listen %s: the start says so", async (_, fail) => {
    const { provider } = await startOn({ transport: Object.assign(new MemoryNetwork(), { listen: fail }) });
    expect(await provider.start().then(Boolean, () => "refused")).toBe("refused");
  });
});

test.each(failures)("a logger that %s", async (_, fail) => {
  const log: Logger = { trace: fail, debug: fail, info: fail, warn: fail, error: fail, fatal: fail };
  const { provider, runtime, channel, stub } = await startOn({ log });
  runtime.events.on("serverEnd", fail);
  await provider.start();
  for (let i = 0; i < 2; i++) expect((await stub.echo({ text: "x" }, { onMetadata: fail })).text).toBe("x");
  expect(provider.inFlight).toBe(0);
  await guarded(
    channel.close().then(() => provider.shutdown()),
    "the end",
  );
});

describe("a message type", () => {
  const { echo } = ProbeService.methods;
  const broken = (part: "input" | "output", hook: "encode" | "decode", fail: () => never) => ({
    ...echo,
    [part]: { ...echo[part], [hook]: fail },
  });

  test.each(throws)("whose encode or decode %s, at the caller", async (_, fail) => {
    const pair = await startPair();
    const encoding = await failure(pair.channel.call(broken("input", "encode", fail), {}));
    expect(encoding).toMatchObject({ codeName: "INTERNAL", executed: "never" });
    const decoding = await failure(pair.channel.call(broken("output", "decode", fail), {}));
    expect(decoding).toMatchObject({ codeName: "INTERNAL", executed: "yes" });
    await stillWorks(pair);
  });

  test.each(throws)("whose encode or decode %s, at the provider", async (_, fail) => {
    for (const [part, hook, executed] of [
      ["input", "decode", "never"],
      ["output", "encode", "yes"],
    ] as const) {
      const pair = await startPair({ handlers: null });
      const provider = new RpcProvider(pair.providerRuntime);
      const methods = { ...ProbeService.methods, echo: broken(part, hook, fail) };
      provider.notifyService({ ...ProbeService, methods }, handlers);
      pair.cluster.onClose(() => provider.shutdown());
      await provider.start();
      expect(await failure(pair.stub.echo({}))).toMatchObject({ codeName: "INTERNAL", executed });
      await stillWorks({ ...pair, provider });
    }
  });

  async function stillWorks({ stub, provider }: Pair): Promise<void> {
    expect((await stub.relay({ text: "next" })).text).toBe("next");
    expect(provider.inFlight).toBe(0);
  }

  test("the writer of one that threw in the middle is clean again", () => {
    const writer = new Writer();
    const { input } = echo;
    expect(() => input.encode({ text: Symbol("x") as never }, writer)).toThrow();
    writer.clear();
    input.encode({ text: "x" }, writer);
    expect(writer.finish().length).toBe(3);
  });
});

test.each(failures)("run()'s onListening that %s: run rejects, drained", async (_, fail) => {
  const { provider } = await startOn({});
  const told = await guarded(
    provider.run(fail).then(
      () => "ran",
      () => "refused",
    ),
    "run()",
  );
  expect(told).toBe("refused");
  await expect(provider.start()).rejects.toThrow("stopped");
});

test("every thrown value becomes an RpcError that can be read", () => {
  for (const [, fail] of throws) {
    try {
      fail();
    } catch (thrown) {
      const error = RpcError.from(thrown);
      expect(typeof error.message + error.codeName).toBe("stringUNKNOWN");
    }
  }
});
