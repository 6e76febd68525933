import type { Redis } from "ioredis";
import { isOwnGroup } from "../options.js";
import { type Id, isBefore, parseId } from "./ids.js";
import { infoValue } from "./info.js";

/** What a subscription without a group keeps for as long as it is there, and lets expire. */
export function lifeKeyOf(key: string, group: string): string {
  return `${key}:alive:${group}`;
}

/** Ends the own group of a subscription whose process is gone. True: it was such a one. */
async function forgetIfGone(client: Redis, key: string, group: string): Promise<boolean> {
  if (!isOwnGroup(group) || (await client.exists(lifeKeyOf(key, group))) === 1) return false;
  await client.xgroup("DESTROY", key, group);
  return true;
}

/**
 * Deletes the messages that every group has finished, in the blocks Redis keeps them in, and with `keeps` only those older than `keepSinceMs`.
 * A stream without groups is left alone: whoever comes first may want all of it. Groups of subscriptions that are gone end here.
 */
export async function trimFinished(
  client: Redis,
  key: string,
  keepSinceMs: number,
  keeps: boolean,
): Promise<void> {
  const groups = (await client.xinfo("GROUPS", key)) as ReadonlyArray<readonly unknown[]>;
  let floor: Id | undefined = keeps ? [Math.max(0, keepSinceMs), 0n] : undefined;
  if (groups.length === 0) return;
  for (const group of groups) {
    if (await forgetIfGone(client, key, infoValue(group, "name"))) continue;
    let unfinished = infoValue(group, "last-delivered-id");
    if (Number(infoValue(group, "pending")) > 0) {
      const [, oldest] = (await client.xpending(key, infoValue(group, "name"))) as unknown[];
      if (typeof oldest === "string") unfinished = oldest;
    }
    const id = parseId(unfinished);
    if (floor === undefined || isBefore(id, floor)) floor = id;
  }
  if (floor !== undefined) await client.xtrim(key, "MINID", "~", `${floor[0]}-${floor[1]}`);
}
