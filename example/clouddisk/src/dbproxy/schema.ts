import { type ColumnBuilderCallback, type Kysely, sql } from "kysely";

/** Names and hashes are compared byte by byte on both databases. */
const tableEnd = sql`engine=InnoDB default charset=utf8mb4 collate=utf8mb4_bin`;

export const filled: ColumnBuilderCallback = (column) => column.notNull();

/** The kinds of columns, and tables, of either database. */
export function kinds(mysql: boolean) {
  return {
    text: (length: number) => sql.raw(mysql ? `varchar(${length})` : "text"),
    number: mysql ? ("bigint" as const) : ("integer" as const),
    tablesOf: (db: Kysely<unknown>) => (name: string) => {
      const made = db.schema.createTable(name);
      return mysql ? made.modifyEnd(tableEnd) : made;
    },
  };
}

export type Index = [table: string, columns: string[]];

export const indexName = ([table, columns]: Index): string =>
  `idx_${table.slice(4)}_${columns.join("_")}`.slice(0, 60);

export async function addIndices(db: Kysely<unknown>, indices: readonly Index[]): Promise<void> {
  for (const index of indices) {
    const [table, columns] = index;
    await db.schema.createIndex(indexName(index)).on(table).columns(columns).execute();
  }
}
