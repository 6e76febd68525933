import { expect, test } from "vitest";
import { startPair } from "../support/cluster.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { addressOf, at } from "./support.js";

test("an endpoint of a protocol that this version does not speak is passed over", async () => {
  const { cluster, provider } = await startPair();
  const ours = at(addressOf(provider));
  const registry = new FixedRegistry([{ ...at(1), protocol: "carrier-pigeon" }, ours]);
  const stub = new ProbeServiceStub(cluster.channel({ registry }));
  for (let i = 0; i < 4; i++) expect((await stub.echo({ number: i })).number).toBe(i);
});
