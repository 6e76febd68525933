import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { MariadbServer } from "../support/mariadb.js";

/** The databases every test of the actions runs on. */
export const databases = [
  {
    name: "SQLite",
    async open() {
      const folder = await mkdtemp(path.join(os.tmpdir(), "clouddisk-db-"));
      return { url: `sqlite:${folder}/disk.db`, close: () => rm(folder, { recursive: true }) };
    },
  },
  {
    name: "MariaDB",
    async open() {
      const server = await MariadbServer.start();
      return { url: await server.createDatabase(), close: () => server.close() };
    },
  },
];
