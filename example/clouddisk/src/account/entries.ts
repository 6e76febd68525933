import { Code, Refusal } from "../common/codes.js";
import type { EntryRow, ResultOf } from "../dbproxy/actions.js";
import type { EntryInput } from "./gen/account.js";

export function toEntry(row: EntryRow & { path?: string }): EntryInput {
  const { userId: _userId, ...entry } = row;
  return entry;
}

/** An id out of a message. Throws Refusal (10001) for one no row can have. */
export function idOf(given: bigint, what: string, min = 1): number {
  const id = Number(given);
  if (!Number.isSafeInteger(id) || id < min) throw new Refusal(Code.PARAMETER, `${what} is not an id`);
  return id;
}

export function userIdOf(given: bigint): number {
  return idOf(given, "user_id");
}

export function checkHash(fileHash: string): string {
  if (!/^[0-9a-f]{64}$/.test(fileHash)) {
    throw new Refusal(Code.PARAMETER, "filehash must be a SHA-256: 64 lower-case hex digits");
  }
  return fileHash;
}

/** The entry an action gives, or why there is none as a Refusal. */
export function outcomeOf(result: ResultOf<"entry.rename">): EntryInput {
  switch (result.outcome) {
    case "ok":
      return toEntry(result.entry);
    case "not_found":
      throw new Refusal(Code.NOT_FOUND, "there is no such file or folder");
    case "no_parent":
      throw new Refusal(Code.NOT_FOUND, "there is no such folder");
    case "conflict":
      throw new Refusal(Code.CONFLICT, "something of this name is there already");
    case "cycle":
      throw new Refusal(Code.CONFLICT, "a folder cannot be moved into itself");
    case "too_deep":
      throw new Refusal(Code.CONFLICT, "folders can stand at most 1000 deep");
  }
}
