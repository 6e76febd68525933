import { afterAll, beforeAll, expect, test } from "vitest";
import { Metadata } from "../../src/base/metadata.js";
import { Status } from "../../src/error/status.js";
import { Kind, settingsUnknown } from "../../src/protocol/mprpc/wire/header.js";
import { callFrame, callId, controlFrame, settingsFrame } from "../support/raw-peer.js";
import { Attacked, Evil, MiB, repeated } from "./attack-kit.js";
import { varint } from "./mutations.js";

const echo = { serviceName: "fuzz.ZooService", methodName: "Echo" };
const nothing = Buffer.alloc(0);

/** A header with its length in front. */
function framed(header: Buffer): Buffer {
  const lead = Buffer.alloc(4);
  lead.writeUInt32LE(header.length);
  return Buffer.concat([lead, header]);
}

/** A CALL of Echo with `fields` behind it. */
function callWith(id: number, ...fields: Buffer[]): Buffer {
  const names = [
    Buffer.from("0a0f", "hex"),
    Buffer.from(echo.serviceName),
    Buffer.from("1204", "hex"),
    Buffer.from(echo.methodName),
  ];
  return framed(
    Buffer.concat([Buffer.from([0x20, Kind.CALL, 0x28]), varint(callId(id)), ...names, ...fields]),
  );
}

// One for all: none of these harms it.
let attacked: Attacked;
beforeAll(async () => {
  attacked = await Attacked.start();
});
afterAll(() => attacked[Symbol.asyncDispose]());

async function evilCaller(attacked: Attacked): Promise<Evil> {
  const evil = await Evil.connect(attacked.port);
  await evil.write(settingsFrame());
  return evil;
}

test("lengths of 4 GiB: nothing is made room for, and the limit is named", async () => {
  const evil = await evilCaller(attacked);
  const huge = varint(2 ** 32 - 1);
  // args_size, then message_size.
  await evil.write(callWith(1, Buffer.of(0x18), huge));
  expect(await evil.reply(callId(1))).toMatchObject({
    status: Status.RESOURCE_EXHAUSTED,
    message: "a request of 4294967295 bytes is over the provider's limit of 4194304 (limits.body)",
  });
  const other = await evilCaller(attacked);
  await other.write(callWith(1, Buffer.from("a001", "hex"), huge));
  expect((await other.reply(callId(1))).message).toContain("(limits.body)");
  // 256 MiB of the 4 GiB: read, and kept nowhere.
  const { grownBytes } = await attacked.under(() => evil.write(Buffer.alloc(256 * MiB)));
  expect(grownBytes).toBeLessThan(60 * MiB);
  for (const lead of ["ffffffff", "00000080", "ffffff7f"]) {
    const one = await evilCaller(attacked);
    await one.write(Buffer.from(lead, "hex"));
    await one.end();
  }
  expect(await attacked.said()).toContain(
    "closed: malformed bytes from the caller: header of N bytes is over the limit of N (limits.header)",
  );
  // le32: args_size of 4 GiB.
  const header = Buffer.concat([Buffer.from("0a0a5a6f6f5365727669636512044563686f18", "hex"), huge]);
  const classic = await Evil.connect(attacked.port);
  await classic.write(framed(header));
  await classic.end();
  expect((await attacked.said()).join("\n")).toContain(
    "refused a leN request: N bytes of arguments are over the limit of N (limits.body)",
  );
}, 120_000);

