import {
  line,
  symbol,
  symbolCircle,
  symbolCross,
  symbolDiamond,
  symbolSquare,
  symbolStar,
  symbolTriangle,
  symbolWye,
} from "d3-shape";
import { type Axis, type ScaledAxis, scaleAxis, tickText } from "./axis.js";

/** Charts as SVG text: no browser, no fonts to install, colours for light and for dark pages. */

export interface Line {
  name: string;
  points: readonly { x: number; y: number }[];
  /** Whether each point is marked; of a line of many points it is not. Default true. */
  markers?: boolean;
}

export interface LinePanel {
  kind: "lines";
  title: string;
  x: Axis;
  y: Axis;
  lines: readonly Line[];
  /** Moments to point out on the x axis. */
  moments?: readonly { x: number; text: string }[];
}

export interface BarPanel {
  kind: "bars";
  title: string;
  /** The axis of the values; its label may be empty. */
  x: Axis;
  bars: readonly { name: string; value: number }[];
}

export type Panel = LinePanel | BarPanel;

const panelWidth = 430;
const plotHeight = 220;
const barHeight = 26;
const left = 62;
const right = 26;
const top = 34;
/** Ticks and label of the x axis. */
const bottom = 46;
const legendRowHeight = 18;
const titleHeight = 34;
/** Of the 12-pixel text, on average; no font is asked. */
const characterWidth = 6.4;

/** Okabe and Ito's colours first, which people of any colour vision tell apart; marks differ too. Lighter ones of the same order for dark pages. */
const lightColours = [
  "#0072b2",
  "#d55e00",
  "#00805d",
  "#b0468a",
  "#8a6d00",
  "#3a3a3a",
  "#6639ba",
  "#1b7c99",
  "#a40e26",
  "#5c7f00",
];
const darkColours = [
  "#58b4f0",
  "#ff9d4d",
  "#3ddbab",
  "#f09bcb",
  "#e6cf3c",
  "#c9d1d9",
  "#b392f0",
  "#76e3ea",
  "#ff8f8f",
  "#b5d94c",
];
const markers = [
  symbolCircle,
  symbolSquare,
  symbolTriangle,
  symbolDiamond,
  symbolCross,
  symbolStar,
  symbolWye,
  symbolCircle,
  symbolSquare,
  symbolTriangle,
];

function styleSheet(): string {
  const series = (colours: readonly string[]) =>
    colours
      .map((colour, index) => `.s${index}{stroke:${colour}}.m${index}{fill:${colour};stroke:${colour}}`)
      .join("");
  return [
    "text{font:12px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;fill:#24292f}",
    ".page{fill:#ffffff}.title{font-size:15px;font-weight:600}.panel{font-weight:600}",
    ".quiet{fill:#57606a}.grid{stroke:#d8dee4}.axis{stroke:#8c959f}.moment{stroke:#57606a;stroke-dasharray:3 3}",
    ".line{fill:none;stroke-width:2}",
    series(lightColours),
    "@media (prefers-color-scheme:dark){text{fill:#e6edf3}.page{fill:#0d1117}.quiet{fill:#9198a1}",
    ".grid{stroke:#2b323b}.axis{stroke:#6e7681}.moment{stroke:#9198a1}",
    `${series(darkColours)}}`,
  ].join("");
}

const escaped = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

const at = (value: number) => String(Math.round(value * 10) / 10);

interface TextOptions {
  className?: string;
  anchor?: "start" | "middle" | "end";
}

function text(
  x: number,
  y: number,
  value: string,
  { className = "", anchor = "start" }: TextOptions = {},
): string {
  const style = className === "" ? "" : ` class="${className}"`;
  return `<text x="${at(x)}" y="${at(y)}" text-anchor="${anchor}"${style}>${escaped(value)}</text>`;
}

const stroke = (className: string, x1: number, y1: number, x2: number, y2: number) =>
  `<line class="${className}" x1="${at(x1)}" y1="${at(y1)}" x2="${at(x2)}" y2="${at(y2)}"/>`;

const mark = (index: number, x: number, y: number) =>
  `<path class="m${index}" transform="translate(${at(x)},${at(y)})" d="${symbol(markers[index % markers.length], 38)()}"/>`;

/** Ticks whose texts do not run into each other, first ones first. */
function xTicks(axis: Axis, scaled: ScaledAxis, y: number): string {
  let freeFrom = Number.NEGATIVE_INFINITY;
  return scaled.ticks
    .map((tick) => {
      const x = scaled.place(tick);
      const label = tickText(tick, axis.unit);
      const half = (label.length * characterWidth) / 2;
      const line = stroke("axis", x, y, x, y + 4);
      if (x - half < freeFrom) return line;
      freeFrom = x + half + 6;
      return line + text(x, y + 18, label, { className: "quiet", anchor: "middle" });
    })
    .join("");
}

/** Where each entry of a legend goes, in rows of the panel's width. */
function legend(names: readonly string[], y: number): { svg: string; height: number } {
  let x = left;
  let row = 0;
  const entries = names.map((name, index) => {
    const width = 26 + name.length * characterWidth + 14;
    if (x > left && x + width > panelWidth) {
      x = left;
      row += 1;
    }
    const middle = y + row * legendRowHeight;
    const entry =
      stroke(`line s${index}`, x, middle, x + 20, middle) +
      mark(index, x + 10, middle) +
      text(x + 26, middle + 4, name);
    x += width;
    return entry;
  });
  return { svg: entries.join(""), height: (row + 1) * legendRowHeight };
}

