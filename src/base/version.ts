/** Of the package; `package.json` says the same. */
export const version = "0.1.0";

/**
 * What generated code begins with. Throws `Error` when this library is older than the code needs: otherwise it would fail
 * later, and say something else.
 */
export function needsMprpc(needed: string, file: string): void {
  if (!isOlder(version, needed)) return;
  throw new Error(
    `${file} was generated for mprpc ${needed} or newer, and this is mprpc ${version}: update mprpc, or generate the code again with this version`,
  );
}

function isOlder(one: string, other: string): boolean {
  const [a, b] = [one, other].map((text) => text.split(/[.-]/).map(Number));
  for (let i = 0; i < 3; i++) {
    const difference = (a?.[i] ?? 0) - (b?.[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
