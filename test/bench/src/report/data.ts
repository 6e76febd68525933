import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type Report, short, type Table } from "./write.js";

/** What was found out, as plain data: a cell without a figure is null. */
export interface Data {
  title: string;
  columns: readonly string[];
  rows: readonly (readonly (string | number | null)[])[];
}

function cellText(cell: string | number | null): string {
  if (typeof cell === "string") return cell;
  return cell !== null && Number.isInteger(cell) ? cell.toLocaleString("en-US") : short(cell ?? Number.NaN);
}

export const tableOf = ({ columns, rows }: Data): Table => ({
  head: columns,
  lines: rows.map((row) => row.map(cellText)),
});

/** A report with a section for each; also into `jsonFile`, when there is one. */
export function dataReport(command: string, title: string, all: readonly Data[], jsonFile?: string): Report {
  if (jsonFile !== undefined) {
    mkdirSync(path.dirname(path.resolve(jsonFile)), { recursive: true });
    writeFileSync(jsonFile, `${JSON.stringify({ command, tables: all }, null, 2)}\n`);
  }
  const sections = all.map((data) => ({ title: data.title, text: [], tables: [tableOf(data)], plots: [] }));
  return { command, title, sections, results: all };
}
