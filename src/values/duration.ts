const units: ReadonlyArray<readonly [unit: string, ms: number]> = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
];

/** `5000` (ms), `500ms`, `5s`, `1.5s`, `2m`, `1h`, `7d` as milliseconds; `undefined` for any other text. */
export function parseDurationMs(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?(ms|s|m|h|d)?$/.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * (units.find(([unit]) => unit === match[2])?.[1] ?? 1);
}

/** The shortest text that reads as `ms`; `none` for `Infinity`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return "0";
  if (ms === Number.POSITIVE_INFINITY) return "none";
  const found = units.find(([, perUnit]) => ms % perUnit === 0);
  return found === undefined ? `${ms}ms` : `${ms / found[1]}${found[0]}`;
}
