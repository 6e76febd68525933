import type { Address } from "../../base/address.js";
import type { Clock } from "../../base/clock.js";
import { messages } from "../../error/messages.js";
import type { Logger } from "../../log/logger.js";
import { listenForSockets, tcpTransport } from "../tcp.js";
import type { Connection, Listener, ListenOptions, Transport } from "../transport.js";
import { connectTls } from "./client.js";
import { TlsCredentials } from "./credentials.js";
import { LiveConnections } from "./live-connections.js";
import {
  callerKinds,
  checkListening,
  checkPeerNames,
  checkUsed,
  idleKeys,
  securesChannels,
  type TlsOptions,
  usesTls,
} from "./options.js";
import { TlsServer } from "./server.js";

export interface TlsTransportParts {
  readonly clock: Clock;
  readonly log: Logger;
  /** How long calls in flight may go on after the other side is no longer trusted, ms. Default 10,000. */
  readonly cutAfterMs?: number | undefined;
}

/** The last part of a full name, as it may be given in `peerNames`. */
const shortName = (service: string): string => service.slice(service.lastIndexOf(".") + 1);

function nameFor({ peerName, peerNames = {} }: TlsOptions, service: string): string | undefined {
  const named = [service, shortName(service)].find((one) => Object.hasOwn(peerNames, one));
  return named === undefined ? peerName : peerNames[named];
}

/**
 * TCP, with TLS as `options` say. Throws `TypeError` for options that have no effect and must have been meant to have one, `Error`
 * for files that cannot be used.
 */
export function tlsTransport(parts: TlsTransportParts, options: TlsOptions = {}): Transport {
  checkPeerNames(options, options);
  return transportWith(parts, options);
}

/** Connects in clear; the first time it warns of options that sound as if it did not. */
function connectInClear(tcp: Transport, log: Logger, options: TlsOptions): Transport["connect"] {
  let keys = idleKeys(options);
  return (address, asked) => {
    if (keys.length > 0) log.warn(messages.channelInClear(keys.join(" and ")));
    keys = [];
    return tcp.connect(address, asked);
  };
}

function transportWith(parts: TlsTransportParts, options: TlsOptions): Transport {
  const { clock, log, cutAfterMs = 10_000 } = parts;
  const tcp = tcpTransport(clock);
  const inClear = connectInClear(tcp, log, options);
  const secured = (more: TlsOptions): Transport => {
    const all = { ...options, ...more };
    checkPeerNames(more, all);
    checkUsed(more, all);
    return transportWith(parts, all);
  };
  const listenInClear: Transport["listen"] = async (address, onConnection, asked) => {
    checkListening(options);
    return tcp.listen(address, onConnection, asked);
  };
  const inClearOnly = { ...tcp, connect: inClear, listen: listenInClear, callerKinds: [], secured };
  if (!usesTls(options)) return inClearOnly;
  const credentials = new TlsCredentials(options, clock, log);
  const live = new LiveConnections(credentials, clock, log, cutAfterMs);
  const { mode = "off" } = options;
  const channels = securesChannels(options);
  return {
    connect: channels
      ? (address, asked) => {
          const peerName = asked.peerName ?? options.peerName;
          return connectTls(address, { ...asked, peerName }, { credentials, clock, live });
        }
      : inClear,
    listen: mode === "off" ? listenInClear : listen,
    callerKinds: callerKinds(options),
    localHostTowards: tcp.localHostTowards,
    ...(channels ? { expects: { nameFor: (service) => nameFor(options, service) } } : {}),
    get identity() {
      return credentials.material.ownIdentity;
    },
    secured,
    close: () => credentials.close(),
  };

  async function listen(
    address: Address,
    onConnection: (connection: Connection) => void,
    { alpn = [] }: ListenOptions = {},
  ): Promise<Listener> {
    checkListening(options);
    if (mode === "off") throw new Error(messages.tlsNothingToShow(mode));
    if (mode === "optional" && options.clientAuth === "require") log.warn(messages.clearNeedsNoCertificate);
    const server = new TlsServer({ credentials, alpn, clock, log, live, onConnection });
    const listener = await listenForSockets(address, (socket) => server.accept(socket));
    return {
      ...listener,
      tls: mode,
      close() {
        server.close();
        return listener.close();
      },
    };
  }
}
