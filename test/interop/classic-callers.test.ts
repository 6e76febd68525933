import { describe, expect, onTestFinished, test } from "vitest";
import { FriendServiceRpc, GetFriendsListRequest } from "../../example/callee/src/gen/friend.js";
import {
  LoginRequest,
  UserServiceRpc,
  type UserServiceRpcHandler,
} from "../../example/callee/src/gen/user.js";
import { systemClock } from "../../src/base/clock.js";
import { RpcError } from "../../src/error/rpc-error.js";
import { Status } from "../../src/error/status.js";
import { RpcProvider } from "../../src/provider/provider.js";
import { createRuntime, type SettingsInit } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { type ClassicDialect, classicDialects, writeClassicRequest } from "../../src/wire/classic.js";
import { encodeMessage } from "../../src/wire/codec/types.js";
import { deferred } from "../support/async.js";
import { RecordingLog } from "../support/log.js";
import { ClassicCaller } from "./classic-caller.js";

/** As captured from a running C++ peer (WIRE.md). */
const captured = {
  login: {
    request:
      "190000000a0e557365725365727669636552706312054c6f67696e18130a095a68616e672053616e1206313233343536",
    reply: "0a001001",
  },
  register: {
    request:
      "1c0000000a0e557365725365727669636552706312085265676973746572181808d00f120c5a68616e672044756f64756f1a053636363636",
    reply: "0a001001",
  },
  friends: {
    request: "240000000a10467269656e6453657276696365527063120e476574467269656e64734c69737418020801",
    reply: "0a0012097a68616e672073616e12056c69207369120777616e67207775",
  },
} as const;
const framedLogin =
  "0000002f000000190a0e557365725365727669636552706312054c6f67696e18120a087a68616e6773616e1206313233343536";
const varintLogin =
  "190a0e557365725365727669636552706312054c6f67696e18120a087a68616e6773616e1206313233343536";

const bytesOf = (hex: string): Buffer => Buffer.from(hex, "hex");
const loginReply = bytesOf(captured.login.reply);

async function startProvider(handlers: Partial<UserServiceRpcHandler> = {}, settings: SettingsInit = {}) {
  const log = new RecordingLog();
  const runtime = createRuntime({
    transport: tcpTransport(systemClock),
    log,
    settings: { ...settings, provider: { drainTimeoutMs: 100, ...settings.provider } },
  });
  const ends: string[] = [];
  runtime.events.on("serverEnd", ({ method }) => void ends.push(method.fullName.replace("fixbug.", "")));
  const provider = new RpcProvider(runtime);
  provider.notifyService(UserServiceRpc, {
    login: () => ({ result: {}, success: true }),
    register: () => ({ result: {}, success: true }),
    ...handlers,
  });
  provider.notifyService(FriendServiceRpc, {
    getFriendsList: () => ({ result: {}, friends: ["zhang san", "li si", "wang wu"] }),
  });
  const { port } = await provider.start();
  onTestFinished(() => provider.shutdown());
  const connect = async () => {
    const caller = await ClassicCaller.connect(port);
    onTestFinished(() => caller.destroy());
    return caller;
  };
  return { provider, log, port, connect, ends };
}

function request(dialect: ClassicDialect, service: string, method: string, body: Buffer): Buffer {
  return writeClassicRequest(dialect, service, method, (writer) => {
    writer.ensure(body.length);
    body.copy(writer.buffer, writer.position);
    writer.position += body.length;
  });
}

const login = (dialect: ClassicDialect, name = "zhangsan"): Buffer =>
  request(dialect, "UserServiceRpc", "Login", encodeMessage(LoginRequest, { name, pwd: "123456" }));

const framed = (body: Buffer): Buffer => {
  const lead = Buffer.alloc(4);
  lead.writeUInt32BE(body.length);
  return Buffer.concat([lead, body]);
};

