import { type BarPanel, figure } from "../report/plot.js";
import { type Report, type Section, short, type Table } from "../report/write.js";
import type { InstallSize } from "./install.js";
import type { StartRow } from "./measure.js";

interface Measure<T> {
  name: string;
  of(row: T): number;
  /** A count. */
  whole?: boolean;
}

const startMeasures: readonly Measure<StartRow>[] = [
  { name: "Node itself, ms", of: (row) => row.nodeMs },
  { name: "Import, ms", of: (row) => row.importMs },
  { name: "Import, MiB of memory", of: (row) => row.importRssMib },
  { name: "Start of the process to listening, ms", of: (row) => row.listeningMs },
  { name: "Import done to listening, ms", of: (row) => row.listeningAfterImportMs },
  { name: "First call, with its connection, ms", of: (row) => row.firstCallMs },
  { name: "Tenth call, ms", of: (row) => row.tenthCallMs },
];

const installMeasures: readonly Measure<InstallSize>[] = [
  { name: "Packages installed", of: (row) => row.packages, whole: true },
  { name: "Installed size, MiB", of: (row) => row.bytes / 2 ** 20 },
  { name: "Files", of: (row) => row.files, whole: true },
];

/** Each measure a line, each target a column, and the first target divided by each other. */
function sideBySide<T extends { target: string }>(
  rows: readonly T[],
  measures: readonly Measure<T>[],
): Table {
  const [own, ...peers] = rows;
  if (own === undefined) return { head: [], lines: [] };
  return {
    head: [
      "",
      ...rows.map(({ target }) => target),
      ...peers.map(({ target }) => `${own.target} / ${target}`),
    ],
    lines: measures.map(({ name, of, whole = false }) => [
      name,
      ...rows.map((row) => (whole ? of(row).toLocaleString("en-US") : short(of(row)))),
      ...peers.map((peer) => `x ${short(of(own) / of(peer))}`),
    ]),
  };
}

function bars<T extends { target: string }>(rows: readonly T[], { name, of }: Measure<T>): BarPanel {
  return {
    kind: "bars",
    title: name,
    x: { label: "", unit: "count", scale: "linear" },
    bars: rows.map((row) => ({ name: row.target, value: of(row) })),
  };
}

export function startupReport(starts: readonly StartRow[], installs: readonly InstallSize[]): Report {
  const runs = starts[0]?.runs ?? 0;
  const title = "Start and size beside grpc-js";
  const panels = [
    ...startMeasures.slice(1).map((measure) => bars(starts, measure)),
    ...(installs.length === 0 ? [] : installMeasures.slice(0, 2).map((measure) => bars(installs, measure))),
  ];
  const started: Section = {
    title: "Start",
    text: [
      `Fresh processes, medians of ${runs}. The provider has a static registry; the caller's first call opens its connection. Of grpc-js, @grpc/proto-loader is imported as well, as its users do. Memory is resident memory after a collection, less what there was before.`,
    ],
    tables: [sideBySide(starts, startMeasures)],
    plots: [{ name: "bars", title, svg: figure(title, panels) }],
  };
  const installed: Section = {
    title: "Install size",
    text: [
      "The packed archive, and the peers, installed by npm into empty folders without development dependencies.",
    ],
    tables: [sideBySide(installs, installMeasures)],
    plots: [],
  };
  return {
    command: "startup",
    title: "Start and size",
    sections: installs.length === 0 ? [started] : [started, installed],
    results: { starts, installs },
  };
}
