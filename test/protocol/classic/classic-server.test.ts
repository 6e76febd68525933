import { expect, test } from "vitest";
import type { Address } from "../../../src/base/address.js";
import { type ClassicDialect, writeClassicRequest } from "../../../src/protocol/classic/classic-wire.js";
import { settle } from "../../../src/testing/index.js";
import { deferred } from "../../support/async.js";
import { startPair } from "../../support/cluster.js";
import { Blob, type BlobInput } from "../../support/gen/probe.js";
import { RawPeer } from "../../support/raw-peer.js";

const request = (body: BlobInput, dialect: ClassicDialect = "framed"): Buffer =>
  writeClassicRequest(dialect, "ProbeService", "Echo", (writer) => Blob.encode(body, writer));

/** A caller whose first request waits for `hold`. */
async function held() {
  const hold = deferred();
  const pair = await startPair({
    handlers: {
      async echo(message) {
        await hold.promise;
        return message;
      },
    },
  });
  const { address } = pair.provider;
  if (address === undefined) throw new Error("the provider has no address");
  const peer = await RawPeer.connect(pair.cluster.transport, address, false);
  return { ...pair, hold, peer };
}

test("a connection that rests after a reply which took its time is let go after five minutes", async () => {
  const { hold, peer, clock, provider } = await held();
  peer.send(request({ text: "one" }));
  await clock.run(1000);
  hold.resolve();
  await peer.until("the reply", () => peer.bytes.length > 0);
  await clock.run(5 * 60_000 - 1000);
  expect(provider.connections).toBe(1);
  await clock.run(2000);
  expect(provider.connections).toBe(0);
});

test("a request that was begun meanwhile must be whole within ten seconds of the reply", async () => {
  const { hold, peer, clock, provider } = await held();
  peer.send(request({ text: "one" }), request({ text: "two" }).subarray(0, 12));
  await clock.run(1000);
  hold.resolve();
  await peer.until("the reply", () => peer.bytes.length > 0);
  await clock.run(11_000);
  expect(provider.connections).toBe(0);
});

test("requests that come a byte at a time, several behind each other, are read as they are", async () => {
  const { hold, peer } = await held();
  hold.resolve();
  const bytes = Buffer.concat([
    request({ text: "one" }),
    request({ data: Buffer.alloc(700, 7) }),
    request({}),
  ]);
  for (const byte of bytes) {
    peer.connection.write(Buffer.of(byte));
    await settle();
  }
  await peer.until("three replies", () => peer.bytes.length >= 9 + 707 + 4);
  expect(peer.bytes.toString("hex")).toBe(
    `00000005${"1203"}6f6e65${"000002bf"}${"0abc05"}${"07".repeat(700)}00000000`,
  );
});

test("a caller that asks for more than it reads is not served on, in the middle of what it has sent either", async () => {
  let served = 0;
  const { cluster, provider, stub } = await startPair({
    handlers: {
      echo() {
        served++;
        return { data: Buffer.alloc(64 * 1024) };
      },
    },
  });
  const { address } = provider;
  if (address === undefined) throw new Error("the provider has no address");
  const peer = await RawPeer.connect(cluster.transport, address, false);
  peer.connection.pause();
  peer.send(Buffer.concat(Array.from({ length: 400 }, () => request({}))));
  await settle();
  // 1 MiB waits, besides what the connection itself holds.
  expect(served).toBeGreaterThan(10);
  expect(served).toBeLessThan(60);
  expect((await stub.relay({ text: "other" })).text).toBe("other");
  peer.connection.resume();
  await peer.until("all replies", () => peer.bytes.length === 400 * (4 + 4 + 64 * 1024));
  expect(served).toBe(400);
});

test("replies that wait for a late one before them are few", async () => {
  const hold = deferred();
  let entered = 0;
  const { cluster, provider } = await startPair({
    handlers: {
      echo(message) {
        entered++;
        return message.text === "late" ? hold.promise.then(() => message) : { data: Buffer.alloc(1 << 20) };
      },
    },
  });
  const peer = await RawPeer.connect(cluster.transport, provider.address as Address, false);
  peer.send(request({ text: "late" }), ...Array.from({ length: 60 }, () => request({ text: "large" })));
  await settle();
  // The first, and as many behind it as pass 1 MiB.
  expect(entered).toBe(2);
  hold.resolve();
  await peer.until("all replies", () => peer.bytes.length > 60 << 20);
  expect(entered).toBe(61);
});

test("a reply that would wait with too many others fails, and so resets the connection in its turn", async () => {
  const [hold, large] = [deferred(), deferred()];
  const { cluster, provider, log } = await startPair({
    settings: { unwrittenMaxBytes: 2_500_000 },
    handlers: {
      async echo(message) {
        await (message.text === "late" ? hold : large).promise;
        return message.text === "late" ? message : { data: Buffer.alloc(1_000_000) };
      },
    },
  });
  const peer = await RawPeer.connect(cluster.transport, provider.address as Address, false);
  peer.send(request({ text: "late" }), ...Array.from({ length: 15 }, () => request({ text: "large" })));
  await settle();
  large.resolve();
  await settle();
  const refused = log.lines.filter(({ text }) =>
    text.includes("over the limit of 2500000 (limits.unwritten)"),
  );
  expect(refused).toHaveLength(12);
  hold.resolve();
  await peer.end();
  expect(peer.closeError).toBeDefined();
});
