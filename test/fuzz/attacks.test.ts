import { expect, test } from "vitest";
import { Status } from "../../src/error/status.js";
import { Kind } from "../../src/wire/header.js";
import { callFrame, controlFrame, settingsFrame } from "../support/raw-peer.js";
import { Attacked, Evil, MiB, repeated } from "./attack-kit.js";

const nothing = Buffer.alloc(0);
const toil = { serviceName: "fuzz.ZooService", methodName: "Toil" };
const ping = controlFrame(Kind.PING, 0, { pingId: 1 });

/** Resolves when the provider has come to the end of what `evil` said. */
async function readToTheEnd(evil: Evil): Promise<void> {
  evil.heard.length = 0;
  await evil.write(ping);
  await evil.until("a pong", () => evil.heard.some(({ kind }) => kind === Kind.PONG) || evil.closed);
}

test("endless pings whose answers are not read: the provider stops reading", async () => {
  const attacked = await Attacked.start();
  const evil = await Evil.connect(attacked.port, false);
  await evil.write(settingsFrame());
  // More than the buffers of both systems take: the last of it is never read.
  const { grownBytes, result } = await attacked.under(evil.fill(repeated(ping, 100_000), 128 * MiB));
  expect(result).toBeLessThan(64 * MiB);
  expect(grownBytes).toBeLessThan(40 * MiB);
}, 60_000);

test("rapid reset: calls that are cancelled at once count until their handlers return", async () => {
  const attacked = await Attacked.start({ provider: { inFlightPerConnectionMax: 1000 } });
  const evil = await Evil.connect(attacked.port);
  const reset = Buffer.concat([
    callFrame({ id: 1, index: 1, rare: toil, body: nothing }),
    controlFrame(Kind.CANCEL, 1),
  ]);
  await evil.write(settingsFrame());
  const { grownBytes } = await attacked.under(
    evil.write(repeated(reset, 20_000)).then(() => readToTheEnd(evil)),
  );
  const { toiling, inFlight } = await attacked.stats();
  expect(toiling).toBe(1000);
  expect(inFlight).toBe(1);
  await evil.write(callFrame({ id: 2, index: 1, body: nothing }));
  expect(await evil.reply(2)).toMatchObject({
    status: Status.RESOURCE_EXHAUSTED,
    message:
      "1000 calls are in flight on this connection, 1000 of them given up and still in their handlers, the limit (provider.maxinflightperconnection)",
  });
  expect(grownBytes).toBeLessThan(40 * MiB);
  // When they have returned there is room again.
  await attacked.zoo.release({});
  await evil.write(callFrame({ id: 3, index: 1, body: nothing }));
  await attacked.until("the call runs", (stats) => stats.toiling === 1);
}, 60_000);

test("rapid reset from connection to connection: the provider's own limit holds", async () => {
  const attacked = await Attacked.start({ provider: { inFlightMax: 500, inFlightPerConnectionMax: 100 } });
  const calls = Array.from({ length: 100 }, (_, i) =>
    callFrame({ id: i + 1, index: 1, rare: toil, body: nothing }),
  );
  for (let i = 0; i < 8; i++) {
    const evil = await Evil.connect(attacked.port);
    await evil.write(Buffer.concat([settingsFrame(), ...calls]));
    await readToTheEnd(evil);
    evil.socket.resetAndDestroy();
  }
  // Honest callers are refused while the limit is met, by name; nothing grows.
  const refused = await attacked.zoo.echo({}).catch(String);
  expect(refused).toContain("500 calls are in flight, 500 of them given up and still in their handlers");
  expect(refused).toContain("(provider.maxinflight)");
}, 60_000);

test("a flood of oneway calls keeps no more handlers busy than calls that are answered", async () => {
  const attacked = await Attacked.start({ provider: { inFlightPerConnectionMax: 1000 } });
  const evil = await Evil.connect(attacked.port);
  await evil.write(settingsFrame());
  const oneway = callFrame({ id: 0, index: 1, rare: toil, body: nothing });
  const { grownBytes } = await attacked.under(
    evil.write(repeated(oneway, 20_000)).then(() => readToTheEnd(evil)),
  );
  expect((await attacked.stats()).toiling).toBe(1000);
  expect(grownBytes).toBeLessThan(40 * MiB);
}, 60_000);

test("65,536 messages are announced and given up: no frame costs more than another", async () => {
  const attacked = await Attacked.start();
  const evil = await Evil.connect(attacked.port);
  await evil.write(settingsFrame());
  // A oneway CALL of no method with a message of five bytes to come; CHUNK, status CANCELLED.
  const announced = Buffer.from("05000000 2001 a00105".replaceAll(" ", ""), "hex");
  const givenUp = Buffer.from("04000000 200b 4001".replaceAll(" ", ""), "hex");
  const { grownBytes } = await attacked.under(
    (async () => {
      for (let round = 0; round < 2; round++) {
        await evil.write(repeated(announced, 65_536));
        await readToTheEnd(evil);
        await evil.write(repeated(givenUp, 65_536));
        await readToTheEnd(evil);
      }
    })(),
  );
  expect(evil.closed).toBe(false);
  expect(grownBytes).toBeLessThan(60 * MiB);
  await evil.write(repeated(announced, 65_537));
  await evil.end();
  expect((await attacked.said()).join("\n")).toContain("more than N messages in chunks at a time");
}, 60_000);
