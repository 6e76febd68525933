/** Everything that makes folders, pointed at a place where none can be made; it may hang, so it is a process of its own. */
import { makeFolder, makeFolderSync } from "../../src/base/make-folder.js";
import { writeGenerated } from "../../src/codegen/generate.js";
import { silentLogger } from "../../src/log/logger.js";
import { createDestination } from "../../src/logger/destination.js";
import { openRegistry } from "../../src/registry/open.js";
import { SnapshotFile } from "../../src/registry/snapshot-file.js";

const [place = ""] = process.argv.slice(2);

const attempts: Record<string, () => unknown> = {
  sync: () => makeFolderSync(`${place}/sync/deeper`),
  async: () => makeFolder(`${place}/async/deeper`),
  registry: () => openRegistry(`file:${place}/registry`),
  generated: () => writeGenerated([{ path: "fixbug/user.ts", content: "" }], `${place}/generated`),
  logger: () => {
    const options = {
      kind: "file",
      dir: `${place}/logger`,
      pattern: "log",
      maxBytes: 0,
      maxFiles: 1,
    } as const;
    createDestination(options).write(Buffer.from("line\n"), 0, 20240101);
  },
  snapshots: async () => {
    let warning: unknown;
    const log = { ...silentLogger, warn: (_: string, fields?: object) => (warning = fields) };
    await new SnapshotFile(`${place}/snapshots`, "zookeeper", log).save("fixbug.UserServiceRpc", []);
    throw new Error(JSON.stringify(warning));
  },
};

for (const [name, attempt] of Object.entries(attempts)) {
  try {
    await attempt();
    console.info(`${name}: made`);
  } catch (error) {
    console.info(`${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
console.info("done");
