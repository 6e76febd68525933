import type { ColumnBuilderCallback, Kysely, Migration, MigrationProvider } from "kysely";
import { lists } from "./migration-lists.js";
import { userNames } from "./migration-user-names.js";
import { addIndices, filled, type Index, kinds } from "./schema.js";

/** Each change of the tables, in the order of the names. One that has been released is never changed. */
export function migrations(mysql: boolean): MigrationProvider {
  return {
    getMigrations: async () => ({
      "0001_first": first(mysql),
      "0002_nodes": nodes(mysql),
      "0003_lists": lists(mysql),
      "0004_user_names": userNames(mysql),
      "0005_trashing": trashing(mysql),
      "0006_changes": changes(mysql),
    }),
  };
}

function nodes(mysql: boolean): Migration {
  const { text, number, tablesOf } = kinds(mysql);
  return {
    async up(db: Kysely<unknown>) {
      await tablesOf(db)("tbl_node")
        .addColumn("node", text(255), filled)
        .addColumn("kind", text(16), filled)
        .addColumn("url", text(4096), filled)
        .addColumn("valid_until", number, filled)
        .addPrimaryKeyConstraint("pk_node", ["node", "kind"])
        .execute();
    },
  };
}

/** Folders in the trash that not all beneath them has followed yet. */
function trashing(mysql: boolean): Migration {
  const { number, tablesOf } = kinds(mysql);
  return {
    async up(db: Kysely<unknown>) {
      await tablesOf(db)("tbl_trashing")
        .ifNotExists()
        .addColumn("user_id", number, filled)
        .addColumn("root_id", number, filled)
        .addPrimaryKeyConstraint("pk_trashing", ["user_id", "root_id"])
        .execute();
    },
  };
}

/** Numbers that are never given twice. */
function keyOf(mysql: boolean): ColumnBuilderCallback {
  return (column) =>
    mysql ? column.primaryKey().autoIncrement() : column.primaryKey().autoIncrement().notNull();
}

/** What happened among the users' files lately. */
function changes(mysql: boolean): Migration {
  const { text, number, tablesOf } = kinds(mysql);
  return {
    async up(db: Kysely<unknown>) {
      await tablesOf(db)("tbl_change")
        .ifNotExists()
        .addColumn("id", number, keyOf(mysql))
        .addColumn("user_id", number, filled)
        .addColumn("kind", text(16), filled)
        .addColumn("entry_id", number, filled)
        .addColumn("parent_id", number, filled)
        .addColumn("from_parent_id", number, filled)
        .addColumn("file_name", text(255), filled)
        .addColumn("folder", number, filled)
        .addColumn("upload_id", text(32), filled)
        .addColumn("size_bytes", number, filled)
        .addColumn("parts_done", number, filled)
        .addColumn("part_count", number, filled)
        .addColumn("upload_state", text(16), filled)
        .addColumn("created_at", number, filled)
        .execute();
      await addIndices(db, [
        ["tbl_change", ["user_id", "id"]],
        ["tbl_change", ["upload_id"]],
        ["tbl_change", ["created_at"]],
      ]);
    },
  };
}

