import { describe, expect, test } from "vitest";
import { RpcChannel } from "../../src/client/channel.js";
import { settle } from "../../src/testing/index.js";
import { deferred, failure } from "../support/async.js";
import { Cluster, startPair } from "../support/cluster.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { addressOf, at } from "./support.js";

describe("close", () => {
  test("calls in flight finish, later ones are refused, connections end, and it is idempotent", async () => {
    const hold = deferred();
    const { stub, channel, provider } = await startPair({
      handlers: {
        async echo(request) {
          await hold.promise;
          return request;
        },
      },
    });
    const call = stub.echo({ text: "in flight" });
    await settle();
    const closing = Promise.all([channel.close(), channel.close()]);
    const refused = await failure(stub.echo({}));
    expect(refused).toMatchObject({
      codeName: "UNAVAILABLE",
      executed: "never",
      rawMessage: "the channel was closed",
    });
    hold.resolve();
    expect((await call).text).toBe("in flight");
    await closing;
    await settle();
    expect(provider.connections).toBe(0);
    await channel.close();
  });

  test("an application closed first refuses calls at once and fails those that wait; a call that was sent ends", async () => {
    const hold = deferred();
    const { stub, channel, runtime } = await startPair({
      handlers: {
        async echo(request) {
          await hold.promise;
          return request;
        },
      },
    });
    const refused = {
      codeName: "UNAVAILABLE",
      executed: "never",
      rawMessage: "the application was closed",
    };
    const sent = stub.echo({ text: "sent" });
    await settle();
    const ready = { waitForReady: true, timeoutMs: Number.POSITIVE_INFINITY };
    const waiting = failure(channel.callJson("lib.Nobody", "Offers", {}, ready));
    await settle();
    await runtime.close();
    expect(await waiting).toMatchObject(refused);
    expect(await failure(stub.echo({}))).toMatchObject(refused);
    expect(await failure(channel.callJson("lib.Other", "Method", {}))).toMatchObject(refused);
    expect(await failure(new ProbeServiceStub(new RpcChannel(runtime)).echo({}))).toMatchObject(refused);
    hold.resolve();
    expect((await sent).text).toBe("sent");
  });

  test("an interceptor that passes its call on after the application was closed does not wait for a registry", async () => {
    const hold = deferred();
    const { stub, runtime } = await startPair({
      clientInterceptors: [
        (next) => async (call) => {
          await hold.promise;
          return next(call);
        },
      ],
    });
    const late = failure(stub.echo({}));
    await runtime.close();
    hold.resolve();
    expect(await late).toMatchObject({ rawMessage: "the application was closed", executed: "never" });
  });

  test("a call in flight whose provider leaves meanwhile still goes elsewhere", async () => {
    const cluster = new Cluster({ settings: { provider: { drainTimeoutMs: 5000 } } });
    const a = await cluster.provider({ echo: () => ({ text: "a" }) });
    const registry = new FixedRegistry([at(addressOf(a))]);
    const channel = cluster.channel({ registry });
    const stub = new ProbeServiceStub(channel);
    await stub.echo({});
    const b = await cluster.provider({ echo: () => ({ text: "b" }) });
    registry.publish([at(addressOf(a)), at(addressOf(b))]);
    const stopped = a.shutdown();
    await settle();
    const calls = [stub.echo({}), stub.echo({})];
    const closed = channel.close();
    expect((await Promise.all(calls)).map(({ text }) => text)).toEqual(["b", "b"]);
    await cluster.clock.run(2000);
    await Promise.all([closed, stopped]);
  });

  test("a provider that does not end its side does not hold it up", async () => {
    const cluster = new Cluster({});
    const { callId, RawPeer, settingsFrame, replyFrame } = await import("../support/raw-peer.js");
    const { Kind } = await import("../../src/protocol/mprpc/wire/header.js");
    const peers: InstanceType<typeof RawPeer>[] = [];
    const listener = await cluster.network.listen({ host: "127.0.0.1", port: 0 }, (connection) => {
      const peer = new RawPeer(connection);
      peer.send(settingsFrame(1000));
      peers.push(peer);
    });
    const channel = cluster.channel({ registry: new FixedRegistry([at(listener.address.port)]) });
    const call = new ProbeServiceStub(channel).echo({});
    await settle();
    await peers[0]?.frame(Kind.CALL);
    peers[0]?.send(replyFrame({ id: callId(1) }));
    await call;
    const closed = channel.close();
    await cluster.clock.run(1100);
    await closed;
    await settle();
    expect(peers[0]?.ended).toBe(true);
  });

  test("await using closes it", async () => {
    const { cluster, provider } = await startPair();
    {
      await using channel = cluster.channel();
      await new ProbeServiceStub(channel).echo({});
      expect(provider.connections).toBe(1);
    }
    await settle();
    expect(provider.connections).toBe(0);
  });
});
