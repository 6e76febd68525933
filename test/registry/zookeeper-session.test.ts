import { createServer } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { type FakeRequest, frame, int32, replyHeader } from "../tools/fake-zookeeper.js";
import { guarded, timed } from "../tools/wait.js";
import { freePort } from "../tools/zookeeper.js";
import { answer, SessionBench } from "./session-bench.js";

const noNode = -101;
const quotaExceeded = -125;
const pingXid = -2;
const authXid = -4;

const bench = new SessionBench();
afterEach(() => bench.close());

const open = (ports: readonly number[], auth?: string) =>
  bench.open(ports, { timeoutMs: 1500, ...(auth === undefined ? {} : { auth }) });

describe("answers that are not as they should be", () => {
  test("an error code the client does not know is an error of that operation alone", async () => {
    let next = quotaExceeded;
    const server = await bench.fake((request) => answer(request, request.xid === pingXid ? 0 : next));
    const { session, told } = open([server.port]);
    await told.until("a session", (text) => text === "session fresh");
    await expect(session.children("/a")).rejects.toMatchObject({ code: "CODE_-125" });
    await expect(session.exists("/a")).rejects.toMatchObject({ code: "CODE_-125" });
    next = noNode;
    await expect(session.children("/a")).rejects.toMatchObject({ code: "NO_NODE" });
    expect(await session.exists("/a")).toBeUndefined();
    expect(told.values).toEqual(["session fresh"]);
  });

  test("answers that arrive byte by byte, or many in one chunk, read alike", async () => {
    const held: Buffer[] = [];
    const server = await bench.fake(({ xid, socket }) => {
      held.push(frame(replyHeader(xid, noNode)));
      if (held.length < 3) return;
      const [first, ...rest] = held.splice(0);
      for (const byte of first ?? []) socket.write(Buffer.from([byte]));
      socket.write(Buffer.concat(rest));
    });
    const { session, told } = open([server.port]);
    await told.until("a session", (text) => text === "session fresh");
    const all = Promise.all([session.exists("/a"), session.exists("/b"), session.exists("/c")]);
    expect(await guarded(all, "three answers")).toEqual([undefined, undefined, undefined]);
  });

  test.each([
    ["a negative length", (_: FakeRequest) => int32(-1)],
    ["an absurd length", (_: FakeRequest) => int32(0x7fffffff)],
    [
      "a notification of an unknown kind",
      (_: FakeRequest) => frame(replyHeader(-1, 0), int32(99), int32(3), int32(1), Buffer.from("/")),
    ],
    ["an answer to nothing", ({ xid }: FakeRequest) => frame(replyHeader(xid + 7, 0))],
    ["an answer cut short", ({ xid }: FakeRequest) => frame(replyHeader(xid, 0), int32(1000))],
  ])("%s ends the connection, and the session goes on", async (_, garbage) => {
    const server = await bench.fake((request) => {
      if (request.connection === 1) request.socket.write(garbage(request));
      else answer(request, noNode);
    });
    const { session, told } = open([server.port]);
    await told.until("a session", (text) => text === "session fresh");
    await expect(session.children("/a")).rejects.toMatchObject({ code: "CONNECTION_LOSS" });
    await told.until("resumed", (text) => text === "session resumed");
    expect(await session.exists("/a")).toBeUndefined();
  });

  test("a server that falls silent is left after a third of the session", async () => {
    const server = await bench.fake((request) => {
      if (request.connection > 1) answer(request, noNode);
    });
    const { session, told } = open([server.port]);
    await told.until("a session", (text) => text === "session fresh");
    await timed("silence noticed", () =>
      expect(session.children("/a")).rejects.toMatchObject({ message: "no answer within 500 ms" }),
    );
    await told.until("resumed", (text) => text === "session resumed");
  });

  test("a session nobody uses is kept alive and watched over by its heartbeat", async () => {
    const server = await bench.fake((request) => {
      if (request.connection > 1) answer(request, noNode);
    });
    const { told } = open([server.port]);
    await told.until("noticed and resumed", (text) => text === "session resumed");
    expect(told.values[1]).toBe("suspended no answer within 500 ms");
  });

  test("refused credentials are reported and tried again", async () => {
    let refuse = true;
    const server = await bench.fake((request) => {
      if (request.xid !== authXid) answer(request, noNode);
      else if (refuse) answer(request, -115);
    });
    const { told } = open([server.port], "user:password");
    await told.until("refused", (text) => text.includes("AUTH_FAILED"));
    refuse = false;
    await told.until("in", (text) => text.startsWith("session"));
  });
});

describe("connecting and closing", () => {
  test("operations fail at once while there is no connection", async () => {
    const { session, told } = open([await freePort()]);
    await expect(session.exists("/a")).rejects.toMatchObject({ code: "CONNECTION_LOSS" });
    await told.until("refused", (text) => /unreachable 127\.0\.0\.1:\d+: connect ECONNREFUSED/.test(text));
    await expect(session.create("/a", { access: "open" })).rejects.toMatchObject({ code: "CONNECTION_LOSS" });
  });

  test("a server that never answers the handshake is left for the next one", async () => {
    const mute = createServer();
    await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
    const sockets = new Set<{ destroy(): void }>();
    mute.on("connection", (socket) => sockets.add(socket));
    bench.onClose(async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => mute.close(resolve));
    });
    const address = mute.address();
    if (address === null || typeof address === "string") throw new Error("no address");
    const server = await bench.fake((request) => answer(request, noNode));
    const alone = open([address.port]);
    const { told } = open([address.port, server.port]);
    await told.until("connected to the other", (text) => text === "session fresh");
    expect(told.values[0]).toMatch(/no answer to the handshake within 500 ms/);
    await alone.told.until("left", (text) => text.includes("no answer to the handshake within 1000 ms"));
  });

  test("closing is safe at any moment, twice, and tells nothing more", async () => {
    const server = await bench.fake((request) => answer(request, noNode));
    for (const turns of [0, 1, 2, 3, 5, 10]) {
      const { session, told } = open([server.port]);
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      await Promise.all([session.close(), session.close()]);
      const count = told.values.length;
      await new Promise((resolve) => setImmediate(resolve));
      expect(told.values).toHaveLength(count);
      session.start();
      await expect(session.exists("/")).rejects.toMatchObject({ code: "CONNECTION_LOSS" });
    }
  });
});
