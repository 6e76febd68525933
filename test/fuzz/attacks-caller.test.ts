import { once } from "node:events";
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { Metadata } from "../../src/base/metadata.js";
import { Kind } from "../../src/protocol/mprpc/wire/header.js";
import { callId, controlFrame, replyFrame, settingsFrame } from "../support/raw-peer.js";
import { Child } from "../tools/child.js";
import { compiled } from "../tools/compiled.js";
import { repeated } from "./attack-kit.js";
import { varint } from "./mutations.js";

/** Says `attack` to whoever calls, again and again, and reads nothing when `deaf`. */
async function evilProvider(attack: readonly Buffer[], times: number, deaf = false): Promise<number> {
  const server = net.createServer((socket) => {
    // The caller leaves in the middle of it.
    socket.on("error", () => {});
    socket.once("data", () => {
      if (deaf) socket.pause();
      else socket.resume();
      socket.write(settingsFrame(1000));
      const pieces = Array.from({ length: times }, () => attack).flat();
      const goOn = (): void => {
        for (let more = true; more && pieces.length > 0; ) more = socket.write(pieces.shift() as Buffer);
      };
      socket.on("drain", goOn);
      goOn();
    });
  });
  onTestFinished(() => void server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as net.AddressInfo).port;
}

/**
 * A caller in a process of its own calls the evil provider once, and an honest one all the while, on the same channel.
 * Gives how its evil call ended, how many honest ones were answered, and how much its process took.
 */
async function called(
  port: number,
  query = "",
): Promise<{ outcome: string; honest: number; grownBytes: number }> {
  const script = compiled(new URL("caller-process.ts", import.meta.url));
  const node = ["--max-old-space-size=400", "--expose-gc"];
  const child = new Child(process.execPath, [...node, script, String(port), query]);
  onTestFinished(() => child.kill());
  return JSON.parse((await child.line(/^\{/)) ?? "");
}

const MiB = 2 ** 20;
/** The caller's deadline; its evil call is never answered. */
const timedOut = /^DEADLINE_EXCEEDED/;

test("endless pings of a provider that reads no pong: answered until limits.unwritten waits", async () => {
  const pings = repeated(controlFrame(Kind.PING, 0, { pingId: 1 }), 20_000);
  const { outcome, honest, grownBytes } = await called(await evilProvider([pings], 300, true));
  expect(outcome).toMatch(timedOut);
  expect(honest).toBeGreaterThan(10);
  // limits.unwritten, 16 MiB there, and what a process takes besides.
  expect(grownBytes).toBeLessThan(60 * MiB);
}, 120_000);

test("endless settings and kinds of later versions", async () => {
  const tiny = [settingsFrame(1000), controlFrame(31, callId(1))];
  const many = repeated(Buffer.concat(tiny), 20_000);
  const { outcome, honest, grownBytes } = await called(await evilProvider([many], 10));
  expect(outcome).toMatch(timedOut);
  expect(honest).toBeGreaterThan(10);
  expect(grownBytes).toBeLessThan(60 * MiB);
}, 120_000);

test.each([callId(77), 0])(
  "a reply to nobody, number %d, ends the connection",
  async (id) => {
    const { outcome, honest } = await called(
      await evilProvider([settingsFrame(1000), replyFrame({ id })], 1),
    );
    expect(outcome).toMatch(
      /^UNAVAILABLE connection lost: malformed bytes from the provider: a reply to call/,
    );
    expect(honest).toBeGreaterThan(10);
  },
  120_000,
);

test("a reply that is announced again and again, each time with 60 KB of metadata, ends the connection", async () => {
  const metadata = new Metadata();
  for (let i = 0; i < 60; i++) metadata.append("k", "v".repeat(1000));
  const frame = replyFrame({ id: callId(1), rare: { metadata }, body: Buffer.alloc(0) });
  // The same with `message_size` 5 in place of the size of its body, which is 0 and stands last.
  const header = Buffer.concat([frame.subarray(4, -2), Buffer.from("a00105", "hex")]);
  const lead = Buffer.alloc(4);
  lead.writeUInt32LE(header.length);
  expect(frame.subarray(-2).toString("hex")).toBe("1800");
  const { outcome, grownBytes } = await called(await evilProvider([Buffer.concat([lead, header])], 5000));
  expect(outcome).toMatch(
    /^UNAVAILABLE connection lost: malformed bytes .*announced before the last one was whole/,
  );
  expect(grownBytes).toBeLessThan(120 * MiB);
}, 120_000);

test("a reply of 4 GiB fails its call and is passed over", async () => {
  const header = Buffer.concat([Buffer.from("2002288001", "hex"), Buffer.of(0x18), varint(2 ** 32 - 1)]);
  const lead = Buffer.alloc(4);
  lead.writeUInt32LE(header.length);
  const port = await evilProvider([Buffer.concat([lead, header]), Buffer.alloc(64 * MiB)], 1);
  const { outcome, honest, grownBytes } = await called(port);
  expect(outcome).toMatch(
    /^RESOURCE_EXHAUSTED a reply of 4294967295 bytes is over the limit of 4194304 \(limits\.body\)/,
  );
  expect(honest).toBeGreaterThan(10);
  expect(grownBytes).toBeLessThan(60 * MiB);
}, 120_000);
