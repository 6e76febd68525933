import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

/** The databases every test of the actions runs on. */
export const databases = [
  {
    name: "SQLite",
    async open() {
      const folder = await mkdtemp(path.join(os.tmpdir(), "clouddisk-db-"));
      return { url: `sqlite:${folder}/disk.db`, close: () => rm(folder, { recursive: true }) };
    },
  },
];
