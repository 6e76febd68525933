import type { Axis as PlotAxis } from "../report/axis.js";
import type { Load, TargetSource } from "../target.js";
import { type GrowthSetting, smallest } from "./setting.js";

/** One thing that grows while all else stays as small as it can be. */
export interface GrowthAxis {
  name: string;
  title: string;
  /** What the values count, for the plot and the head of the table. */
  label: string;
  unit: PlotAxis["unit"];
  values: readonly number[];
  series: readonly Series[];
  /** How it is measured, and what is to be expected of it. */
  about: readonly string[];
}

export interface Series {
  name: string;
  source(value: number): TargetSource;
  load(value: number): Load;
}

const usual: Load = { payloadBytes: 20, inFlight: 64 };
const few = 16;

const decades = (last: number) =>
  Array.from({ length: Math.round(Math.log10(last)) + 1 }, (_, power) => 10 ** power);

function grown(name: string, change: (value: number) => Partial<GrowthSetting>): Series {
  return { name, source: (value) => ({ ...smallest, ...change(value) }), load: () => usual };
}

function loaded(name: string, source: TargetSource, load: (value: number) => Load): Series {
  return { name, source: () => source, load };
}

const inFlightOf = (value: number): Load => ({ payloadBytes: 20, inFlight: value });
const payloadOf = (value: number): Load => ({ payloadBytes: value, inFlight: 4 });

export const growthAxes: readonly GrowthAxis[] = [
  {
    name: "services",
    title: "Services",
    label: "services offered and called in turn",
    unit: "count",
    values: decades(1000),
    series: [grown("mprpc", (services) => ({ services }))],
    about: ["One method each; 64 calls in flight on one connection. Wanted: flat."],
  },
  {
    name: "methods",
    title: "Methods of one service",
    label: "methods called in turn",
    unit: "count",
    values: decades(10_000),
    series: [grown("mprpc", (methods) => ({ methods }))],
    about: [
      "64 calls in flight on one connection. Wanted: flat up to 4,096 methods. A connection agrees on an index for so many; those beyond are named in each call, which then is larger and looked up by name.",
    ],
  },
  {
    name: "endpoints",
    title: "Endpoints of one service",
    label: "endpoints",
    unit: "count",
    values: decades(1000),
    series: [
      grown("one channel that chooses", (endpoints) => ({ endpoints })),
      grown("a channel for each", (endpoints) => ({ endpoints, channels: "one-an-endpoint" })),
    ],
    about: [
      "A static list of addresses 127.0.0.1, 127.0.0.2, ...; one provider process listens on all of them, and each has a connection of its own. 64 calls are in flight over all of them, round robin.",
      "The more connections, the fewer calls share a write and a read: that costs system calls, whoever chooses. The second line has the same connections without the choice, each in a channel of its own; what the list and the balancer cost is the distance between the two lines. Wanted: none.",
    ],
  },
  {
    name: "in-flight",
    title: "Calls in flight",
    label: "calls in flight on one connection",
    unit: "count",
    values: decades(100_000),
    series: [loaded("mprpc", smallest, inFlightOf), loaded("raw echo", "raw", inFlightOf)],
    about: [
      "Limits of calls in flight are raised above the largest step. Wanted: falling at first, as ever more calls share a write, then flat.",
    ],
  },
  {
    name: "metadata",
    title: "Metadata entries",
    label: "entries with each request",
    unit: "count",
    values: [0, 1, 2, 4, 8, 16, 32],
    series: [grown("mprpc", (metadataEntries) => ({ metadataEntries }))],
    about: [
      "Keys of about 10 characters, values of 15, given as an object with each call; 64 calls in flight. Wanted: a straight line, since each entry is checked, written and read.",
    ],
  },
  {
    name: "payload",
    title: "Payload",
    label: "bytes of request and of reply",
    unit: "bytes",
    values: [0, ...Array.from({ length: 6 }, (_, step) => few * 16 ** step)],
    series: [loaded("mprpc", smallest, payloadOf), loaded("raw echo", "raw", payloadOf)],
    about: [
      "4 calls in flight; bytes/s count both ways. `limits.body` is raised above the largest step. Wanted: flat up to a few KiB, then bytes per second flat.",
    ],
  },
  {
    name: "pending",
    title: "Pending deadlines",
    label: "calls that hang meanwhile, an hour from their deadline",
    unit: "count",
    values: [0, ...decades(100_000)],
    series: [grown("mprpc", (pendingDeadlines) => ({ pendingDeadlines }))],
    about: ["On the same connection; 64 other calls are in flight. Wanted: flat."],
  },
];
