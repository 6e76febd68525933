import type { Kysely } from "kysely";
import { nameKey, sortKey } from "../../src/dbproxy/name-keys.js";
import type { Tables } from "../../src/dbproxy/tables.js";

/** Empty files straight into the database, "file 0" first: thousands in the time one takes by way of the services. */
export async function seedFiles(
  db: Kysely<Tables>,
  files: {
    userId: number;
    count: number;
    fileHash: string;
    parentId?: number;
    prefix?: string;
    end?: string;
  },
): Promise<void> {
  const { userId, count, fileHash, parentId = 0, prefix = "file ", end = "" } = files;
  for (let start = 0; start < count; start += 500) {
    const rows = Array.from({ length: Math.min(500, count - start) }, (_, index) => {
      const name = `${prefix}${start + index}${end}`;
      return {
        user_id: userId,
        parent_id: parentId,
        file_name: name,
        name_key: nameKey(name),
        sort_key: sortKey(name),
        place: parentId,
        folder: 0,
        file_hash: fileHash,
        size_bytes: 0,
        created_at: 1,
        updated_at: start + index,
        trash_root: 0,
        trashed_at: 0,
      };
    });
    await db.insertInto("tbl_user_file").values(rows).execute();
  }
}
