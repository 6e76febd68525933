import type { Kysely, Migration } from "kysely";
import { userKey } from "../common/user-names.js";
import { kinds } from "./schema.js";
import type { Tables } from "./tables.js";

/** User names are compared without their case. Two that differ in nothing else were there before: the later keeps its own. */
export function userNames(mysql: boolean): Migration {
  const { text } = kinds(mysql);
  return {
    async up(db: Kysely<unknown>) {
      const tables = await db.introspection.getTables();
      const columns = tables.find(({ name }) => name === "tbl_user")?.columns.map(({ name }) => name);
      if (!columns?.includes("name_key")) {
        await db.schema
          .alterTable("tbl_user")
          .addColumn("name_key", text(256), (column) => column.notNull().defaultTo(""))
          .execute();
      }
      const users = db as Kysely<Tables>;
      const rows = await users.selectFrom("tbl_user").select(["id", "user_name"]).orderBy("id").execute();
      const taken = new Set<string>();
      for (const { id, user_name: name } of rows) {
        const key = userKey(name);
        // No name has a # in it.
        const own = taken.has(key) ? `${key}#${id}` : key;
        taken.add(own);
        await users.updateTable("tbl_user").set({ name_key: own }).where("id", "=", id).execute();
      }
      await db.schema.createIndex("idx_user_name_key").unique().on("tbl_user").column("name_key").execute();
    },
  };
}
