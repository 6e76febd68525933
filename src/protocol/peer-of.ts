import type { Peer, ProtocolName } from "../call/peer.js";
import type { Connection } from "../transport/transport.js";

/** Who calls on `connection`, by what its transport has proved. */
export function peerOf(connection: Pick<Connection, "remote" | "security">, protocol: ProtocolName): Peer {
  const transport = connection.security?.identity;
  return { address: connection.remote, protocol, identities: transport === undefined ? {} : { transport } };
}
