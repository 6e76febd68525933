// `npm run services`: ZooKeeper, MariaDB, Redis and Swift for a developer, on free ports and temp folders, until Ctrl-C.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { confText } from "./conf-text.js";
import { ProductionServers } from "./production.js";

execFileSync(fileURLToPath(new URL("../../../../scripts/debian-packages.sh", import.meta.url)), {
  stdio: ["ignore", "inherit", "inherit"],
});
const folder = mkdtempSync(path.join(os.tmpdir(), "clouddisk-services-"));
const servers = await ProductionServers.start();
const conf = path.join(folder, "clouddisk.conf");
const note = "# Written by `npm run services`; the servers it names end with that.\n";
writeFileSync(conf, note + confText(servers.conf()), { mode: 0o600 });
console.log(`ZooKeeper, MariaDB, Redis and Swift run until Ctrl-C. A cloud disk over them:

  CLOUDDISK_DATA=${folder}/data example/clouddisk/bin/clouddisk all -i ${conf}
`);

let ending = false;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  // Those of test/tools/child.ts would end this process before the folders are gone.
  process.removeAllListeners(signal).on(signal, async () => {
    if (ending) return;
    ending = true;
    await servers.close();
    rmSync(folder, { recursive: true, force: true });
    process.exit();
  });
}