describe("captured requests get the captured replies", () => {
  test.each(["login", "register", "friends"] as const)("le32 %s, then the connection ends", async (name) => {
    const { connect } = await startProvider();
    const caller = await connect();
    await caller.write(bytesOf(captured[name].request));
    expect(await caller.outcome()).toEqual({ reply: bytesOf(captured[name].reply), end: "fin" });
  });

  test("le32 hands the handler what was sent", async () => {
    const seen = deferred<string[]>("the handler");
    const { connect } = await startProvider({
      login({ name, pwd }, context) {
        seen.resolve([
          name.toString(),
          pwd.toString(),
          String(context.classic),
          String(context.metadata.size),
        ]);
        return { result: {}, success: true };
      },
    });
    const caller = await connect();
    await caller.write(bytesOf(captured.login.request));
    expect(await seen.promise).toEqual(["Zhang San", "123456", "true", "0"]);
    await caller.outcome();
  });

  test("framed Login; the connection stays open for more", async () => {
    const { connect } = await startProvider();
    const caller = await connect();
    for (let i = 1; i <= 3; i++) {
      await caller.write(bytesOf(framedLogin));
      expect((await caller.reply(8 * i)).subarray(-8).toString("hex")).toBe("000000040a001001");
    }
    expect(caller.ended).toBe(false);
  });

  test("varint Login; the connection stays open for more", async () => {
    const { connect } = await startProvider();
    const caller = await connect();
    for (let i = 1; i <= 3; i++) {
      await caller.write(bytesOf(varintLogin));
      expect((await caller.reply(4 * i)).subarray(-4)).toEqual(loginReply);
    }
    expect(caller.ended).toBe(false);
  });

  test("be32 Login, then the connection ends", async () => {
    const { connect } = await startProvider();
    const caller = await connect();
    const bytes = bytesOf(captured.login.request);
    bytes.subarray(0, 4).reverse();
    expect(bytes.subarray(0, 4).toString("hex")).toBe("00000019");
    await caller.write(bytes);
    expect(await caller.outcome()).toEqual({ reply: loginReply, end: "fin" });
  });
});

test.each(classicDialects)("%s: split at every byte offset it is the same", async (dialect) => {
  const { connect } = await startProvider();
  const bytes = login(dialect);
  const reply = dialect === "framed" ? framed(loginReply) : loginReply;
  await Promise.all(
    Array.from({ length: bytes.length - 1 }, async (_, i) => {
      const caller = await connect();
      await caller.write(bytes.subarray(0, i + 1));
      await new Promise((resolve) => setImmediate(resolve));
      await caller.write(bytes.subarray(i + 1));
      expect(await caller.reply(reply.length)).toEqual(reply);
      caller.destroy();
    }),
  );
});

test.each(classicDialects)("%s: one byte at a time", async (dialect) => {
  const { connect } = await startProvider();
  const caller = await connect();
  for (const byte of login(dialect)) await caller.write(Buffer.of(byte));
  const reply = dialect === "framed" ? framed(loginReply) : loginReply;
  expect(await caller.reply(reply.length)).toEqual(reply);
});

