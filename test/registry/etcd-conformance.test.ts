import { beforeAll } from "vitest";
import { openRegistry } from "../../src/registry/open.js";
import { type Etcd, ttlMs } from "../tools/etcd.js";
import { sharedEtcd } from "../tools/shared-etcd.js";
import { describeConformance } from "./conformance.js";

let server: Etcd;
let prefix: string;
let clusters = 0;

beforeAll(async () => {
  ({ server, prefix } = await sharedEtcd());
});

describeConformance("etcd", async () => {
  clusters += 1;
  const url = `etcd://${server.address}/${prefix}/c${clusters}?ttl=${ttlMs}ms`;
  return {
    connect: () => openRegistry(url, { snapshotFolder: false }),
    stop: async () => {},
  };
});
