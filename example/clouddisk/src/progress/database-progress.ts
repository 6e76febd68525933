import type { Database } from "../dbproxy/client.js";
import type { Claim, PartKey, ProgressStore } from "./progress.js";

/** Parts in the database: nothing else to install. */
export class DatabaseProgress implements ProgressStore {
  readonly #database: Pick<Database, "run">;

  constructor(database: Pick<Database, "run">) {
    this.#database = database;
  }

  claim(key: PartKey, leaseMs: number): Promise<Claim> {
    return this.#database.run("part.claim", { ...key, leaseMs });
  }

  async record(key: PartKey, partHash: string): Promise<boolean> {
    return (await this.#database.run("part.record", { ...key, partHash })).recorded;
  }

  async release(key: PartKey): Promise<void> {
    await this.#database.run("part.release", { ...key });
  }

  async list(uploadId: string): Promise<{ parts: ReadonlyMap<number, string>; claims: number }> {
    const { parts, claims } = await this.#database.run("part.list", { uploadId });
    return { parts: new Map(parts.map(({ index, partHash }) => [index, partHash])), claims };
  }

  async clear(uploadId: string): Promise<void> {
    await this.#database.run("part.clear", { uploadId });
  }

  async close(): Promise<void> {}
}
