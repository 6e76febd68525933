import type { RefObject } from "preact";
import { useCallback, useEffect, useLayoutEffect, useState } from "preact/hooks";

/** Which rows are drawn, `end` not included. */
export interface Rows {
  first: number;
  end: number;
}

/** So many are drawn all of them: they cost little, and the browser's own search finds them. */
const wholeMax = 200;
/** Drawn above and beneath what is seen, so that a quick hand sees no gap. */
const spareRows = 24;
/** It changes in steps, not with every pixel. */
const stepRows = 8;
const guessedRowPx = 56;

/** The rows a long list of equally high ones has within the window of the page, which is what scrolls. */
export function useRows(
  body: RefObject<HTMLElement>,
  count: number,
): { rows: Rows; rowPx: number; whole: boolean } {
  const [rowPx, setRowPx] = useState(guessedRowPx);
  const [rows, setRows] = useState<Rows>({ first: 0, end: wholeMax });
  const whole = count <= wholeMax;
  const look = useCallback(() => {
    if (whole || body.current === null) return;
    const measured = body.current.querySelector("tr[data-at]")?.getBoundingClientRect().height;
    if (measured !== undefined && measured > 0) setRowPx(measured);
    const px = measured || guessedRowPx;
    const step = px * stepRows;
    const topPx = -body.current.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(topPx / step) * stepRows - spareRows);
    const end = Math.max(first, Math.ceil((topPx + innerHeight) / step) * stepRows + spareRows);
    setRows((before) => (before.first === first && before.end === end ? before : { first, end }));
  }, [body, whole]);
  useLayoutEffect(look, [look, count]);
  useEffect(() => {
    if (whole) return;
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => {
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, [whole, look]);
  if (whole) return { rows: { first: 0, end: count }, rowPx, whole };
  return { rows: { first: Math.min(rows.first, count), end: Math.min(rows.end, count) }, rowPx, whole };
}
