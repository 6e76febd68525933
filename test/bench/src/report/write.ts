import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Facts } from "./facts.js";

export interface Table {
  head: readonly string[];
  lines: readonly (readonly string[])[];
}

export interface Plot {
  /** Without folder and ending; unique in the report. Empty: the picture has the report's own name. */
  name: string;
  title: string;
  svg: string;
}

export interface Section {
  title: string;
  /** Paragraphs. */
  text: readonly string[];
  tables: readonly Table[];
  plots: readonly Plot[];
}

/** What a command found out. */
export interface Report {
  command: string;
  title: string;
  sections: readonly Section[];
  /** The figures with names and full precision, for programs. */
  results: unknown;
}

/** A number with three digits that matter. */
export function short(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return "-";
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en-US");
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}

/** In columns, for a terminal. */
export function plainTable({ head, lines }: Table): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...lines.map((line) => line[column]?.length ?? 0)),
  );
  const format = (cells: readonly string[]) =>
    cells
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  ");
  return [head, ...lines].map(format).join("\n");
}

function markdownTable({ head, lines }: Table): string {
  const row = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  const rule = head.map((_, column) => (column === 0 ? "---" : "---:"));
  return [row(head), row(rule), ...lines.map(row)].join("\n");
}

function factLines(facts: Facts): Table {
  const { loadBefore, loadAfter } = facts;
  return {
    head: ["fact", "value"],
    lines: [
      ["command", `\`${facts.command}\``],
      ["date", facts.date],
      ["commit", facts.gitCommit || "-"],
      ["CPU", `${facts.cores} x ${facts.cpu}`],
      ["memory", `${facts.memoryGib} GiB`],
      ["Node.js, kernel", `${facts.node}, ${facts.kernel}`],
      ["load average before, after", `${loadBefore.join(" ")}, ${loadAfter.join(" ")}`],
    ],
  };
}

const plotFile = (report: Report, plot: Plot) =>
  `${plot.name === "" ? report.command : `${report.command}-${plot.name}`}.svg`;

export function markdownReport(report: Report, facts: Facts): string {
  const sections = report.sections.map(({ title, text, tables, plots }) =>
    [
      `## ${title}`,
      ...text,
      ...plots.map((plot) => `![${plot.title}](${plotFile(report, plot)})`),
      ...tables.map(markdownTable),
    ].join("\n\n"),
  );
  return `${[`# ${report.title}`, markdownTable(factLines(facts)), ...sections].join("\n\n")}\n`;
}

/** For the terminal. */
export function plainReport(report: Report): string {
  return report.sections
    .map(({ title, tables }) => [title, ...tables.map(plainTable)].join("\n"))
    .join("\n\n");
}

/** `COMMAND.json`, `COMMAND.md` and the plots into `folder`, which is made when missing. Returns the files' names. */
export function writeReport(folder: string, report: Report, facts: Facts): string[] {
  const plots = report.sections.flatMap((section) => section.plots);
  const files: [name: string, content: string][] = [
    [`${report.command}.json`, `${JSON.stringify(jsonReport(report, facts), null, 2)}\n`],
    [`${report.command}.md`, markdownReport(report, facts)],
    ...plots.map((plot): [string, string] => [plotFile(report, plot), plot.svg]),
  ];
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of files) writeFileSync(path.join(folder, name), content);
  return files.map(([name]) => name);
}

function jsonReport(report: Report, facts: Facts) {
  return {
    command: report.command,
    title: report.title,
    facts,
    sections: report.sections.map(({ title, tables, plots }) => ({
      title,
      tables,
      plots: plots.map((plot) => plotFile(report, plot)),
    })),
    results: report.results,
  };
}
