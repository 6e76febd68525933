import type { Case } from "./cases.js";

/** One codec with one message. */
export interface Rival {
  encode(): Uint8Array;
  decode(): unknown;
}

export const rivalNames = [
  "mprpc",
  "protobufjs static",
  "protobufjs reflected",
  "protobuf-es",
  "JSON",
] as const;
export type RivalName = (typeof rivalNames)[number];

/** Their code needs the peers, which are there only once the benchmark was run: it is loaded when it is asked for. */
export async function loadRivals(): Promise<(one: Case) => Record<RivalName, Rival>> {
  const file = import.meta.url.endsWith(".ts") ? "rivals.ts" : "rivals.js";
  const module: { makeRivals(): Promise<(one: Case) => Record<RivalName, Rival>> } = await import(
    new URL(file, import.meta.url).href
  );
  return module.makeRivals();
}
