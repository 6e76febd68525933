import { expect, test } from "vitest";
import { encodeMessage } from "../../src/protobuf/types.js";
import type { Http2Stream } from "../../src/protocol/http2/stream.js";
import { RpcProvider } from "../../src/server/provider.js";
import { settle } from "../../src/testing/index.js";
import { deferred } from "../support/async.js";
import { Cluster } from "../support/cluster.js";
import { FlowService } from "../support/gen/flow.js";
import { framed, RawClient } from "./raw.js";

const KiB = 1024;
/** What one address may use: three quarters of all. */
const budgetBytes = 4096 * KiB;
const messageBytes = 8 * KiB;
const head = { ":path": "/flow.FlowService/Put", "content-type": "application/grpc", te: "trailers" };
/** 8 MiB of messages. */
const flood = Buffer.concat(
  Array.from({ length: 1024 }, () =>
    framed(encodeMessage(FlowService.methods.put.input, { data: Buffer.alloc(messageBytes) })),
  ),
);

/** A provider whose streams of requests are read until `stop`, and again after `goOn`. */
async function served() {
  const cluster = new Cluster({ settings: { provider: { streamBufferBytes: (budgetBytes * 4) / 3 } } });
  const provider = new RpcProvider(cluster.runtime());
  const released = deferred<void>("the readers' leave to go on");
  let reading = true;
  let read = 0;
  provider.notifyService(FlowService, {
    async put(requests) {
      for await (const _ of requests) {
        read++;
        if (!reading) await released.promise;
      }
      return {};
    },
    watch: () => [],
    chat: () => [],
    ask: () => ({}),
  });
  cluster.onClose(() => provider.shutdown());
  const address = await provider.start();
  const connect = () => RawClient.connect(cluster.network, address, cluster.clock);
  return {
    connect,
    read: () => read,
    stop: () => {
      reading = false;
    },
    goOn: () => {
      reading = true;
      released.resolve();
    },
  };
}

interface Upload {
  readonly client: RawClient;
  readonly stream: Http2Stream;
}

async function upload(connect: () => Promise<RawClient>): Promise<Upload> {
  const client = await connect();
  const { stream } = client.request(head);
  if (stream === undefined) throw new Error("the connection takes no stream");
  return { client, stream };
}

/** What of its last write has not left, all of it when the stream was refused. */
const waitingBytes = (uploads: readonly Upload[]): number =>
  uploads.reduce((sum, { stream }) => sum + (stream.closed ? flood.length : stream.queuedBytes), 0);

/** Until no more leaves any of them. */
async function untilStill(uploads: readonly Upload[]): Promise<void> {
  for (let still = 0, before = -1; still < 20; ) {
    await settle();
    const waiting = waitingBytes(uploads);
    still = waiting === before ? still + 1 : 0;
    before = waiting;
  }
}

test("many connections whose requests nobody reads hold the shared budget and 64 KiB each, and not more", async () => {
  const { connect, read, stop, goOn } = await served();
  const uploads = await Promise.all(Array.from({ length: 40 }, () => upload(connect)));
  // Windows grow while everything is read at once.
  for (const { stream } of uploads) stream.write(flood, false);
  await untilStill(uploads);
  expect([waitingBytes(uploads), read()]).toEqual([0, 40 * 1024]);
  stop();
  for (const { stream } of uploads) stream.write(flood, false);
  await untilStill(uploads);
  const taken = uploads.length * flood.length - waitingBytes(uploads);
  // Each reader has taken a message before it stopped.
  const readBytes = uploads.length * (messageBytes + 16);
  expect(taken - readBytes).toBeLessThanOrEqual(budgetBytes + uploads.length * 64 * KiB);
  goOn();
  await untilStill(uploads);
  expect([waitingBytes(uploads), read()]).toEqual([0, 2 * 40 * 1024]);
});

test("connections that end leave their part of the budget to others", async () => {
  const { connect, stop, goOn } = await served();
  stop();
  for (let round = 0; round < 3; round++) {
    const uploads = await Promise.all(Array.from({ length: 40 }, () => upload(connect)));
    for (const { stream } of uploads) stream.write(flood, false);
    await untilStill(uploads);
    const taken = uploads.length * flood.length - waitingBytes(uploads);
    expect(taken).toBeGreaterThan(budgetBytes / 2);
    expect(taken).toBeLessThanOrEqual(budgetBytes + uploads.length * (64 * KiB + messageBytes + 16));
    for (const { client } of uploads) client.session.close("enough");
    await settle();
  }
  goOn();
});
