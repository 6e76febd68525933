import { sessionOf } from "../../src/common/tickets.js";
import { userKey } from "../../src/common/user-names.js";
import { type Connected, connect } from "../../src/dbproxy/connect.js";
import { nameColumns } from "../../src/dbproxy/entry-rows.js";
import type { User } from "./disk.js";

/** Rows of one insert. */
const rowsMax = 500;

export interface Seed {
  users: number;
  /** Of each user, at the top. */
  filesEach: number;
  /** Of the first user, in a folder `many` of its own. */
  files: number;
}

export interface Seeded {
  users: User[];
  /** The folder of the first user. */
  folderId: number;
}

/** Inserts rows in one transaction, some in each statement. */
async function insert(
  { db }: Connected,
  table: "tbl_user" | "tbl_user_token" | "tbl_file" | "tbl_user_file",
  rows: readonly object[],
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    for (let start = 0; start < rows.length; start += rowsMax) {
      await trx
        .insertInto(table)
        .values(rows.slice(start, start + rowsMax) as never)
        .execute();
    }
  });
}

/** Users who are signed in, and the rows of their files without any bytes, straight into an empty database. */
export async function seed(url: string, { users, filesEach, files }: Seed): Promise<Seeded> {
  const database = await connect(url);
  try {
    const seeded = Array.from({ length: users }, (_, index) => {
      const token = `seeded-token-of-user-${index + 1}`;
      return { name: `user-${index + 1}`, token, headers: { authorization: `Bearer ${token}` } };
    });
    const owned = (id: number): number => filesEach + (id === 1 ? files : 0);
    const account = { user_pwd: "", signup_at: 1, last_active: 1, quota_bytes: 1e12 };
    const expiry = { created_at: 1, expires_at: Date.now() + 86_400_000 };
    const userRows = seeded.map(({ name }, index) => {
      const id = index + 1;
      return { id, user_name: name, name_key: userKey(name), ...account, used_bytes: owned(id) };
    });
    await insert(database, "tbl_user", userRows);
    const tokenRows = seeded.map(({ token }, index) => {
      return { token_hash: sessionOf(token), user_id: index + 1, ...expiry };
    });
    await insert(database, "tbl_user_token", tokenRows);
    const folderId = 1;
    const fileRows: object[] = [nameRow(folderId, 1, 0, "many", "")];
    const add = (userId: number, parentId: number, name: string): void => {
      const id = fileRows.length + 1;
      fileRows.push(nameRow(id, userId, parentId, name, id.toString(16).padStart(64, "0")));
    };
    for (let file = 0; file < files; file++) add(1, folderId, `file ${file}.txt`);
    for (let userId = 1; userId <= users; userId++) {
      for (let file = 0; file < filesEach; file++) add(userId, 0, `note ${file} of user ${userId}.txt`);
    }
    await insert(database, "tbl_user_file", fileRows);
    const content = { size_bytes: 1, state: "stored", node: "seed", ref_count: 1, created_at: 1 };
    const contents = fileRows.slice(1).map((_, index) => {
      return { file_hash: (index + 2).toString(16).padStart(64, "0"), ...content };
    });
    await insert(database, "tbl_file", contents);
    return { users: seeded, folderId };
  } finally {
    await database.close();
  }
}

function nameRow(id: number, userId: number, parentId: number, name: string, fileHash: string): object {
  return {
    id,
    user_id: userId,
    parent_id: parentId,
    place: parentId,
    ...nameColumns(name),
    folder: fileHash === "" ? 1 : 0,
    file_hash: fileHash,
    size_bytes: fileHash === "" ? 0 : 1,
    created_at: 1,
    updated_at: id,
    trash_root: 0,
    trashed_at: 0,
  };
}
