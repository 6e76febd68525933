import { describe, expect, test } from "vitest";
import { MprpcApplication, RpcChannel, RpcProvider, silentLogger } from "../../src/index.js";
import { failure } from "../support/async.js";
import { Cluster, startPair } from "../support/cluster.js";
import { ProbeService, ProbeServiceStub } from "../support/gen/probe.js";

describe("options of a call that are none", () => {
  test.each([
    [{ timeout: 100 }, 'unknown call option "timeout"; did you mean "timeoutMs"?'],
    [{ deadline: 100 }, 'unknown call option "deadline"'],
    [100, "expected an object of call options, or an RpcController, got 100"],
    [() => {}, "expected an object of call options, or an RpcController, got a function"],
    [{ timeoutMs: "100" }, 'timeoutMs: expected milliseconds, or Infinity for no deadline, got "100"'],
    [{ signal: new AbortController() }, "signal: expected an AbortSignal, got an AbortController"],
    [{ onMetadata: 5 }, "onMetadata: expected a function, got 5"],
    [{ waitForReady: "yes" }, 'waitForReady: expected true or false, got "yes"'],
    [{ idempotencyKey: 5 }, "idempotencyKey: expected text, got 5"],
    [{ idempotencyKey: Buffer.from("k") }, "idempotencyKey: expected text, got a Buffer"],
    [{ metadata: new Map([["a", "b"]]) }, "metadata: expected an object of keys and values, got a Map"],
    [{ metadata: "a=b" }, 'metadata: expected an object of keys and values, got "a=b"'],
  ])("%o", async (options, text) => {
    const { stub } = await startPair({ tcp: true });
    const before = stub.echo({ text: "before" });
    const error = await failure(stub.echo({}, options as never));
    expect(error).toMatchObject({ codeName: "INTERNAL", executed: "never", rawMessage: text });
    // Calls of the same turn share a buffer with it.
    const after = stub.echo({ text: "after" });
    expect([(await before).text, (await after).text]).toEqual(["before", "after"]);
  });

  test("null is no option given", async () => {
    const { stub } = await startPair();
    expect((await stub.echo({ text: "a" }, null as never)).text).toBe("a");
  });
});

test("what is called must be a method, and callJson is named to those who have a name", async () => {
  const { channel } = await startPair();
  const named = await failure(channel.call("probe.ProbeService.Echo" as never, {} as never));
  expect(named.rawMessage).toBe(
    'expected a method of a generated service (UserServiceRpc.methods.login), got "probe.ProbeService.Echo"; callJson takes names',
  );
  const missing = await failure(channel.call(undefined as never, {} as never));
  expect(missing).toMatchObject({ codeName: "INTERNAL", executed: "never" });
  expect(missing.rawMessage).toMatch(/got undefined$/);
});

describe("what channels and providers are made of", () => {
  const expected = "expected an application (await MprpcApplication.init(process.argv)), got";

  test("an await that was forgotten is named", async () => {
    const app = MprpcApplication.init(["node", "x"], { log: silentLogger, env: {} });
    expect(() => new RpcChannel(app as never)).toThrow(`RpcChannel: ${expected} a Promise`);
    expect(() => new RpcProvider(app as never)).toThrow(`RpcProvider: ${expected} a Promise`);
    expect(() => new RpcProvider(undefined as never)).toThrow(`RpcProvider: ${expected} undefined`);
    await (await app).close();
  });

  test("a stub needs a channel", async () => {
    const text =
      "a stub of probe.ProbeService was made without a channel (new RpcChannel(app)), but with undefined";
    await expect(new ProbeServiceStub(undefined as never).echo({})).rejects.toThrow(new TypeError(text));
  });

  test("a provider needs a service, and then its handlers", () => {
    const provider = new RpcProvider(new Cluster({}).runtime());
    const text = "notifyService: expected a generated service (UserServiceRpc), then its handlers, got";
    expect(() => provider.notifyService(ProbeServiceStub as never, {} as never)).toThrow(
      `${text} a function`,
    );
    expect(() => provider.notifyService({} as never, ProbeService as never)).toThrow(`${text} an object`);
  });

  test.each([
    ["a name that is none", { logger: silentLogger }, 'MprpcApplication.init: unknown option "logger"'],
    [
      "a log that lacks a level",
      { log: console },
      /option "log": expected an object with trace\(\), .*fatal\(\), got/,
    ],
    [
      "a registry's URL",
      { registry: "zookeeper://x" },
      /option "registry": expected an object with .* a function, got "zookeeper:/,
    ],
    ["a number for random numbers", { random: 5 }, 'option "random": expected a function, got 5'],
  ])("the parts of an application are checked: %s", async (_, parts, text) => {
    await expect(MprpcApplication.init(["node", "x"], parts as never)).rejects.toThrow(text);
  });

  test("so are its arguments, which are all of process.argv", async () => {
    const text = 'MprpcApplication.init: expected process.argv, got "-i x.conf"';
    await expect(MprpcApplication.init("-i x.conf" as never)).rejects.toThrow(new TypeError(text));
  });
});

test("an event that is none, a listener that is none", async () => {
  const { runtime } = await startPair();
  expect(() => runtime.events.on("clientStrat" as never, () => {})).toThrow(
    'there is no event "clientStrat"; did you mean "clientStart"?',
  );
  expect(() => runtime.events.on("clientEnd", 5 as never)).toThrow("clientEnd: expected a listener, got 5");
});

describe("the stack of an error", () => {
  test.each([0, 1])("has the lines of those who wait for the call, with %i interceptors", async (count) => {
    const { channel } = await startPair({
      tcp: true,
      handlers: {
        echo: () => {
          throw new Error("a bug");
        },
      },
      clientInterceptors: new Array(count).fill((next: never) => next),
    });
    const stub = new ProbeServiceStub(channel);
    async function business(): Promise<string> {
      return (await stub.echo({})).text;
    }
    async function program(): Promise<string> {
      return `${await business()}!`;
    }
    const error = await failure(Promise.all([program()]));
    const lines = (error.stack ?? "").split("\n").filter((line) => line.includes("misuse.test.ts"));
    expect(lines[0]).toMatch(/at (?:async )?business /);
    expect(lines[1]).toMatch(/at (?:async )?program /);
    expect(error.stack?.startsWith(`RpcError: ${error.message}\n`)).toBe(true);
  });
});

test("an application that is closed first has its provider stop, and says so", async () => {
  const { provider, providerRuntime, log } = await startPair({ tcp: true });
  await providerRuntime.close();
  expect(log.at("warn")).toContain(
    "the application was closed before its provider, which stops: shutdown() comes first",
  );
  await provider.shutdown();
  await expect(provider.start()).rejects.toThrow("the provider is stopped");
});
