import { once } from "node:events";
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { settle } from "../../src/testing/index.js";
import { startPair } from "../support/cluster.js";
import { callFrame, callId, echoNames, settingsFrame } from "../support/raw-peer.js";

test("over TCP: a caller that asks for ever and never reads does not make the provider grow", async () => {
  const replyBytes = 256 * 1024;
  const data = Buffer.alloc(replyBytes);
  let served = 0;
  const { provider, stub } = await startPair({
    tcp: true,
    handlers: {
      echo() {
        served++;
        return { data };
      },
    },
  });
  const socket = net.connect({ host: "127.0.0.1", port: provider.address?.port ?? 0 });
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  socket.pause();
  socket.write(settingsFrame());
  // 225 MiB of replies, asked for in 30 KiB: no more is served than the socket's buffers take, and 1 MiB besides.
  const asks = Array.from({ length: 900 }, (_, i) =>
    callFrame({ id: callId(i + 1), index: 1, rare: echoNames }),
  );
  const all = Buffer.concat(asks);
  const rssBefore = process.memoryUsage().rss;
  let sent = 0;
  let still = 0;
  let last = -1;
  while (still < 20) {
    if (sent < all.length) {
      socket.write(all.subarray(sent, sent + 512));
      sent += 512;
    }
    await settle();
    still = served === last ? still + 1 : 0;
    last = served;
  }
  expect(served).toBeGreaterThan(0);
  expect(served * replyBytes).toBeLessThan(48 << 20);
  expect(process.memoryUsage().rss - rssBefore).toBeLessThan(150 << 20);
  // Others are served meanwhile.
  expect((await stub.relay({ text: "me" })).text).toBe("me");
});
