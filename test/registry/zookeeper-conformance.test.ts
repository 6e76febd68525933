import { afterAll, beforeAll } from "vitest";
import { openRegistry } from "../../src/registry/open.js";
import { sessionTimeoutMs, ZooKeeperServer } from "../tools/zookeeper.js";
import { describeConformance } from "./conformance.js";

let server: ZooKeeperServer;
let clusters = 0;

beforeAll(async () => {
  server = await ZooKeeperServer.start();
});
afterAll(() => server.stop());

describeConformance("zookeeper", async () => {
  clusters += 1;
  const url = `zookeeper://${server.address}/conformance/c${clusters}`;
  return {
    connect: () => openRegistry(url, { sessionTimeoutMs, snapshotFolder: false }),
    stop: async () => {},
  };
});
