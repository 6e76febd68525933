/** Seeds that found a bug, each with a line of what it was. They are played before all others. */
export const namedSeeds: ReadonlyArray<readonly [seed: number, what: string]> = [];
