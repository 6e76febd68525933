import { type Filled, number, type OptionRules } from "../../base/options.js";

/** From the first to the second, both included; each connection draws its own. */
export type NumberRange = readonly [number, number];

/** What the network of a simulation does to its connections. */
export interface NetworkOptions {
  /** One-way latency of a connection, ms. Default [0.1, 2]. */
  latencyMs?: NumberRange | undefined;
  /** What arrives may come so much later, but never out of order within its connection, ms. Default 0.5. */
  jitterMs?: number | undefined;
  /** Probability that a write arrives in pieces, cut anywhere. Default 0.1. */
  split?: number | undefined;
  /** Probability that pieces which lie there together are read as one. Default 0.9. */
  coalesce?: number | undefined;
  /** Bytes a direction of a connection takes before its sender has to wait. Default [16 KiB, 256 KiB]. */
  windowBytes?: NumberRange | undefined;
  /** Probability that a connect is refused. Default 0. */
  refuse?: number | undefined;
  /** Probability that a new connection breaks at some byte of its first 256 KiB. Default 0. */
  cut?: number | undefined;
  /** Probability that a new connection falls silent at such a byte, and nobody is told. Default 0. */
  drop?: number | undefined;
}

export const networkDefaults: Readonly<Filled<NetworkOptions>> = {
  latencyMs: [0.1, 2],
  jitterMs: 0.5,
  split: 0.1,
  coalesce: 0.9,
  windowBytes: [16 * 1024, 256 * 1024],
  refuse: 0,
  cut: 0,
  drop: 0,
};

const range = (min: number) => ({
  expected: `two numbers of at least ${min}, the smaller first`,
  accepts: (value: unknown) =>
    Array.isArray(value) &&
    value.length === 2 &&
    value.every((one) => typeof one === "number" && one >= min && one < Infinity) &&
    value[0] <= value[1],
});

export const networkRules: OptionRules<NetworkOptions> = {
  latencyMs: range(0),
  jitterMs: number(0, Number.MAX_SAFE_INTEGER),
  split: number(0, 1),
  coalesce: number(0, 1),
  windowBytes: range(1),
  refuse: number(0, 1),
  cut: number(0, 1),
  drop: number(0, 1),
};
