import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { Redis } from "ioredis";

/** What a group has still to do, as its server says. */
export interface Backlog {
  /** Whether nothing of the group waits: everything was handed out, and everything handed out was settled. Rejects while the server is away. */
  isEmpty(): Promise<boolean>;
  close(): Promise<void>;
}

/** A reply of XINFO: name, value, name, value. */
function infoValue(reply: readonly unknown[], name: string): string {
  return String(reply[reply.indexOf(name) + 1]);
}

function redisBacklog(port: number, topic: string, group: string): Backlog {
  const client = new Redis({ port, host: "127.0.0.1" });
  // Failures are those of its commands.
  client.on("error", () => {});
  const key = `mprpc:{${topic}}`;
  return {
    async isEmpty() {
      const stream = (await client.xinfo("STREAM", key)) as unknown[];
      const groups = (await client.xinfo("GROUPS", key)) as unknown[][];
      const own = groups.find((one) => infoValue(one, "name") === group) ?? [];
      const isRead = infoValue(own, "last-delivered-id") === infoValue(stream, "last-generated-id");
      return isRead && infoValue(own, "pending") === "0";
    },
    close: async () => client.disconnect(),
  };
}

async function natsBacklog(port: number, topic: string, group: string): Promise<Backlog> {
  const connection = await connect({ servers: `127.0.0.1:${port}`, maxReconnectAttempts: -1 });
  const manager = await jetstreamManager(connection);
  return {
    async isEmpty() {
      const info = await manager.consumers.info(`mprpc=${topic.replaceAll(".", "=")}`, group);
      return info.num_pending === 0 && info.num_ack_pending === 0;
    },
    close: () => connection.close(),
  };
}

export function openBacklog(
  driver: "redis" | "nats",
  port: number,
  topic: string,
  group: string,
): Promise<Backlog> {
  return driver === "nats"
    ? natsBacklog(port, topic, group)
    : Promise.resolve(redisBacklog(port, topic, group));
}