describe("many requests in one chunk", () => {
  const names = Array.from({ length: 500 }, (_, i) => `user-${i}`);
  /** Answers in a random order, each with its name, so that an order that is wrong shows. */
  const shuffling: Partial<UserServiceRpcHandler> = {
    async login({ name }) {
      for (let turns = Math.random() * 5; turns > 0; turns--) await new Promise((go) => setImmediate(go));
      return { result: { errmsg: name }, success: true };
    },
  };
  const replyTo = (name: string): Buffer =>
    Buffer.concat([
      Buffer.of(0x0a, name.length + 2, 0x12, name.length),
      Buffer.from(name),
      Buffer.of(0x10, 1),
    ]);

  test.each(["varint", "framed"] as const)("%s: all answered, strictly in order", async (dialect) => {
    const { connect } = await startProvider(shuffling);
    const caller = await connect();
    await caller.write(Buffer.concat(names.map((name) => login(dialect, name))));
    const replies = names.map((name) => (dialect === "framed" ? framed(replyTo(name)) : replyTo(name)));
    const expected = Buffer.concat(replies);
    expect((await caller.reply(expected.length)).equals(expected)).toBe(true);
  });

  test.each(["varint", "framed"] as const)("%s: and half-closed after the last", async (dialect) => {
    const { connect } = await startProvider(shuffling);
    const caller = await connect();
    caller.socket.end(Buffer.concat(names.map((name) => login(dialect, name))));
    const replies = names.map((name) => (dialect === "framed" ? framed(replyTo(name)) : replyTo(name)));
    const { reply, end } = await caller.outcome();
    expect(reply.equals(Buffer.concat(replies))).toBe(true);
    expect(end).toBe("fin");
  });

  test.each(["le32", "be32"] as const)(
    "%s: the first is answered, the rest warned about",
    async (dialect) => {
      const { connect, log } = await startProvider(shuffling);
      const caller = await connect();
      await caller.write(Buffer.concat([login(dialect, "first"), login(dialect, "second")]));
      expect(await caller.outcome()).toEqual({ reply: replyTo("first"), end: "fin" });
      const extra = login(dialect, "second").length;
      expect(log.at("warn")).toEqual([
        `${extra} bytes after the one request of a ${dialect} connection are ignored`,
      ]);
    },
  );

  test.each(["varint", "framed"] as const)(
    "%s: a failure in the middle is told by RST, after the replies before it",
    async (dialect) => {
      const { connect } = await startProvider({
        async login({ name }) {
          if (name.toString() === "bad") throw new RpcError(Status.NOT_FOUND, "no such user");
          for (let i = 0; i < 20; i++) await new Promise((go) => setImmediate(go));
          return { result: { errmsg: name }, success: true };
        },
      });
      const caller = await connect();
      await caller.write(Buffer.concat(["a", "bad", "c"].map((name) => login(dialect, name))));
      // Node's own socket reports an RST right behind data as an end, so only the bytes are looked at here.
      const { reply } = await caller.outcome();
      expect(reply).toEqual(dialect === "framed" ? framed(replyTo("a")) : replyTo("a"));
    },
  );

  test.each(["varint", "framed"] as const)(
    "%s: a failure behind an answered request is RST",
    async (dialect) => {
      const { connect } = await startProvider({
        login({ name }) {
          if (name.toString() === "bad") throw new RpcError(Status.NOT_FOUND, "no such user");
          return { result: { errmsg: name }, success: true };
        },
      });
      const caller = await connect();
      await caller.write(login(dialect, "a"));
      const expected = dialect === "framed" ? framed(replyTo("a")) : replyTo("a");
      await caller.reply(expected.length);
      await caller.write(login(dialect, "bad"));
      expect(await caller.outcome()).toEqual({ reply: expected, end: "reset" });
    },
  );

  test("varint: an empty reply ends the connection with FIN, what came before it arrives", async () => {
    const { connect, log } = await startProvider({
      login: ({ name }) => (name.toString() === "empty" ? {} : { result: { errmsg: name }, success: true }),
    });
    const caller = await connect();
    await caller.write(Buffer.concat(["a", "empty", "c"].map((name) => login("varint", name))));
    expect(await caller.outcome()).toEqual({ reply: replyTo("a"), end: "fin" });
    expect(log.at("error")).toEqual([]);
  });

  test("framed: an empty reply has its length and the connection goes on", async () => {
    const { connect } = await startProvider({
      login: ({ name }) => (name.toString() === "empty" ? {} : { result: { errmsg: name }, success: true }),
    });
    const caller = await connect();
    await caller.write(Buffer.concat(["a", "empty", "c"].map((name) => login("framed", name))));
    const expected = Buffer.concat([replyTo("a"), Buffer.alloc(0), replyTo("c")].map(framed));
    expect(await caller.reply(expected.length)).toEqual(expected);
  });
});

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
    ["HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["HTTP POST", "POST /rpc HTTP/1.1\r\n\r\n"],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
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

  test("classic callers, when the conf says so", async () => {
    const { connect, log } = await startProvider({}, { provider: { classic: false } });
    const caller = await connect();
    await caller.write(login("le32"));
    expect((await caller.outcome()).end).toBe("reset");
    expect(log.at("warn")).toEqual([
      "classic caller refused: classic callers are not served (provider.classic)",
    ]);
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

test("GetFriendsList in every dialect", async () => {
  const { connect } = await startProvider();
  const body = encodeMessage(GetFriendsListRequest, { userid: 1 });
  for (const dialect of classicDialects) {
    const caller = await connect();
    await caller.write(request(dialect, "FriendServiceRpc", "GetFriendsList", body));
    const expected = bytesOf(captured.friends.reply);
    const reply = dialect === "framed" ? framed(expected) : expected;
    expect(await caller.reply(reply.length)).toEqual(reply);
    caller.destroy();
  }
});
