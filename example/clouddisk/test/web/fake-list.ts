export interface Item {
  id: number;
  parentId: number;
  name: string;
  folder: boolean;
  fileHash: string;
  sizeBytes: number;
  createdAtMs: number;
  updatedAtMs: number;
  trashedAtMs: number;
  state: string;
  path: string;
}

/** A page of a folder, a search or the trash, in the natural order of names. */
export function listOf(entries: ReadonlyMap<number, Item>, query: URLSearchParams) {
  const parent = Number(query.get("parent") ?? 0);
  const wanted = query.get("q");
  const trashed = query.get("trashed") === "1";
  const found = [...entries.values()].filter((one) => {
    if (one.trashedAtMs > 0 !== trashed) return false;
    if (trashed) return true;
    return wanted === null ? one.parentId === parent : one.name.includes(wanted);
  });
  const key = { size: "sizeBytes", updated: "updatedAtMs" }[query.get("sort") ?? ""] ?? "name";
  const sign = query.get("desc") === "1" ? -1 : 1;
  const value = (one: Item): string | number => one[key as "name" | "sizeBytes" | "updatedAtMs"];
  const natural = new Intl.Collator("en", { numeric: true });
  const compare = (a: Item, b: Item): number => {
    const [one, other] = [value(a), value(b)];
    return typeof one === "number" ? one - Number(other) : natural.compare(one, String(other));
  };
  found.sort((a, b) => Number(b.folder) - Number(a.folder) || sign * (compare(a, b) || a.id - b.id));
  const parents: Item[] = [];
  for (let at = entries.get(parent); at !== undefined; at = entries.get(at.parentId)) parents.unshift(at);
  const limit = Number(query.get("limit") ?? 100);
  const from = Number(query.get("cursor") ?? 0);
  const nextCursor = from + limit < found.length ? String(from + limit) : "";
  return { code: 0, entries: found.slice(from, from + limit), nextCursor, total: found.length, parents };
}
