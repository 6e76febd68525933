import { beforeAll } from "vitest";
import { openRegistry } from "../../src/registry/open.js";
import { type Consul, ttlMs } from "../tools/consul.js";
import { sharedConsul } from "../tools/shared-consul.js";
import { describeConformance } from "./conformance.js";

let server: Consul;
let prefix: string;
let clusters = 0;

beforeAll(async () => {
  ({ server, prefix } = await sharedConsul());
});

describeConformance("consul", async () => {
  clusters += 1;
  const url = `consul://${server.address}/${prefix}/c${clusters}?ttl=${ttlMs}`;
  return {
    connect: () => openRegistry(url, { snapshotFolder: false }),
    stop: async () => {},
  };
});
