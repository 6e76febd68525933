/**
 * Seeds that found a bug, each with what it was. They are played before all others. A change of the scenario or of the
 * wire makes another run of a seed, so each bug has a test of its own as well.
 */
export const namedSeeds: ReadonlyArray<readonly [seed: number, what: string]> = [
  [
    392,
    "a call that waited for a provider which left the registry was sent to it again, and hung (test/client/leaving.test.ts)",
  ],
  [
    35,
    "a drain reset connections it had not read from, and their first calls were lost in doubt (test/server/drain.test.ts)",
  ],
  [1138, "a provider that stopped did not cancel calls that want no reply (test/server/drain.test.ts)"],
  [5544, "a drain cut off a large reply to a slow caller after a second (test/server/drain.test.ts)"],
  [
    502,
    "a caller of several connections that was turned away opened one after the other, without a pause (test/scale/crowd.test.ts)",
  ],
];
