import { Kind } from "../../src/protocol/mprpc/wire/header.js";
import { Cluster, type ClusterOptions } from "../support/cluster.js";
import { FlowServiceStub } from "../support/gen/flow.js";
import { RawPeer, settingsFrame } from "../support/raw-peer.js";

/** A stub of `FlowService`, and a provider of which the test writes every frame. */
export async function rawFlow(options: ClusterOptions = {}) {
  const cluster = new Cluster(options);
  const runtime = cluster.runtime();
  const peers: RawPeer[] = [];
  let wake = (): void => {};
  const listener = await cluster.transport.listen({ host: "127.0.0.1", port: 0 }, (connection) => {
    const peer = new RawPeer(connection);
    peers.push(peer);
    peer.send(settingsFrame(1000));
    wake();
  });
  cluster.onClose(() => listener.close());
  cluster.onClose(async () => {
    for (const { connection } of peers) connection.destroy();
  });
  await runtime.registry.register({ service: "flow.FlowService", methods: [], address: listener.address });
  /** The connection with this number, once its first call is there. */
  const called = async (index = 0) => {
    while (peers[index] === undefined) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    const peer = peers[index];
    const call = await peer.frame(Kind.CALL);
    return { peer, call, id: call.callId };
  };
  const channel = cluster.channel({}, runtime);
  return { cluster, clock: cluster.clock, channel, stub: new FlowServiceStub(channel), peers, called };
}
