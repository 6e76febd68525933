import { inspect } from "node:util";
import { LeakSearch } from "./search.js";
import { watchedHere } from "./secrets.js";

interface Notes {
  readonly search: LeakSearch;
  readonly leaks: Set<string>;
  /** So many secrets of this process are searched for. */
  known: number;
}

const key = Symbol.for("mprpc.test.leaks");
/** One for the process, also when its modules are loaded again for each test file. */
const holder = globalThis as { [key]?: Notes };

function theNotes(): Notes {
  holder[key] ??= { search: new LeakSearch(), leaks: new Set(), known: 0 };
  return holder[key];
}

/** For all secrets that this process knows of by now. */
export function theSearch(): LeakSearch {
  const notes = theNotes();
  const secrets = watchedHere();
  if (notes.known < secrets.size) for (const secret of secrets) notes.search.add(secret);
  notes.known = secrets.size;
  return notes.search;
}

/** The name of a place without what must not be shown. */
export function hidden(where: string): string {
  return theSearch().find(where) === undefined ? where : where.replace(/[\w+/=-]{16,}/g, "***");
}

/** Keeps that a secret was seen at a place. `how`: what the search has said; undefined: it was not. */
export function noteFound(where: string, how: string | undefined): void {
  if (how !== undefined) theNotes().leaks.add(`${hidden(where)}: a secret of the tests, ${how}`);
}

function shown(value: unknown): string {
  if (typeof value === "string") return value;
  try {
    return inspect(value, { depth: 6 });
  } catch {
    return ""; // A test's own object that cannot be shown.
  }
}

/** Keeps it when a secret is in one of `values`, as whoever prints them would see it. `where`: the place, told with the failure. */
export function noteLeak(where: string, ...values: readonly unknown[]): void {
  for (const one of values) noteFound(where, theSearch().find(shown(one)));
}

/** The places where a secret was seen since it was last asked. */
export function takeLeaks(): string[] {
  const { leaks } = theNotes();
  const taken = [...leaks];
  leaks.clear();
  return taken;
}
