import { symbol, symbolCircle, symbolTimes } from "d3-shape";
import { type Axis, scaleAxis } from "./axis.js";
import {
  at,
  bottom,
  characterWidth,
  type Drawn,
  left,
  legendRowHeight,
  panelWidth,
  right,
  stroke,
  text,
  top,
  xTicks,
} from "./svg.js";

/** When each of several things was there, and what happened to it: as wide as two panels. */
export interface SpanPanel {
  kind: "spans";
  title: string;
  x: Axis;
  rows: readonly SpanRow[];
  /** Kinds of moments; their signs stand in the legend. */
  signs: readonly string[];
}

export interface SpanRow {
  name: string;
  spans: readonly { from: number; to: number }[];
  moments: readonly { x: number; sign: string }[];
}

const rowHeight = 22;
/** Colours from the sheet that differ from the bars' own. */
const barColour = 0;
const signColours = [1, 5, 3, 6];
const signShapes = [symbolTimes, symbolCircle];

function signAt(index: number, x: number, y: number): string {
  const colour = signColours[index % signColours.length];
  const shape = symbol(signShapes[index % signShapes.length], 30)();
  return `<path class="line s${colour}" transform="translate(${at(x)},${at(y)})" d="${shape}"/>`;
}

function legend(signs: readonly string[], y: number): string {
  let x = left + 40;
  return signs
    .map((sign, index) => {
      const entry = signAt(index, x + 6, y) + text(x + 18, y + 4, sign);
      x += 18 + sign.length * characterWidth + 24;
      return entry;
    })
    .join("");
}

export function drawSpans({ title, x: axis, rows, signs }: SpanPanel): Drawn {
  const names = Math.max(...rows.map(({ name }) => name.length)) * characterWidth + 24;
  const end = 2 * panelWidth - right;
  const floor = top + rows.length * rowHeight;
  const values = rows.flatMap(({ spans }) => spans.flatMap(({ from, to }) => [from, to]));
  const x = scaleAxis(axis, [0, ...values], [names, end]);
  const drawn = rows.map(({ name, spans, moments }, index) => {
    const y = top + index * rowHeight;
    const bars = spans.map(({ from, to }) => {
      const width = Math.max(0.5, x.place(to) - x.place(from));
      return `<rect class="m${barColour} bar" x="${at(x.place(from))}" y="${at(y + 5)}" width="${at(width)}" height="${rowHeight - 10}"/>`;
    });
    const signsHere = moments.map((moment) =>
      signAt(signs.indexOf(moment.sign), x.place(moment.x), y + rowHeight / 2),
    );
    return (
      text(names - 8, y + rowHeight / 2 + 4, name, { anchor: "end" }) + bars.join("") + signsHere.join("")
    );
  });
  const svg = [
    text(14, top - 12, title, { className: "panel" }),
    ...drawn,
    stroke("axis", names, floor, end, floor),
    xTicks(axis, x, floor),
    text((names + end) / 2, floor + 36, axis.label, { className: "quiet", anchor: "middle" }),
    legend(signs, floor + bottom + 6),
  ].join("");
  return { svg, height: floor + bottom + legendRowHeight };
}
