/** `1526919030474-55` as two numbers; the second has up to 64 bits. */
export type Id = readonly [ms: number, sequence: bigint];

export function parseId(id: string): Id {
  const [ms = "0", sequence = "0"] = id.split("-");
  return [Number(ms), BigInt(sequence)];
}

export function isBefore([ms, sequence]: Id, [otherMs, otherSequence]: Id): boolean {
  return ms < otherMs || (ms === otherMs && sequence < otherSequence);
}

/** Of two messages of a stream, as for sorting. */
export function compareIds(a: string, b: string): number {
  const [first, second] = [parseId(a), parseId(b)];
  if (isBefore(first, second)) return -1;
  return isBefore(second, first) ? 1 : 0;
}

const sequenceMax = 2n ** 64n - 1n;

/** The last id that a message in front of this one may have. */
export function idBefore(id: string): string {
  const [ms, sequence] = parseId(id);
  if (sequence > 0n) return `${ms}-${sequence - 1n}`;
  return ms === 0 ? "0-0" : `${ms - 1}-${sequenceMax}`;
}
