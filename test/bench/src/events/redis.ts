import { Redis } from "ioredis";
import { group, handle, inLoops, type Side } from "./side.js";

/** ioredis as it is: streams, a consumer group, and commands gathered by its own pipelining. */
export async function bareRedis(port: number, payload: Buffer): Promise<Side> {
  const client = new Redis({ port, host: "127.0.0.1", enableAutoPipelining: true });
  // A read that waits for messages blocks its connection.
  const reader = new Redis({ port, host: "127.0.0.1" });
  await Promise.all([client.ping(), reader.ping()]);
  const consumer = `bench-${process.pid}`;
  return {
    name: "ioredis",
    async prepare(topic) {
      await client.xgroup("CREATE", topic, group, "0", "MKSTREAM");
    },
    publish: (topic, count, inFlight) =>
      inLoops(count, inFlight, () => client.xadd(topic, "*", "payload", payload)),
    async consume(topic, count, inFlight, onFirst) {
      let handled = 0;
      let acked: Promise<unknown> = Promise.resolve();
      // While the acknowledgement of one half is on its way, the other is read.
      const half = Math.max(1, Math.floor(inFlight / 2));
      while (handled < count) {
        const found = (await reader.xreadgroupBuffer(
          ...(["GROUP", group, consumer, "COUNT", half] as const),
          ...(["BLOCK", 2000, "STREAMS", topic, ">"] as const),
        )) as ReadonlyArray<readonly [Buffer, ReadonlyArray<readonly [Buffer, readonly Buffer[]]>]> | null;
        const entries = found?.[0]?.[1] ?? [];
        await Promise.all(entries.map(([, [, value]]) => handle(value)));
        if (handled === 0 && entries.length > 0) onFirst();
        const ids = entries.map(([id]) => id);
        handled += ids.length;
        await acked;
        if (ids.length > 0) acked = client.xack(topic, group, ...ids);
      }
      const last = acked;
      return () => last;
    },
    async remove(topic) {
      await client.del(topic);
    },
    async close() {
      client.disconnect();
      reader.disconnect();
    },
  };
}
