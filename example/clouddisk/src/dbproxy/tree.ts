import { type Expression, sql } from "kysely";
import { findName, type NameRow } from "./entry-rows.js";
import type { Tx } from "./transaction.js";

/** Folders within folders: what shows the way to one, and every path, stays of a bearable size. */
export const folderDepthMax = 1000;

/** More of a path is not shown; a page of a search has many. */
const pathMaxLength = 4096;

interface Node {
  id: number;
  parent_id: number;
  file_name: string;
}

/** Not by an index with this column: of the rows in one folder, and not of all rows of the user, for each folder of a tree. */
function apart(column: Expression<number>) {
  return sql<number>`${column} + 0`;
}

/** These folders and all above them, by id. `union` drops what was seen: even a circle comes to an end. */
async function above({ trx }: Tx, userId: number, ids: readonly number[]): Promise<Map<number, Node>> {
  const rows = await trx
    .withRecursive("way(id, parent_id, file_name)", (qb) =>
      qb
        .selectFrom("tbl_user_file")
        .select(["id", "parent_id", "file_name"])
        .where("user_id", "=", userId)
        .where("id", "in", ids)
        .union(
          qb
            .selectFrom("way")
            .crossJoin("tbl_user_file as f")
            .select(["f.id", "f.parent_id", "f.file_name"])
            .whereRef("f.id", "=", "way.parent_id")
            .where("f.user_id", "=", userId),
        ),
    )
    .selectFrom("way")
    .selectAll()
    .execute();
  return new Map(rows.map((row) => [row.id, row]));
}

/** From `id` upward to the top. */
function* upward(nodes: ReadonlyMap<number, Node>, id: number): Generator<Node> {
  const seen = new Set<number>();
  for (let node = nodes.get(id); node !== undefined && !seen.has(node.id); node = nodes.get(node.parent_id)) {
    seen.add(node.id);
    yield node;
  }
}

/** The ids of the folders from the top to `id`, itself included. */
export async function wayTo(tx: Tx, userId: number, id: number): Promise<number[]> {
  if (id === 0) return [];
  return Array.from(upward(await above(tx, userId, [id]), id), (node) => node.id).reverse();
}

/** The same, with all that is known of them. */
export async function rowsOfWay(tx: Tx, userId: number, id: number): Promise<NameRow[]> {
  const ids = await wayTo(tx, userId, id);
  if (ids.length === 0) return [];
  if (ids.length === 1) {
    const only = await findName(tx, userId, id);
    return only === undefined ? [] : [only];
  }
  const rows: NameRow[] = [];
  for (let start = 0; start < ids.length; start += 500) {
    const some = await tx.trx
      .selectFrom("tbl_user_file")
      .selectAll()
      .where("id", "in", ids.slice(start, start + 500))
      .execute();
    rows.push(...some);
  }
  const known = new Map(rows.map((row) => [row.id, row]));
  return ids.map((one) => known.get(one)).filter((row) => row !== undefined);
}

/** The paths of folders, "a/b", by id; of a long one the end, after "…/". */
export async function pathsOf(
  tx: Tx,
  userId: number,
  folders: readonly number[],
): Promise<Map<number, string>> {
  const paths = new Map<number, string>([[0, ""]]);
  const ids = [...new Set(folders)].filter((id) => id !== 0);
  if (ids.length === 0) return paths;
  const nodes = await above(tx, userId, ids);
  for (const id of ids) {
    let path = "";
    for (const { file_name: name } of upward(nodes, id)) {
      if (path.length + name.length > pathMaxLength) {
        path = `…/${path}`;
        break;
      }
      path = path === "" ? name : `${name}/${path}`;
    }
    paths.set(id, path);
  }
  return paths;
}

/**
 * How many folders stand one within the other from this one downward, itself included: of those with this `trash_root`, since
 * what was put into the trash from within is elsewhere.
 */
export async function heightOf(
  { trx }: Tx,
  userId: number,
  folder: number,
  trashRoot: number,
): Promise<number> {
  const { height } = await trx
    .withRecursive("tree(id, depth)", (qb) =>
      qb
        .selectFrom("tbl_user_file")
        .select((eb) => ["id", eb.val(1).as("depth")])
        .where("user_id", "=", userId)
        .where("id", "=", folder)
        .unionAll(
          qb
            .selectFrom("tree")
            .crossJoin("tbl_user_file as f")
            .select((eb) => ["f.id", eb("tree.depth", "+", 1).as("depth")])
            .whereRef("f.parent_id", "=", "tree.id")
            .where("f.user_id", "=", userId)
            .where((eb) => eb(apart(eb.ref("f.folder")), "=", 1))
            .where((eb) => eb(apart(eb.ref("f.trash_root")), "=", trashRoot))
            .where("tree.depth", "<=", folderDepthMax),
        ),
    )
    .selectFrom("tree")
    .select(({ fn }) => fn.max<number | null>("depth").as("height"))
    .executeTakeFirstOrThrow();
  return Number(height ?? 0);
}
