import type { Redis } from "ioredis";
import type { RedisEntry } from "./entries.js";

/** A reply of XINFO: name, value, name, value. */
export function infoValue(reply: readonly unknown[], name: string): string {
  return String(reply[reply.indexOf(name) + 1]);
}

/** The id of the last message that a group was handed; undefined: there is no such group. */
export async function lastHandedId(client: Redis, key: string, group: string): Promise<string | undefined> {
  const groups = (await client.xinfo("GROUPS", key)) as ReadonlyArray<readonly unknown[]>;
  const found = groups.find((one) => infoValue(one, "name") === group);
  return found && infoValue(found, "last-delivered-id");
}

/** The id of the first message that a stream still has; undefined: it has none. */
export async function firstId(client: Redis, key: string): Promise<string | undefined> {
  const [first] = await client.xrange(key, "-", "+", "COUNT", 1);
  return first?.[0];
}

/** How often each of these was handed to the group: XAUTOCLAIM counts them, and does not say how many there are. */
export function attemptsOf(
  client: Redis,
  key: string,
  group: string,
  entries: readonly RedisEntry[],
): Promise<number[]> {
  return Promise.all(
    entries.map(async ({ id }) => {
      const [pending] = (await client.xpending(key, group, id, id, 1)) as unknown[][];
      return Number(pending?.[3] ?? 1);
    }),
  );
}
