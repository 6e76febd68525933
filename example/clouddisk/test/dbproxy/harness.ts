import { createHash } from "node:crypto";
import type { CompiledQuery } from "kysely";
import { silentLogger } from "mprpc";
import { expect } from "vitest";
import type { ActionName, EntryRow, ParamsOf, ResultOf } from "../../src/dbproxy/actions.js";
import { type Connected, connect } from "../../src/dbproxy/connect.js";
import { Executor } from "../../src/dbproxy/service.js";
import { Notes } from "../../src/events/notes.js";
import { seedFiles } from "../support/seed-files.js";
import type { databases } from "./databases.js";

export const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** The actions on a database of their own. */
export class Actions {
  readonly connected: Connected;
  /** The queries since it was emptied. */
  readonly queries: CompiledQuery[];
  /** What others were told of. */
  readonly told = new Notes();
  readonly #executor: Executor;
  readonly #close: () => Promise<unknown>;
  #users = 0;

  private constructor(connected: Connected, queries: CompiledQuery[], close: () => Promise<unknown>) {
    this.connected = connected;
    this.queries = queries;
    this.#executor = new Executor(connected, silentLogger, "services", (notes) => this.told.add(notes));
    this.#close = close;
  }

  static async open({ open }: (typeof databases)[number]): Promise<Actions> {
    const opened = await open();
    const queries: CompiledQuery[] = [];
    const connected = await connect(opened.url, ({ query }) => queries.push(query));
    return new Actions(connected, queries, opened.close);
  }

  async close(): Promise<void> {
    await this.connected.close();
    await this.#close();
  }

  async run<N extends ActionName>(name: N, params: ParamsOf<N>): Promise<ResultOf<N>> {
    const actions = [{ name, params: JSON.stringify(params) }];
    const reply = await this.#executor.execute({ sequence: true, transaction: false, actions });
    expect(reply.message).toBe("");
    return JSON.parse(reply.results?.[0]?.data ?? "") as ResultOf<N>;
  }

  /** All in one transaction; resolves with the message of the first that failed. */
  async together(...items: ReadonlyArray<{ name: ActionName; params: object }>): Promise<string> {
    const actions = items.map(({ name, params }) => ({ name, params: JSON.stringify(params) }));
    return (await this.#executor.execute({ sequence: true, transaction: true, actions })).message ?? "";
  }

  async user(quotaBytes = 1_000_000): Promise<number> {
    const username = `user${++this.#users}`;
    return (await this.run("user.create", { username, passwordHash: "x", quotaBytes })).id;
  }

  async usedBytes(userId: number): Promise<number | undefined> {
    return (await this.run("user.get", { userId })).user?.usedBytes;
  }

  async folder(userId: number, name: string, parentId = 0): Promise<number> {
    return okEntry(await this.run("entry.createFolder", { userId, parentId, name, reuse: false })).id;
  }

  /** A file whose content is `text`. */
  async file(userId: number, name: string, text = name, parentId = 0): Promise<EntryRow> {
    const fileHash = sha256(text);
    const file = { userId, parentId, name, fileHash, sizeBytes: text.length, node: "n1" };
    const added = await this.run("upload.whole", { ...file, onConflict: "rename" });
    if (added.outcome !== "ok") throw new Error(added.outcome);
    return added.entry;
  }

  async list(userId: number, more: Partial<ParamsOf<"entry.list">> = {}) {
    const list = { parentId: 0, trashed: false, query: "", descending: false, limit: 1000, cursor: "" };
    const listed = await this.run("entry.list", { userId, sort: "name", ...list, ...more });
    if (listed.outcome !== "ok") throw new Error(listed.outcome);
    return listed;
  }

  async names(userId: number, more: Partial<ParamsOf<"entry.list">> = {}): Promise<string[]> {
    return (await this.list(userId, more)).entries.map((entry) => entry.name);
  }

  /** Rows added at once, straight into the table. */
  async insertFiles(userId: number, count: number, more: Partial<{ parentId: number; prefix: string }> = {}) {
    await seedFiles(this.connected.db, { userId, count, fileHash: sha256(""), ...more });
  }
}

export function okEntry(result: ResultOf<"entry.rename">): EntryRow {
  if (result.outcome !== "ok") throw new Error(result.outcome);
  return result.entry;
}
