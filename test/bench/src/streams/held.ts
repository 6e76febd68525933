import { log } from "../arguments.js";
import { median } from "../report.js";
import { type BothSides, StreamPair, type StreamWindow } from "./pair.js";
import type { StreamMemory } from "./protocol.js";
import type { IdleKind, StreamTargetName } from "./target.js";

/** What a stream at rest takes, and what one that nobody reads does to others. */

export interface IdleStreamsRow {
  target: StreamTargetName;
  kind: IdleKind;
  streams: number;
  /** Of each stream, by side. */
  callerHeapBytes: number;
  providerHeapBytes: number;
  callerRssBytes: number;
  providerRssBytes: number;
}

export interface StalledRow {
  target: StreamTargetName;
  /** That are read as fast as they come. */
  streams: number;
  payloadBytes: number;
  messagesPerSecondAlone: number;
  /** With one more stream that nobody reads. */
  messagesPerSecondBeside: number;
  /** What that one holds: heap and buffers of each side. */
  callerBytes: number;
  providerBytes: number;
}

export async function measureIdleStreams(
  target: StreamTargetName,
  kind: IdleKind,
  streams: number,
  pin: boolean,
): Promise<IdleStreamsRow> {
  const pair = await StreamPair.start(target, pin);
  try {
    // The first ones load code and grow pools, which is no cost of a stream.
    const first = Math.ceil(streams / 10);
    await pair.openIdle(kind, first);
    const before = await pair.memory();
    await pair.openIdle(kind, streams - first);
    const after = await pair.memory();
    const each = (side: keyof BothSides, key: keyof StreamMemory) =>
      (after[side][key] - before[side][key]) / (streams - first);
    log(`${target}: ${streams} idle ${kind} streams`);
    return {
      target,
      kind,
      streams,
      callerHeapBytes: each("caller", "heapBytes"),
      providerHeapBytes: each("provider", "heapBytes"),
      callerRssBytes: each("caller", "rssBytes"),
      providerRssBytes: each("provider", "rssBytes"),
    };
  } finally {
    await pair.close();
  }
}

const stalledLoad = { kind: "server", payloadBytes: 1024, streams: 99 } as const;

/** Two pairs of processes take turns, of which one has a stream more that nobody reads. */
export async function measureStalled(
  target: StreamTargetName,
  rounds: number,
  window: StreamWindow,
  pin: boolean,
): Promise<StalledRow> {
  const { payloadBytes, streams } = stalledLoad;
  const pairs: StreamPair[] = [];
  try {
    for (let count = 0; count < 2; count += 1) pairs.push(await StreamPair.start(target, pin));
    const [alone, beside] = pairs as [StreamPair, StreamPair];
    for (const pair of pairs) await pair.measure(stalledLoad, window);
    const before = await beside.memory();
    await beside.stall(payloadBytes);
    const rates = { alone: [] as number[], beside: [] as number[] };
    for (let round = 0; round < rounds; round += 1) {
      rates.alone.push((await alone.measure(stalledLoad, window)).messagesPerSecond);
      rates.beside.push((await beside.measure(stalledLoad, window)).messagesPerSecond);
    }
    const after = await beside.memory();
    const held = (side: keyof BothSides) =>
      after[side].heapBytes + after[side].externalBytes - before[side].heapBytes - before[side].externalBytes;
    log(`${target}: one stalled stream beside ${streams}`);
    return {
      target,
      streams,
      payloadBytes,
      messagesPerSecondAlone: median(rates.alone),
      messagesPerSecondBeside: median(rates.beside),
      callerBytes: held("caller"),
      providerBytes: held("provider"),
    };
  } finally {
    for (const pair of pairs) await pair.close();
  }
}
