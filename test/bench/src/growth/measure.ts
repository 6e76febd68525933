import { log } from "../arguments.js";
import { type Measurement, Pair, type Window } from "../pair.js";
import { medianOf } from "../report.js";
import { rotated } from "../rounds.js";
import type { Load } from "../target.js";
import type { GrowthAxis, Series } from "./axes.js";

export interface GrowthRow {
  axis: string;
  series: string;
  /** The size on the axis. */
  value: number;
  callsPerSecond: number;
  /** Both ways together. */
  bytesPerSecond: number;
  clientCpuUsPerCall: number;
  serverCpuUsPerCall: number;
  /** All calls of all rounds, those outside of the windows too, as each side counted them. */
  made: number;
  served: number;
  /** What each round showed. */
  rounds: readonly Measurement[];
}

export interface GrowthPlan {
  rounds: number;
  /** Of each step, once, with small calls; thrown away. */
  warmUp: Window;
  window: Window;
  pin: boolean;
}

const warmUpLoad: Load = { payloadBytes: 20, inFlight: 64 };

interface Cell {
  series: Series;
  value: number;
  pair: Pair;
  measurements: Measurement[];
  made: number;
  served: number;
}

/** Medians of rounds that take every step in turn, so that noise of the machine hits all alike. */
export async function measureAxis(axis: GrowthAxis, plan: GrowthPlan): Promise<GrowthRow[]> {
  const cells: Cell[] = [];
  try {
    for (const series of axis.series) {
      for (const value of axis.values) {
        const pair = await Pair.start(series.source(value), plan.pin);
        cells.push({ series, value, pair, measurements: [], made: 0, served: 0 });
      }
    }
    // Code is compiled by then as it will be: a step whose start makes many calls must not look cheaper for it.
    for (const { pair } of cells) await pair.measure(warmUpLoad, plan.warmUp);
    for (let round = 0; round < plan.rounds; round += 1) {
      for (const cell of rotated(cells, round)) await measureCell(cell, plan.window);
    }
    log(`${axis.name}: ${cells.length} steps, ${plan.rounds} rounds`);
    return cells.map((cell) => toRow(axis, cell));
  } finally {
    for (const { pair } of cells) pair.kill();
  }
}

async function measureCell(cell: Cell, window: Window): Promise<void> {
  const load = cell.series.load(cell.value);
  const { made, served, ...measurement } = await cell.pair.measure(load, window);
  if (made !== served) {
    throw new Error(`${cell.series.name} at ${cell.value}: ${made} calls answered, but ${served} served`);
  }
  cell.measurements.push(measurement);
  cell.made += made;
  cell.served += served;
}

function toRow(axis: GrowthAxis, { series, value, measurements, made, served }: Cell): GrowthRow {
  const { callsPerSecond, clientCpuUsPerCall, serverCpuUsPerCall } = medianOf(measurements);
  const { payloadBytes } = series.load(value);
  const bytesPerSecond = callsPerSecond * payloadBytes * 2;
  return {
    axis: axis.name,
    series: series.name,
    value,
    callsPerSecond,
    bytesPerSecond,
    clientCpuUsPerCall,
    serverCpuUsPerCall,
    made,
    served,
    rounds: measurements,
  };
}
