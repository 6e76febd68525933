/** Of a canvas, in every browser of today; beyond it nothing is drawn, and nothing is said. */
const sideMaxPx = 16_384;
const areaMaxPx = 16_777_216;

/** The scale closest to the wanted one at which a page fits on a canvas; undefined: there is none. */
export function drawableScale(page: { width: number; height: number }, wanted: number): number | undefined {
  const { width, height } = page;
  const scale = Math.min(
    wanted,
    sideMaxPx / Math.max(width, height),
    Math.sqrt(areaMaxPx / (width * height)),
  );
  // Less than a pixel is nothing.
  return Math.min(width, height) * scale >= 1 ? scale : undefined;
}
