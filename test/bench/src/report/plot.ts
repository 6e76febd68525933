import { line } from "d3-shape";
import { type Axis, scaleAxis, tickText } from "./axis.js";
import { drawSpans, type SpanPanel } from "./spans.js";
import {
  at,
  barHeight,
  bottom,
  characterWidth,
  type Drawn,
  escaped,
  left,
  legendRowHeight,
  mark,
  panelWidth,
  plotHeight,
  right,
  stroke,
  styleSheet,
  text,
  titleHeight,
  top,
  xTicks,
} from "./svg.js";

/** Charts as SVG text: no browser, no fonts to install, colours for light and for dark pages. */

export interface Line {
  name: string;
  points: readonly { x: number; y: number }[];
  /** Whether each point is marked; of a line of many points it is not. Default true. */
  markers?: boolean;
  /** A thin line beside a line of data, such as what was fitted to it: of its colour, and in no legend. */
  beside?: string;
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

export type Panel = LinePanel | BarPanel | SpanPanel;

/** Where each entry of a legend goes, in rows of the panel's width. */
function legend(lines: readonly Line[], y: number): { svg: string; height: number } {
  let x = left;
  let row = 0;
  const entries = lines.map(({ name, markers = true, beside }, index) => {
    if (beside !== undefined) return "";
    const width = 26 + name.length * characterWidth + 14;
    if (x > left && x + width > panelWidth) {
      x = left;
      row += 1;
    }
    const middle = y + row * legendRowHeight;
    const entry =
      stroke(`line s${index}`, x, middle, x + 20, middle) +
      (markers ? mark(index, x + 10, middle) : "") +
      text(x + 26, middle + 4, name);
    x += width;
    return entry;
  });
  return { svg: entries.join(""), height: (row + 1) * legendRowHeight };
}

/** A step without a figure has no place. */
const isFinitePoint = ({ x, y }: { x: number; y: number }) => Number.isFinite(x) && Number.isFinite(y);

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
  const drawn = lines.map(({ points: own, markers: marked = true, beside }, index) => {
    const marks = marked ? own.map((point) => mark(index, x.place(point.x), y.place(point.y))) : [];
    const colour = beside === undefined ? index : lines.findIndex(({ name }) => name === beside);
    const width = beside === undefined ? "line" : "line thin";
    return `<path class="${width} s${colour}" d="${path.digits(1)(own) ?? ""}"/>${marks.join("")}`;
  });
  const pointedOut = moments.map((moment, index) => {
    const at = x.place(moment.x);
    // On the side where there is room for it.
    const side = at > (left + panelWidth) / 2 ? ({ shift: -4, anchor: "end" } as const) : { shift: 4 };
    const words = text(at + side.shift, top + 12 + index * 15, moment.text, { className: "quiet", ...side });
    return stroke("moment", at, top, at, floor) + words;
  });
  const names = legend(panel.lines, floor + bottom + 10);
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

function draw(panel: Panel): Drawn {
  if (panel.kind === "lines") return drawLines(panel);
  return panel.kind === "bars" ? drawBars(panel) : drawSpans(panel);
}

/** Rows of two panels; one that is as wide as two has a row for itself. */
function rowsOf(panels: readonly Panel[]): Panel[][] {
  const rows: Panel[][] = [];
  for (const panel of panels) {
    const last = rows.at(-1);
    const fits = last?.length === 1 && last[0]?.kind !== "spans" && panel.kind !== "spans";
    if (fits) last.push(panel);
    else rows.push([panel]);
  }
  return rows;
}

/** Panels beside each other under one title, at most two in a row. */
export function figure(title: string, panels: readonly Panel[]): string {
  const columns = panels.some(({ kind }) => kind === "spans") ? 2 : Math.min(2, panels.length);
  let y = titleHeight;
  const placed: string[] = [];
  for (const row of rowsOf(panels)) {
    const drawn = row.map(draw);
    placed.push(
      ...drawn.map(({ svg }, column) => `<g transform="translate(${column * panelWidth},${y})">${svg}</g>`),
    );
    y += Math.max(...drawn.map(({ height }) => height)) + 12;
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
