import { beforeAll } from "vitest";
import { openRegistry } from "../../src/registry/open.js";
import { sharedZooKeeper } from "../tools/shared-zookeeper.js";
import { sessionTimeoutMs, type ZooKeeper } from "../tools/zookeeper.js";
import { describeConformance } from "./conformance.js";

let server: ZooKeeper;
let chroot: string;
let clusters = 0;

beforeAll(async () => {
  ({ server, chroot } = await sharedZooKeeper());
});

describeConformance("zookeeper", async () => {
  clusters += 1;
  const url = `zookeeper://${server.address}${chroot}/c${clusters}`;
  return {
    connect: () => openRegistry(url, { sessionTimeoutMs, snapshotFolder: false }),
    stop: async () => {},
  };
});
