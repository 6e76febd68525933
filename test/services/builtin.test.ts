import { describe, expect, test } from "vitest";
import { FileDescriptorProto } from "../../src/descriptor/gen/google/protobuf/descriptor.js";
import { decodeMessage } from "../../src/protobuf/types.js";
import { Health, Reflection, ServingStatus } from "../../src/services/builtin.js";
import { memoryRegistry, settle } from "../../src/testing/index.js";
import { fresh, probe } from "../server/support.js";
import { failure } from "../support/async.js";
import { Cluster, startPair } from "../support/cluster.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { ProbeService } from "../support/gen/probe.js";

describe("built-in services", () => {
  async function withBuiltin() {
    const pair = await startPair();
    const { channel } = pair;
    const resolvable = { service: "probe.ProbeService" };
    // Built-in services stand in no registry: they are asked at an endpoint.
    const check = (service: string) =>
      channel.call({ ...Health.methods.check }, { service }) as Promise<{ status: number }>;
    return { ...pair, check, resolvable };
  }

  test("health: SERVING, NOT_SERVING, NOT_FOUND", async () => {
    const { cluster, provider } = await withBuiltin();
    const address = provider.address as { host: string; port: number };
    const registry = new FixedRegistry([{ ...address, protocol: "mprpc", weight: 1, attributes: {} }]);
    const channel = cluster.channel({ registry });
    const check = (service: string) => channel.call(Health.methods.check, { service });
    expect(await check("")).toEqual({ status: ServingStatus.SERVING });
    expect(await check("probe.ProbeService")).toEqual({ status: ServingStatus.SERVING });
    provider.setServing("probe.ProbeService", false);
    expect(await check("probe.ProbeService")).toEqual({ status: ServingStatus.NOT_SERVING });
    expect(await check("")).toEqual({ status: ServingStatus.SERVING });
    provider.setServing("probe.ProbeService", true);
    expect(await check("probe.ProbeService")).toEqual({ status: ServingStatus.SERVING });
    expect(await failure(check("no.Such"))).toMatchObject({
      codeName: "NOT_FOUND",
      rawMessage: "this provider has no service no.Such",
    });
    expect(() => provider.setServing("no.Such", true)).toThrow(TypeError);
  });

  /** A watch of what the provider says of `service`. */
  async function watched(service: string) {
    const { cluster, provider } = await withBuiltin();
    const address = provider.address as { host: string; port: number };
    const registry = new FixedRegistry([{ ...address, protocol: "mprpc", weight: 1, attributes: {} }]);
    const channel = cluster.channel({ registry });
    const stream = channel.serverStream(Health.methods.watch, { service });
    return { provider, channel, stream, statuses: stream[Symbol.asyncIterator]() };
  }

  const told = (status: ServingStatus) => ({ done: false, value: { status } });
  const ended = { done: true, value: undefined };

  test("health Watch: the status now, then each change and nothing else", async () => {
    const { provider, statuses } = await watched("probe.ProbeService");
    expect(await statuses.next()).toEqual(told(ServingStatus.SERVING));
    provider.setServing("probe.ProbeService", true);
    const next = statuses.next();
    await settle();
    provider.setServing("probe.ProbeService", false);
    expect(await next).toEqual(told(ServingStatus.NOT_SERVING));
    provider.setServing("probe.ProbeService", true);
    expect(await statuses.next()).toEqual(told(ServingStatus.SERVING));
    await statuses.return?.();
    await settle();
    expect(provider.inFlight).toBe(0);
  });

  test("health Watch: SERVICE_UNKNOWN for a service that is not there, and it goes on", async () => {
    const { provider, statuses } = await watched("no.Such");
    expect(await statuses.next()).toEqual(told(ServingStatus.SERVICE_UNKNOWN));
    let settled = false;
    const next = statuses.next().finally(() => {
      settled = true;
    });
    provider.setServing("probe.ProbeService", false);
    await settle();
    expect({ settled, inFlight: provider.inFlight }).toEqual({ settled: false, inFlight: 1 });
    await provider.shutdown();
    expect(await next).toEqual(ended);
  });

  test("health Watch: a provider that stops says NOT_SERVING, ends the watch and does not wait for it", async () => {
    const { provider, statuses, stream } = await watched("");
    expect(await statuses.next()).toEqual(told(ServingStatus.SERVING));
    const [status, end] = [statuses.next(), statuses.next()];
    // The drain would wait for the clock, which nobody moves.
    await provider.shutdown();
    expect(await status).toEqual(told(ServingStatus.NOT_SERVING));
    expect(await end).toEqual(ended);
    await stream.trailers;
  });

  test("health that was set before the start stays", async () => {
    const { provider, cluster } = fresh();
    provider.notifyService(ProbeService, probe);
    provider.setServing("probe.ProbeService", false);
    const address = await provider.start();
    const registry = new FixedRegistry([{ ...address, protocol: "mprpc", weight: 1, attributes: {} }]);
    const reply = await cluster
      .channel({ registry })
      .call(Health.methods.check, { service: "probe.ProbeService" });
    expect(reply.status).toBe(ServingStatus.NOT_SERVING);
  });

  test("reflection: names and descriptors", async () => {
    const { cluster, provider } = await withBuiltin();
    const address = provider.address as { host: string; port: number };
    const registry = new FixedRegistry([{ ...address, protocol: "mprpc", weight: 1, attributes: {} }]);
    const channel = cluster.channel({ registry });
    const { services } = await channel.call(Reflection.methods.listServices, {});
    expect(services).toEqual(["probe.ProbeService"]);
    const { descriptors } = await channel.call(Reflection.methods.describe, {
      service: "probe.ProbeService",
    });
    expect(decodeMessage(FileDescriptorProto, descriptors[0] as Uint8Array)).toMatchObject({
      ...{ name: "probe.proto", package: "probe" },
    });
    expect((await failure(channel.call(Reflection.methods.describe, { service: "x.Y" }))).codeName).toBe(
      "NOT_FOUND",
    );
  });
});

test("memory registry: a caller finds the provider, and loses it at shutdown", async () => {
  const cluster = new Cluster({});
  const registry = memoryRegistry({ store: cluster.store, clock: cluster.clock });
  const provider = await cluster.provider();
  const seen: number[] = [];
  const watch = registry.watch("probe.ProbeService", ({ endpoints }) => void seen.push(endpoints.length));
  await settle();
  await provider.shutdown();
  await settle();
  watch.close();
  expect(seen).toEqual([1, 0]);
});
