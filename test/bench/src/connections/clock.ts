/** Wall-clock milliseconds with fractions that never go back. */
export const wallNow = (): number => performance.timeOrigin + performance.now();
