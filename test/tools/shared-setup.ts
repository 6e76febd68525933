import type { TestProject } from "vitest/node";
import { share } from "./shared.js";
import { startSharedConsul } from "./shared-consul.js";
import { startSharedEtcd } from "./shared-etcd.js";
import { buildSharedLib } from "./shared-lib.js";
import { startSharedZooKeeper } from "./shared-zookeeper.js";

export default (project: TestProject) =>
  share(project, {
    zookeeper: startSharedZooKeeper,
    consul: startSharedConsul,
    etcd: startSharedEtcd,
    lib: buildSharedLib,
  });
