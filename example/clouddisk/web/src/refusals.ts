import type { Key } from "./i18n/en.js";

/** A refusal of the disk in words of the page: the disk itself speaks English only. */
export interface Reason {
  key: Key;
  parameters: Readonly<Record<string, string>>;
}

const refusals: ReadonlyArray<readonly [code: number, message: RegExp, key: Key]> = [
  [10_001, /^the user name must have/, "refusal.username"],
  [10_001, /^the user name mixes/, "refusal.mixed"],
  [10_001, /^the password must have/, "refusal.password"],
  [10_001, /^the file name is empty/, "refusal.name.empty"],
  [10_001, /^the file name is longer/, "refusal.name.long"],
  [10_001, /^the file name may not be \. or/, "refusal.name.dots"],
  [10_001, /^the file name may not contain \//, "refusal.name.slash"],
  [10_001, /^the file name (may not contain|is not valid|must be)/, "refusal.name.characters"],
  [10_001, /^q may have/, "refusal.query"],
  [10_001, /^cursor is not one/, "refusal.list"],
  [10_002, /not available at the moment/, "refusal.away"],
  [10_002, / on the node (?<node>.+), which is away/, "refusal.node"],
  [10_002, /^the (server|database)'s disk is full/, "refusal.full"],
  [10_002, /^too many sign-ins at once/, "refusal.busy"],
  [10_002, /names no address/, "refusal.setup"],
  [10_002, /^the store does not give/, "refusal.store"],
  [10_003, /name is taken/, "error.taken"],
  [10_004, /is wrong/, "error.signin"],
  [10_005, /./, "error.signedOut"],
  [10_006, /no such user/, "error.signin"],
  [10_007, /no (such )?folder/, "refusal.folder"],
  [10_007, /no such upload/, "refusal.upload.gone"],
  [10_007, /not in the trash/, "refusal.trash"],
  [10_007, /no such (file|content)/, "error.notFound"],
  [10_007, /no such route/, "refusal.route"],
  [10_008, /of this name is there/, "error.conflict"],
  [10_008, /moved into itself/, "refusal.cycle"],
  [10_008, /at most (?<depth>\d+) deep/, "refusal.deep"],
  [10_008, /being completed/, "refusal.upload.completing"],
  [10_008, /^the upload (is|was) /, "refusal.upload.closed"],
  [10_008, /another tag/, "refusal.tag"],
  [10_008, /^you have (?<count>\d+) uploads open/, "refusal.open"],
  [10_009, /your quota/, "error.quota"],
  [10_009, /^the file is larger than (?<bytes>\d+)/, "refusal.large"],
  [10_009, /body is too large/, "refusal.body"],
  [10_010, /failed sign-ins.* in (?<minutes>\d+) min/, "refusal.attempts"],
  [10_010, /^too many requests.* in (?<seconds>\d+) s/, "refusal.requests"],
  [10_011, /own pages only/, "refusal.foreign"],
  [10_011, /^sign-up is closed/, "refusal.signup"],
  [10_011, /^only the operator/, "refusal.operator"],
  [10_012, /./, "refusal.full"],
];

/** For what a newer disk may say. */
const general: Readonly<Record<number, Key>> = {
  10001: "error.parameter",
  10002: "error.server",
  10003: "error.taken",
  10004: "error.signin",
  10005: "error.signedOut",
  10006: "error.signin",
  10007: "error.notFound",
  10008: "refusal.conflict",
  10009: "error.quota",
  10010: "error.tooMany",
  10011: "error.forbidden",
  10012: "refusal.full",
};

/** Undefined: a code this page does not know. `special`: the disk's message is one the page knows, not its code alone. */
export function reasonOf(code: number, message: string): (Reason & { special: boolean }) | undefined {
  for (const [of, pattern, key] of refusals) {
    const found = of === code ? pattern.exec(message) : null;
    if (found !== null) return { key, parameters: found.groups ?? {}, special: true };
  }
  const key = general[code];
  return key === undefined ? undefined : { key, parameters: {}, special: false };
}

/** The patterns, so that a test sees each of them match something. */
export const knownRefusals = refusals;
