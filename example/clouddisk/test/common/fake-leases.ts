import type { Database } from "../../src/dbproxy/client.js";

/** dbproxy's `lease.take` on a clock of its own that only `advance` moves. */
export interface FakeLeases extends Pick<Database, "run"> {
  advance(byMs: number): void;
}

export function fakeLeases(): FakeLeases {
  const held = new Map<string, { owner: string; untilMs: number }>();
  let nowMs = 0;
  const take = (params: { name: string; owner: string; leaseMs: number }): { taken: boolean } => {
    const lease = held.get(params.name);
    if (lease !== undefined && lease.owner !== params.owner && lease.untilMs > nowMs) return { taken: false };
    held.set(params.name, { owner: params.owner, untilMs: nowMs + params.leaseMs });
    return { taken: true };
  };
  return {
    advance: (byMs) => {
      nowMs += byMs;
    },
    run: async (name, params) => {
      if (name !== "lease.take") throw new TypeError(`the fake knows leases only, not ${name}`);
      return take(params as Parameters<typeof take>[0]) as never;
    },
  };
}
