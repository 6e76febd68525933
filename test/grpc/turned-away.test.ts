import { expect, test } from "vitest";
import { RpcProvider } from "../../src/server/provider.js";
import { settle } from "../../src/testing/index.js";
import { failure } from "../support/async.js";
import { Cluster } from "../support/cluster.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { type BlobInput, ProbeService, ProbeServiceStub } from "../support/gen/probe.js";
import { RawClient } from "./raw.js";

const echoes = {
  echo: (request: BlobInput) => request,
  relay: (request: BlobInput) => request,
  note: (request: BlobInput) => request,
};
const full = "1 connections are open (provider.maxconnections)";

/** A provider whose only connection is taken, and a second one that is free, if asked for. */
async function fullProvider() {
  const cluster = new Cluster({ settings: { provider: { connectionsMax: 1 } } });
  const runtime = cluster.runtime();
  const provider = new RpcProvider(runtime).notifyService(ProbeService, echoes);
  cluster.onClose(() => provider.shutdown());
  await provider.start();
  await new ProbeServiceStub(cluster.channel()).echo({});
  return { cluster, provider, runtime };
}

function overGrpc(cluster: Cluster, ...providers: RpcProvider[]) {
  const endpoints = providers.map(({ address }) => ({
    ...(address as { host: string; port: number }),
    ...{ protocol: "grpc" as const, weight: 1, attributes: {} },
  }));
  return cluster.channel({ registry: new FixedRegistry(endpoints) });
}

test("a oneway call that is turned away makes the channel wait, as any call does", async () => {
  const { cluster, provider, runtime } = await fullProvider();
  const channel = overGrpc(cluster, provider);
  let opened = 0;
  runtime.events.on("connectionOpen", ({ side }) => (opened += side === "server" ? 1 : 0));
  const told: string[] = [];
  for (let at = 0; at < 20; at++) {
    await channel.oneway(ProbeService.methods.note, {}).catch((error: Error) => told.push(error.message));
    await settle();
  }
  expect(opened).toBeLessThanOrEqual(2);
  expect(told.length).toBeGreaterThanOrEqual(18);
  expect(told.at(-1)).toContain(full);
});

test("a call that is turned away goes to another endpoint", async () => {
  const { cluster, provider } = await fullProvider();
  const other = new RpcProvider(cluster.runtime()).notifyService(ProbeService, {
    ...echoes,
    echo: () => ({ text: "of the other" }),
  });
  cluster.onClose(() => other.shutdown());
  await other.start();
  const stub = new ProbeServiceStub(overGrpc(cluster, provider, other));
  for (let at = 0; at < 4; at++) expect((await stub.echo({})).text).toBe("of the other");
});

test("a connection that is turned away and makes no call hears the reason as well", async () => {
  const { cluster, provider } = await fullProvider();
  const client = await RawClient.connect(
    cluster.network,
    provider.address as { host: string; port: number },
    cluster.clock,
  );
  await cluster.clock.run(6000);
  expect(client.goAway).toContain(full);
  expect(provider.connections).toBe(1);
});

test("where gRPC is not served a call hears so, and a connection without one does not stay", async () => {
  const cluster = new Cluster({ settings: { provider: { protocols: ["mprpc"] } } });
  const provider = await cluster.provider();
  const client = await RawClient.connect(
    cluster.network,
    provider.address as { host: string; port: number },
    cluster.clock,
  );
  const refused = await failure(new ProbeServiceStub(overGrpc(cluster, provider)).echo({}));
  expect(refused.message).toContain("gRPC is not served here (provider.protocols)");
  await cluster.clock.run(6000);
  expect(client.goAway).toContain("provider.protocols");
  expect(provider.connections).toBe(0);
});

test("where mprpc is not served a call of it hears so", async () => {
  const cluster = new Cluster({ settings: { provider: { protocols: ["grpc"] } } });
  const { address } = await cluster.provider();
  const endpoint = { ...(address as { host: string; port: number }), weight: 1, attributes: {} };
  const registry = new FixedRegistry([{ ...endpoint, protocol: "mprpc" }]);
  const refused = await failure(new ProbeServiceStub(cluster.channel({ registry })).echo({}));
  expect(refused).toMatchObject({ codeName: "UNAVAILABLE", executed: "never" });
  expect(refused.message).toContain("mprpc is not served here (provider.protocols)");
});
