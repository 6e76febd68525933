import {
  symbol,
  symbolCircle,
  symbolCross,
  symbolDiamond,
  symbolSquare,
  symbolStar,
  symbolTriangle,
  symbolWye,
} from "d3-shape";
import { type Axis, type ScaledAxis, tickText } from "./axis.js";

/** What all panels are drawn with: sizes, colours, text and strokes. */

export const panelWidth = 430;
export const plotHeight = 220;
export const barHeight = 26;
export const left = 62;
export const right = 26;
export const top = 34;
/** Ticks and label of the x axis. */
export const bottom = 46;
export const legendRowHeight = 18;
export const titleHeight = 34;
/** Of the 12-pixel text, on average; no font is asked. */
export const characterWidth = 6.4;

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

export function styleSheet(): string {
  const series = (colours: readonly string[]) =>
    colours
      .map((colour, index) => `.s${index}{stroke:${colour}}.m${index}{fill:${colour};stroke:${colour}}`)
      .join("");
  return [
    "text{font:12px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;fill:#24292f}",
    ".page{fill:#ffffff}.title{font-size:15px;font-weight:600}.panel{font-weight:600}",
    ".quiet{fill:#57606a}.grid{stroke:#d8dee4}.axis{stroke:#8c959f}.moment{stroke:#57606a;stroke-dasharray:3 3}",
    ".line{fill:none;stroke-width:2}.thin{stroke-width:1;stroke-dasharray:6 4}.bar{stroke:none;opacity:.55}",
    series(lightColours),
    "@media (prefers-color-scheme:dark){text{fill:#e6edf3}.page{fill:#0d1117}.quiet{fill:#9198a1}",
    ".grid{stroke:#2b323b}.axis{stroke:#6e7681}.moment{stroke:#9198a1}",
    `${series(darkColours)}}`,
  ].join("");
}

export const escaped = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

export const at = (value: number) => String(Math.round(value * 10) / 10);

/** A panel, and how high it has become. */
export interface Drawn {
  svg: string;
  height: number;
}

export interface TextOptions {
  className?: string;
  anchor?: "start" | "middle" | "end";
}

export function text(
  x: number,
  y: number,
  value: string,
  { className = "", anchor = "start" }: TextOptions = {},
): string {
  const style = className === "" ? "" : ` class="${className}"`;
  return `<text x="${at(x)}" y="${at(y)}" text-anchor="${anchor}"${style}>${escaped(value)}</text>`;
}

export const stroke = (className: string, x1: number, y1: number, x2: number, y2: number) =>
  `<line class="${className}" x1="${at(x1)}" y1="${at(y1)}" x2="${at(x2)}" y2="${at(y2)}"/>`;

export const mark = (index: number, x: number, y: number) =>
  `<path class="m${index}" transform="translate(${at(x)},${at(y)})" d="${symbol(markers[index % markers.length], 38)()}"/>`;

/** Ticks whose texts do not run into each other, first ones first. */
export function xTicks(axis: Axis, scaled: ScaledAxis, y: number): string {
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
