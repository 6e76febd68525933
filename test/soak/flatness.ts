/** A straight line through points, and how sure its slope is. */
export interface Fit {
  points: number;
  intercept: number;
  /** From the first x to the last. */
  span: number;
  /** Per unit of x. */
  slope: number;
  /** The 95 % confidence interval of the slope; infinite with fewer than three points. */
  low: number;
  high: number;
}

export type Flatness = "flat" | "grows" | "undecided";

/** Student's t, two-sided 95 %, by the Cornish-Fisher expansion: right to 1 % from three degrees of freedom on. */
function student95(freedom: number): number {
  if (freedom === 1) return 12.706;
  if (freedom === 2) return 4.303;
  const z = 1.959964;
  const terms = [
    (z ** 3 + z) / 4,
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96,
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384,
  ];
  return terms.reduce((sum, term, index) => sum + term / freedom ** (index + 1), z);
}

/** Least squares. */
export function fitLine(points: readonly { x: number; y: number }[]): Fit {
  const count = points.length;
  const mean = (of: (point: { x: number; y: number }) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / count;
  const [meanX, meanY] = [mean(({ x }) => x), mean(({ y }) => y)];
  const xs = points.map(({ x }) => x);
  const span = count === 0 ? 0 : Math.max(...xs) - Math.min(...xs);
  let [xx, xy] = [0, 0];
  for (const { x, y } of points) {
    xx += (x - meanX) ** 2;
    xy += (x - meanX) * (y - meanY);
  }
  if (count < 2 || xx === 0) {
    return {
      points: count,
      span,
      intercept: count === 0 ? Number.NaN : meanY,
      slope: 0,
      low: -Infinity,
      high: Infinity,
    };
  }
  const slope = xy / xx;
  const intercept = meanY - slope * meanX;
  if (count === 2) return { points: count, span, intercept, slope, low: -Infinity, high: Infinity };
  const squares = points.reduce((sum, { x, y }) => sum + (y - intercept - slope * x) ** 2, 0);
  const margin = student95(count - 2) * Math.sqrt(squares / (count - 2) / xx);
  return { points: count, span, intercept, slope, low: slope - margin, high: slope + margin };
}

/**
 * `grows`: surely faster than `bound`, and by more than `least` over the whole span of x; `flat`: surely slower;
 * `undecided`: the run was too short, or too noisy, to say.
 */
export function judge({ slope, low, high, span }: Fit, bound: number, least: number): Flatness {
  if (low > bound && slope * span > least) return "grows";
  return high <= bound ? "flat" : "undecided";
}
