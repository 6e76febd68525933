import { describe, expect, test } from "vitest";
import { GetFriendsListRequest } from "../../example/callee/src/gen/friend.js";
import type { UserServiceRpcHandler } from "../../example/callee/src/gen/user.js";
import { RpcError } from "../../src/error/rpc-error.js";
import { Status } from "../../src/error/status.js";
import { encodeMessage } from "../../src/protobuf/types.js";
import { classicDialects } from "../../src/protocol/classic/classic-wire.js";
import { deferred } from "../support/async.js";
import {
  bytesOf,
  captured,
  framed,
  framedLogin,
  login,
  loginReply,
  request,
  startProvider,
  varintLogin,
} from "./classic-support.js";

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
        seen.resolve([name.toString(), pwd.toString(), context.peer.protocol, String(context.metadata.size)]);
        return { result: {}, success: true };
      },
    });
    const caller = await connect();
    await caller.write(bytesOf(captured.login.request));
    expect(await seen.promise).toEqual(["Zhang San", "123456", "classic", "0"]);
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