function first(mysql: boolean): Migration {
  const { text, number, tablesOf } = kinds(mysql);
  const key = keyOf(mysql);

  return {
    async up(db: Kysely<unknown>) {
      const table = tablesOf(db);
      await table("tbl_user")
        .addColumn("id", number, key)
        .addColumn("user_name", text(64), (column) => column.notNull().unique())
        .addColumn("user_pwd", text(512), filled)
        .addColumn("signup_at", number, filled)
        .addColumn("last_active", number, filled)
        .addColumn("quota_bytes", number, filled)
        .addColumn("used_bytes", number, filled)
        .execute();
      await table("tbl_user_token")
        .addColumn("token_hash", text(64), (column) => column.primaryKey().notNull())
        .addColumn("user_id", number, filled)
        .addColumn("created_at", number, filled)
        .addColumn("expires_at", number, filled)
        .execute();
      await table("tbl_file")
        .addColumn("file_hash", text(64), (column) => column.primaryKey().notNull())
        .addColumn("size_bytes", number, filled)
        .addColumn("state", text(16), filled)
        .addColumn("node", text(255), filled)
        .addColumn("ref_count", number, filled)
        .addColumn("created_at", number, filled)
        .execute();
      await table("tbl_user_file")
        .addColumn("id", number, key)
        .addColumn("user_id", number, filled)
        .addColumn("parent_id", number, filled)
        .addColumn("file_name", text(255), filled)
        .addColumn("name_key", text(512), filled)
        .addColumn("folder", number, filled)
        .addColumn("file_hash", text(64), filled)
        .addColumn("size_bytes", number, filled)
        .addColumn("created_at", number, filled)
        .addColumn("updated_at", number, filled)
        .addColumn("trash_root", number, filled)
        .addColumn("trashed_at", number, filled)
        .addUniqueConstraint("uniq_user_file_name", ["user_id", "parent_id", "trash_root", "file_name"])
        .execute();
      await table("tbl_upload")
        .addColumn("id", text(32), (column) => column.primaryKey().notNull())
        .addColumn("user_id", number, filled)
        .addColumn("file_hash", text(64), filled)
        .addColumn("size_bytes", number, filled)
        .addColumn("file_name", text(255), filled)
        .addColumn("parent_id", number, filled)
        .addColumn("part_bytes", number, filled)
        .addColumn("part_count", number, filled)
        .addColumn("node", text(255), filled)
        .addColumn("state", text(16), filled)
        .addColumn("created_at", number, filled)
        .addColumn("updated_at", number, filled)
        .addColumn("entry_id", number, filled)
        .addColumn("owner", text(255), filled)
        .addColumn("lease_until", number, filled)
        .execute();
      await table("tbl_upload_part")
        .addColumn("upload_id", text(128), filled)
        .addColumn("part_index", number, filled)
        .addColumn("part_hash", text(64), filled)
        .addColumn("owner", text(255), filled)
        .addColumn("lease_until", number, filled)
        .addPrimaryKeyConstraint("pk_upload_part", ["upload_id", "part_index"])
        .execute();
      await table("tbl_outbox")
        .addColumn("id", number, key)
        .addColumn("kind", text(16), filled)
        .addColumn("file_hash", text(64), (column) => column.notNull().unique())
        .addColumn("size_bytes", number, filled)
        .addColumn("node", text(255), filled)
        .addColumn("attempts", number, filled)
        .addColumn("last_error", text(4096), filled)
        .addColumn("next_attempt", number, filled)
        .addColumn("owner", text(255), filled)
        .addColumn("lease_until", number, filled)
        .addColumn("failed", number, filled)
        .addColumn("created_at", number, filled)
        .execute();
      await table("tbl_challenge")
        .addColumn("id", text(128), (column) => column.primaryKey().notNull())
        .addColumn("user_id", number, filled)
        .addColumn("file_hash", text(64), filled)
        .addColumn("question", text(4096), filled)
        .addColumn("expires_at", number, filled)
        .execute();
      await table("tbl_secret")
        .addColumn("name", text(255), (column) => column.primaryKey().notNull())
        .addColumn("value", text(4096), filled)
        .execute();
      await table("tbl_lease")
        .addColumn("name", text(255), (column) => column.primaryKey().notNull())
        .addColumn("owner", text(255), filled)
        .addColumn("lease_until", number, filled)
        .execute();

      const indices: Index[] = [
        ["tbl_user_token", ["expires_at"]],
        ["tbl_user_file", ["user_id", "file_hash"]],
        ["tbl_user_file", ["user_id", "trash_root", "parent_id", "folder", "name_key", "id"]],
        ["tbl_user_file", ["user_id", "trash_root", "parent_id", "folder", "updated_at", "id"]],
        ["tbl_user_file", ["trash_root", "trashed_at"]],
        ["tbl_user_file", ["parent_id"]],
        ["tbl_user_file", ["file_hash"]],
        ["tbl_upload", ["user_id", "state"]],
        ["tbl_upload", ["node", "state", "updated_at"]],
        ["tbl_outbox", ["failed", "next_attempt"]],
        ["tbl_challenge", ["expires_at"]],
      ];
      await addIndices(db, indices);
    },
  };
}
