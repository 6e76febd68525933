import type { Redis } from "ioredis";

/** `1526919030474-55` as two numbers; the second has up to 64 bits. */
type Id = readonly [ms: number, sequence: bigint];

function parseId(id: string): Id {
  const [ms = "0", sequence = "0"] = id.split("-");
  return [Number(ms), BigInt(sequence)];
}

function isBefore([ms, sequence]: Id, [otherMs, otherSequence]: Id): boolean {
  return ms < otherMs || (ms === otherMs && sequence < otherSequence);
}

/** A reply of XINFO: name, value, name, value. */
function infoValue(reply: readonly unknown[], name: string): string {
  return String(reply[reply.indexOf(name) + 1]);
}

/**
 * Deletes the messages that every group has finished, in the blocks Redis keeps them in, and with `keeps` only those older than `keepSinceMs`.
 * A stream without groups is left alone: whoever comes first may want all of it.
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
