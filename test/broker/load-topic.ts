import { defineTopic, type SubscribeOptions } from "../../src/broker/index.js";
import { Item } from "../support/gen/flow.js";

export const loadTopic = defineTopic("load.items", Item);

/** Its handler throws each time. */
export const isPoison = (number: number): boolean => number % 1000 === 999;

export function memberOptions(group: string, isSlow: boolean): SubscribeOptions {
  const size = isSlow ? { concurrency: 1, maxInFlight: 100 } : { concurrency: 64, maxInFlight: 256 };
  return { group, ...size, maxAttempts: 5, ackWaitMs: 3000, retry: { initialMs: 20, maxMs: 200 } };
}
