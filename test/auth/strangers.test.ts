import { describe, expect, test } from "vitest";
import type { ServerCall } from "../../src/call/server-call.js";
import { type Address, Status } from "../../src/index.js";
import { Health, ServingStatus } from "../../src/services/builtin.js";
import { settle } from "../../src/testing/index.js";
import { failure } from "../support/async.js";
import type { Over } from "../support/cluster.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { byName, startGuarded, token } from "./guarded.js";

/** What whoever may call nothing but the health of a provider can take of it. */
describe.each<Over>(["memory", "grpc"])("a stranger over %s", (over) => {
  async function start(inFlightMax: number) {
    const options = { policy: { "*": "token:alice" }, authenticators: [byName(() => pair.cluster)] };
    const pair = await startGuarded(options, undefined, { over, settings: { provider: { inFlightMax } } });
    const { cluster, provider } = pair;
    const endpoint = {
      ...(provider.address as Address),
      ...{ protocol: over === "grpc" ? "grpc" : "mprpc", weight: 1, attributes: {} },
    } as const;
    /** A channel to the health of the provider, of a stranger or of who has that identity. */
    const channelOf = (identity?: string) => {
      const transport = identity === undefined ? cluster.network : cluster.network.as(identity);
      return cluster.channel({ registry: new FixedRegistry([endpoint]) }, cluster.runtime({ transport }));
    };
    return { ...pair, channelOf };
  }

  test("has few of the places with its watches of health, and leaves some to others", async () => {
    const { channelOf, stub, provider } = await start(320);
    const open = async (identity?: string) => {
      const stream = channelOf(identity).serverStream(Health.methods.watch, { service: "" });
      return stream[Symbol.asyncIterator]().next();
    };
    const outcomes = await Promise.allSettled(Array.from({ length: 40 }, () => open()));
    // Twenty of 320 are for such streams, and three quarters of them for one caller.
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(15);
    expect(provider.inFlight).toBe(15);
    const refused = await failure(open());
    expect(refused).toMatchObject({ code: Status.RESOURCE_EXHAUSTED, executed: "never" });
    expect(refused.rawMessage).toMatch(
      /^.+ has 15 streams of built-in services open, its share of the 20 there may be$/,
    );
    expect((await open("secret:probe")).value).toEqual({ status: ServingStatus.SERVING });
    await stub.echo({}, token("alice"));
    const check = await channelOf().call(Health.methods.check, { service: "" });
    expect(check.status).toBe(ServingStatus.SERVING);
  });

  test("opens another watch when one has ended", async () => {
    const { channelOf, provider } = await start(16);
    const channel = channelOf();
    for (let round = 0; round < 40; round++) {
      const statuses = channel.serverStream(Health.methods.watch, { service: "" })[Symbol.asyncIterator]();
      await statuses.next();
      await statuses.return?.();
      await settle();
    }
    expect(provider.inFlight).toBe(0);
  });

  test("asks for no service with an endless name", async () => {
    const { channelOf } = await start(100);
    const channel = channelOf();
    const long = { code: Status.INVALID_ARGUMENT };
    const service = "s".repeat(100_000);
    expect(await failure(channel.call(Health.methods.check, { service }))).toMatchObject(long);
    const watch = channel.serverStream(Health.methods.watch, { service });
    const refused = await failure(watch[Symbol.asyncIterator]().next());
    expect(refused).toMatchObject(long);
    expect(refused.rawMessage).toBe("the name of the service has 100000 characters, over the limit of 256");
    const known = channel.serverStream(Health.methods.watch, { service: "s".repeat(256) });
    expect((await known[Symbol.asyncIterator]().next()).value).toEqual({
      status: ServingStatus.SERVICE_UNKNOWN,
    });
  });

  test("makes the provider keep nothing of what it sends with a watch", async () => {
    const { channelOf, app } = await start(100);
    const calls: ServerCall[] = [];
    app.events.on("serverStart", ({ call }) => calls.push(call as ServerCall));
    const channel = channelOf();
    const metadata = { pad: "p".repeat(50_000) };
    const stream = channel.serverStream(Health.methods.watch, { service: "" }, { metadata });
    await stream[Symbol.asyncIterator]().next();
    const [call] = calls as [ServerCall];
    expect(call.ended).toBe(false);
    expect([call.request, call.metadata.size, call.idempotencyKey]).toEqual([undefined, 0, undefined]);
  });
});