test("messages in messages, 500,000 deep, and groups in groups", async () => {
  const evil = await evilCaller(attacked);
  // Animal.child, each with all that is within: made from the innermost.
  let depth = 0;
  let parts: Buffer[] = [];
  let size = 0;
  while (size < 4 * MiB - 64 && depth < 500_000) {
    const key = Buffer.concat([Buffer.of(0x62), varint(size)]);
    parts.push(key);
    size += key.length;
    depth++;
  }
  parts = parts.reverse();
  expect(depth).toBe(500_000);
  const deep = callFrame({ id: callId(1), rare: echo, body: Buffer.concat(parts) });
  const { grownBytes } = await attacked.under(() => evil.write(deep).then(() => evil.reply(callId(1))));
  expect(await evil.reply(callId(1))).toMatchObject({
    status: Status.INTERNAL,
    message: expect.stringContaining("nested deeper than 100"),
  });
  await evil.write(callFrame({ id: callId(2), rare: echo, body: Buffer.alloc(MiB, 0x0b) }));
  expect(await evil.reply(callId(2))).toMatchObject({ status: Status.INTERNAL });
  expect(grownBytes).toBeLessThan(60 * MiB);
  await evil.write(framed(Buffer.concat([Buffer.of(0x20, Kind.CALL), Buffer.alloc(60_000, 0x0b)])));
  await evil.end();
  expect((await attacked.said()).join("\n")).toContain("nested deeper than N");
}, 120_000);

test("endless metadata: a header is at most limits.header, and its entries take no more than its bytes do", async () => {
  const evil = await evilCaller(attacked);
  // The shortest entries there are: 9,000 of them in a header.
  const entry = Buffer.from("52050a016b1200", "hex");
  const full = callWith(1, repeated(entry, 9000));
  const { grownBytes } = await attacked.under(() =>
    evil.write(repeated(full, 300)).then(() => evil.reply(callId(1))),
  );
  expect(await evil.reply(callId(1))).toMatchObject({ status: Status.OK });
  expect(grownBytes).toBeLessThan(60 * MiB);
  // One that does not go in: of it the four bytes in front are read.
  await evil.write(callWith(2, repeated(entry, 9500)));
  await evil.end();
  expect(await attacked.said()).toContain(
    "closed: malformed bytes from the caller: header of N bytes is over the limit of N (limits.header)",
  );
}, 120_000);

test("a million tiny frames, and endless settings, cancels and kinds of later versions", async () => {
  const evil = await evilCaller(attacked);
  const kinds = [
    controlFrame(Kind.CANCEL, callId(7)),
    controlFrame(31, 1),
    settingsFrame(),
    controlFrame(Kind.PONG, 0, { pingId: 1 }),
    callFrame({ id: 0, index: 9, body: nothing }),
  ];
  const all = Buffer.concat(kinds);
  const { grownBytes } = await attacked.under(async () => {
    for (let i = 0; i < 10; i++) await evil.write(repeated(all, 20_000));
    await evil.write(callFrame({ id: callId(3), rare: echo, body: nothing }));
    await evil.reply(callId(3));
  });
  expect(grownBytes).toBeLessThan(60 * MiB);
}, 120_000);

test("settings that allow nothing are kept to, and end no connection", async () => {
  const evil = await evilCaller(attacked);
  const least = { ...settingsUnknown, bodyMaxBytes: 1, maxInFlight: 0, headerMaxBytes: 1, chunks: true };
  const metadata = new Metadata().append("k", "v".repeat(200));
  await evil.write(controlFrame(Kind.SETTINGS, 0, { settings: least }));
  await evil.write(
    callFrame({ id: callId(1), rare: { ...echo, metadata }, body: Buffer.from("0a0163", "hex") }),
  );
  expect(await evil.reply(callId(1))).toMatchObject({
    status: Status.RESOURCE_EXHAUSTED,
    message: expect.stringContaining("(limits.header)"),
  });
}, 120_000);

test("compression is not spoken: a compressed call is refused as it is, so that nothing can be blown up", async () => {
  const evil = await evilCaller(attacked);
  await evil.write(callWith(1, Buffer.from("7801", "hex")));
  expect(await evil.reply(callId(1))).toMatchObject({
    status: Status.UNIMPLEMENTED,
    message: "compression 1 is not known to this provider",
  });
}, 120_000);
