const units: ReadonlyArray<readonly [unit: string, bytes: number]> = [
  ["TiB", 1024 ** 4],
  ["GiB", 1024 ** 3],
  ["MiB", 1024 ** 2],
  ["KiB", 1024],
];

/** `65536`, `64KiB`, `4MiB`, `1GiB`, `1TiB` as bytes; `undefined` for any other text. 1024, not 1000, hence no `KB`. */
export function parseSizeBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?(B|KiB|MiB|GiB|TiB)?$/i.exec(text);
  if (match === null) return undefined;
  const unit = match[2]?.toLowerCase();
  return Number(match[1]) * (units.find(([name]) => name.toLowerCase() === unit)?.[1] ?? 1);
}

/** The shortest text that reads as `bytes`. */
export function formatSize(bytes: number): string {
  const found = units.find(([, perUnit]) => bytes > 0 && bytes % perUnit === 0);
  return found === undefined ? `${bytes}` : `${bytes / found[1]}${found[0]}`;
}
