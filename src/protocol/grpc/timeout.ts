/** The units of `grpc-timeout` in ms. */
const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };
/** The largest number of eight digits. */
const valueMax = 99_999_999;

/** The time that `grpc-timeout` gives, ms; undefined if it is invalid. */
export function parseTimeout(text: string): number | undefined {
  const { length } = text;
  if (length < 2 || length > 9) return undefined;
  const unit = unitMs[text.charAt(length - 1)];
  if (unit === undefined) return undefined;
  let value = 0;
  for (let i = 0; i < length - 1; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value * unit;
}

/**
 * The whole number of ms that is sent for `timeoutMs`: one of few, so that the other side's header table has it. From a second on
 * it is up to 1 % more, as Google's C++ library sends it: the caller ends the call at its own deadline, and never later.
 */
export function sentTimeoutMs(timeoutMs: number): number {
  const whole = Math.floor(timeoutMs);
  let step = 1;
  while (whole >= step * 1000) step *= 10;
  return Math.ceil(whole / step) * step;
}

/** `timeoutMs`, a whole number, as `grpc-timeout` says it. */
export function formatTimeout(timeoutMs: number): string {
  // It must be positive; the server then finds that no time is left.
  if (timeoutMs <= 0) return "1n";
  if (timeoutMs <= valueMax) return `${timeoutMs}m`;
  if (timeoutMs <= valueMax * 1000) return `${Math.floor(timeoutMs / 1000)}S`;
  return `${Math.min(valueMax, Math.floor(timeoutMs / 3_600_000))}H`;
}
