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

/** So deep, and so many values, are looked at in something that could be printed. */
const depthMax = 6;
const valuesMax = 1000;

/** The texts in a value that whoever prints it would see. Stacks repeat the message, and take long to make. */
function* textsIn(value: unknown): Generator<string, void> {
  const seen = new Set<unknown>();
  const open: Array<readonly [value: unknown, depth: number]> = [[value, 0]];
  for (const [one, depth] of open) {
    if (typeof one === "string") yield one;
    if (typeof one !== "object" || one === null || depth >= depthMax || seen.has(one)) continue;
    seen.add(one);
    const parts = partsOf(one);
    if (typeof parts === "string") yield parts;
    else if (open.length < valuesMax) for (const part of parts) open.push([part, depth + 1]);
  }
}

/** What is in an object; nothing in one of a test's own that throws at whoever looks. */
function partsOf(value: object): string | readonly unknown[] {
  try {
    if (value instanceof Uint8Array) return Buffer.from(value).toString("latin1");
    if (value instanceof Map) return [...value].flat();
    if (value instanceof Set) return [...value];
    const names = Object.getOwnPropertyNames(value).filter((name) => name !== "stack");
    return names.flatMap((name) => [name, partOf(value, name)]);
  } catch {
    return [];
  }
}

function partOf(value: object, name: string): unknown {
  try {
    return (value as Readonly<Record<string, unknown>>)[name];
  } catch {
    return undefined;
  }
}

/** Keeps it when a secret is in one of `values`, as whoever prints them would see it. `where`: the place, told with the failure. */
export function noteLeak(where: string, ...values: readonly unknown[]): void {
  const search = theSearch();
  for (const one of values) for (const text of textsIn(one)) noteFound(where, search.find(text));
}

/** The places where a secret was seen since it was last asked. */
export function takeLeaks(): string[] {
  const { leaks } = theNotes();
  const taken = [...leaks];
  leaks.clear();
  return taken;
}
