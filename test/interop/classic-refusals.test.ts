import { describe, expect, test } from "vitest";
import { classicDialects } from "../../src/protocol/classic/classic-wire.js";
import type { SettingsInit } from "../../src/testing/runtime.js";
import { deferred } from "../support/async.js";
import { framed, login, loginReply, request, startProvider } from "./classic-support.js";

describe("what a classic caller cannot be told in words", () => {
  test.each(classicDialects)("%s: a failing call resets the connection", async (dialect) => {
    const { connect, log, provider, ends } = await startProvider({
      login() {
        throw new Error("database away");
      },
    });
    const caller = await connect();
    await caller.write(login(dialect));
    expect(await caller.outcome()).toEqual({ reply: Buffer.alloc(0), end: "reset" });
    expect(log.at("error")).toEqual(["fixbug.UserServiceRpc.Login failed: database away"]);
    // It ended once: a second end would leave the provider below zero, and its drain waiting.
    expect(ends).toEqual(["UserServiceRpc.Login"]);
    expect(provider.inFlight).toBe(0);
  });

  test.each([
    ["an unknown method", "UserServiceRpc", "Logout"],
    ["an unknown service", "NobodyRpc", "Login"],
  ])("%s resets the connection", async (_, service, method) => {
    const { connect, log, provider } = await startProvider();
    const caller = await connect();
    await caller.write(request("le32", service, method, Buffer.of(0x0a, 0)));
    expect((await caller.outcome()).end).toBe("reset");
    expect(log.at("warn").join()).toContain(`no method ${service}.${method}`);
    expect(provider.inFlight).toBe(0);
  });

  test("arguments that do not parse", async () => {
    const { connect, provider } = await startProvider();
    const caller = await connect();
    await caller.write(request("le32", "UserServiceRpc", "Login", Buffer.of(0x0a, 200)));
    expect((await caller.outcome()).end).toBe("reset");
    expect(provider.inFlight).toBe(0);
  });

  test("arguments over the limit, before they are here", async () => {
    const { connect, log } = await startProvider({}, { limits: { bodyMaxBytes: 1000 } });
    const caller = await connect();
    await caller.write(request("le32", "UserServiceRpc", "Login", Buffer.alloc(5000)).subarray(0, 100));
    expect((await caller.outcome()).end).toBe("reset");
    expect(log.at("warn").join()).toContain(
      "5000 bytes of arguments are over the limit of 1000 (limits.body)",
    );
  });

  test("a handler over its time: the conf's call timeout holds, since the wire carries none", async () => {
    const signal = deferred<AbortSignal>("the handler");
    const { connect } = await startProvider(
      {
        login(_, context) {
          signal.resolve(context.signal);
          return new Promise(() => {});
        },
      },
      { callTimeoutMs: 50 },
    );
    const caller = await connect();
    await caller.write(login("le32"));
    expect((await caller.outcome()).end).toBe("reset");
    expect((await signal.promise).reason).toMatchObject({ codeName: "DEADLINE_EXCEEDED" });
  });

  test("an empty reply of le32 is no bytes and FIN", async () => {
    const { connect } = await startProvider({ login: () => ({}) });
    const caller = await connect();
    await caller.write(login("le32"));
    expect(await caller.outcome()).toEqual({ reply: Buffer.alloc(0), end: "fin" });
  });

  test("a reply over 1024 bytes is sent, with a warning", async () => {
    const { connect, log } = await startProvider({
      login: () => ({ result: { errmsg: Buffer.alloc(2000, "x") }, success: true }),
    });
    const caller = await connect();
    await caller.write(login("le32"));
    const { reply, end } = await caller.outcome();
    expect([reply.length > 2000, end]).toEqual([true, "fin"]);
    expect(log.at("warn")).toEqual([
      `a reply of ${reply.length} bytes to a classic caller: C++ callers read at most 1024`,
    ]);
  });
});

describe("half-close", () => {
  test.each(classicDialects)(
    "%s: a caller that has finished sending still gets its reply",
    async (dialect) => {
      const { connect, provider } = await startProvider({
        async login() {
          for (let i = 0; i < 20; i++) await new Promise((go) => setImmediate(go));
          return { result: {}, success: true };
        },
      });
      const caller = await connect();
      caller.socket.end(login(dialect));
      const reply = dialect === "framed" ? framed(loginReply) : loginReply;
      expect(await caller.outcome()).toEqual({ reply, end: "fin" });
      expect(provider.connections).toBe(0);
    },
  );

  test("in the middle of a request: reset, and said in the log", async () => {
    const { connect } = await startProvider();
    const caller = await connect();
    caller.socket.end(login("le32").subarray(0, 40));
    expect((await caller.outcome()).end).toBe("reset");
  });
});

describe("strangers are refused", () => {
  test.each([
    ["TLS", Buffer.from("16030100fa010000f60303", "hex")],
    ["SSH", "SSH-2.0-OpenSSH_9.2\r\n"],
    ["Redis", "*1\r\n$4\r\nPING\r\n"],
    ["zeros", Buffer.alloc(64)],
  ])("%s", async (_, bytes) => {
    const { connect, log, provider } = await startProvider();
    const caller = await connect();
    await caller.write(Buffer.from(bytes as string));
    expect(await caller.outcome()).toEqual({ reply: Buffer.alloc(0), end: "reset" });
    expect(log.at("warn").join()).toMatch(
      /connection refused: first bytes [0-9a-f]+ ".*"( \(.*\))? are no known protocol/,
    );
    expect(provider.connections).toBe(0);
  });

  test.each<[string, SettingsInit["provider"]]>([
    ["provider.classic", { classic: false }],
    ["provider.protocols", { protocols: ["mprpc", "grpc"] }],
    ["provider.classic, provider.protocols", { classic: false, protocols: ["mprpc", "grpc"] }],
  ])("classic callers, when the conf says so: the log names %s", async (keys, provider) => {
    const { connect, log } = await startProvider({}, { provider });
    const caller = await connect();
    await caller.write(login("le32"));
    expect((await caller.outcome()).end).toBe("reset");
    expect(log.at("warn")).toEqual([`classic caller refused: classic callers are not served (${keys})`]);
  });

  test("one that comes and goes without a word, as a health check does, is no warning", async () => {
    const { connect, log, provider } = await startProvider();
    const caller = await connect();
    caller.socket.end();
    await caller.outcome();
    expect(log.at("warn")).toEqual([]);
    expect(provider.connections).toBe(0);
  });
});

test("a classic caller that leaves cancels its call", async () => {
  const entered = deferred<AbortSignal>("the handler");
  const { connect, provider } = await startProvider({
    login(_, { signal }) {
      entered.resolve(signal);
      return new Promise(() => {});
    },
  });
  const caller = await connect();
  await caller.write(login("framed"));
  const signal = await entered.promise;
  const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve));
  caller.socket.resetAndDestroy();
  await aborted;
  expect(provider.inFlight).toBe(0);
});