/** A step without a figure has no place. */
const isFinitePoint = ({ x, y }: { x: number; y: number }) => Number.isFinite(x) && Number.isFinite(y);

interface Drawn {
  svg: string;
  height: number;
}

function drawLines(panel: LinePanel): Drawn {
  const floor = top + plotHeight;
  const lines = panel.lines.map((one) => ({ ...one, points: one.points.filter(isFinitePoint) }));
  const points = lines.flatMap((one) => one.points);
  const moments = panel.moments ?? [];
  const xs = [...points, ...moments].map((one) => one.x).concat(panel.x.ticks ?? []);
  const x = scaleAxis(panel.x, xs, [left, panelWidth - right]);
  const y = scaleAxis(
    panel.y,
    points.map((point) => point.y),
    [floor, top],
  );
  const grid = y.ticks.map(
    (tick) =>
      stroke("grid", left, y.place(tick), panelWidth - right, y.place(tick)) +
      text(left - 8, y.place(tick) + 4, tickText(tick, panel.y.unit), { className: "quiet", anchor: "end" }),
  );
  const path = line<{ x: number; y: number }>(
    (point) => x.place(point.x),
    (point) => y.place(point.y),
  );
  const drawn = lines.map(({ points: own, markers: marked = true }, index) => {
    const marks = marked ? own.map((point) => mark(index, x.place(point.x), y.place(point.y))) : [];
    return `<path class="line s${index}" d="${path.digits(1)(own) ?? ""}"/>${marks.join("")}`;
  });
  const pointedOut = moments.map((moment, index) => {
    const at = x.place(moment.x);
    // On the side where there is room for it.
    const side = at > (left + panelWidth) / 2 ? ({ shift: -4, anchor: "end" } as const) : { shift: 4 };
    const words = text(at + side.shift, top + 12 + index * 15, moment.text, { className: "quiet", ...side });
    return stroke("moment", at, top, at, floor) + words;
  });
  const names = legend(
    panel.lines.map(({ name }) => name),
    floor + bottom + 10,
  );
  const svg = [
    text(left, top - 12, `${panel.title} (${panel.y.label})`, { className: "panel" }),
    ...grid,
    stroke("axis", left, floor, panelWidth - right, floor),
    xTicks(panel.x, x, floor),
    text((left + panelWidth - right) / 2, floor + 36, panel.x.label, {
      className: "quiet",
      anchor: "middle",
    }),
    ...pointedOut,
    ...drawn,
    names.svg,
  ].join("");
  return { svg, height: floor + bottom + names.height };
}

function drawBars(panel: BarPanel): Drawn {
  const names = Math.max(...panel.bars.map(({ name }) => name.length)) * characterWidth + 20;
  const floor = top + panel.bars.length * barHeight;
  // A bar on a log axis has no natural foot: it starts well below the least.
  const least = Math.min(...panel.bars.map(({ value }) => value));
  const foot = panel.x.scale === "linear" ? 0 : 10 ** Math.floor(Math.log10(least) - 0.3);
  const x = scaleAxis(panel.x, [foot, ...panel.bars.map(({ value }) => value)], [names, panelWidth - 70]);
  const grid = x.ticks.map((tick) => stroke("grid", x.place(tick), top, x.place(tick), floor));
  const bars = panel.bars.map(({ name, value }, index) => {
    const y = top + index * barHeight + 4;
    const end = x.place(value);
    const own = name.startsWith("mprpc") ? "m0" : "m1";
    return (
      text(names - 8, y + 13, name, { anchor: "end" }) +
      `<rect class="${own}" x="${at(names)}" y="${at(y)}" width="${at(Math.max(1, end - names))}" height="${barHeight - 8}"/>` +
      text(end + 6, y + 13, tickText(value, panel.x.unit), { className: "quiet" })
    );
  });
  const label = { className: "quiet", anchor: "middle" } as const;
  const svg = [
    text(left, top - 12, panel.title, { className: "panel" }),
    ...grid,
    ...bars,
    stroke("axis", names, floor, panelWidth - 70, floor),
    xTicks(panel.x, x, floor),
    // Where the title says what the values are, it need not be said again.
    ...(panel.x.label === "" ? [] : [text((names + panelWidth - 70) / 2, floor + 36, panel.x.label, label)]),
  ].join("");
  return { svg, height: floor + (panel.x.label === "" ? 28 : bottom) };
}

/** Panels beside each other under one title, at most two in a row. */
export function figure(title: string, panels: readonly Panel[]): string {
  const drawn = panels.map((panel) => (panel.kind === "lines" ? drawLines(panel) : drawBars(panel)));
  const columns = Math.min(2, drawn.length);
  let y = titleHeight;
  const placed: string[] = [];
  for (let first = 0; first < drawn.length; first += columns) {
    const row = drawn.slice(first, first + columns);
    placed.push(
      ...row.map(({ svg }, column) => `<g transform="translate(${column * panelWidth},${y})">${svg}</g>`),
    );
    y += Math.max(...row.map(({ height }) => height)) + 12;
  }
  const width = columns * panelWidth;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${at(y)}" width="${width}" height="${at(y)}" role="img" aria-label="${escaped(title)}">`,
    `<style>${styleSheet()}</style>`,
    `<rect class="page" width="${width}" height="${at(y)}"/>`,
    text(14, 24, title, { className: "title" }),
    ...placed,
    "</svg>\n",
  ].join("\n");
}
