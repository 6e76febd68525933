import { type Address, formatAddress, schemeOf } from "../base/address.js";
import { textOf } from "../base/thrown.js";
import { messages } from "../error/messages.js";
import { InprocClientSession } from "../protocol/inproc/client-session.js";
import { currentContext } from "../protocol/inproc/link.js";
import type {
  ClientSession,
  ClientSessionOwner,
  ExpectedPeer,
  SharedConnectionProtocol,
} from "../protocol/protocol.js";
import { offeredUnix } from "../registry/unix-offer.js";
import type { Runtime } from "../runtime/runtime.js";
import type { Connection, ConnectOptions } from "../transport/transport.js";

/** A session about to begin: the connection exists. */
export interface ReadySession {
  open(owner: ClientSessionOwner): ClientSession;
  /** `leave` is called when the other end is no longer trusted: its connection will be closed after a while. */
  onDistrusted(leave: () => void): void;
  /** Nobody wants it any more. */
  drop(): void;
}

export interface Destination {
  readonly address: Address;
  readonly attributes: Readonly<Record<string, string>>;
  /** The peer name it must prove. */
  readonly expected: ExpectedPeer;
}

/**
 * Reaches one provider: without bytes when it is in this process, else by its unix socket when it is of this machine and user
 * and offers one, else by its address. Balancer and health treat the provider the same in each case.
 * Rejects with an `Error` that names the address.
 */
export async function reach(
  { address, attributes, expected }: Destination,
  protocol: SharedConnectionProtocol,
  runtime: Runtime,
  signal: AbortSignal,
): Promise<ReadySession> {
  const { transport, settings } = runtime;
  const own = ownProvider(address, runtime);
  if (own !== undefined) return own;
  const options = {
    timeoutMs: settings.channel.connectTimeoutMs,
    signal,
    alpn: [protocol.alpn],
    ...expected,
  };
  const local = localWays(address, runtime) ? offeredUnix(attributes) : undefined;
  const near = local === undefined ? undefined : await connectNear(local, options, runtime);
  const connection = near ?? (await transport.connect(address, options));
  return {
    open: (owner) => protocol.open(connection, owner, { address, attributes, expected }),
    onDistrusted: (leave) => {
      connection.onDistrusted = leave;
    },
    drop: () => connection.destroy(),
  };
}

/**
 * Whether another way than the address itself may be taken. An `inproc:` or `unix:` address is used as it is. A channel that
 * expects a name proved by TLS uses only its address, since the other ways prove no name.
 */
function localWays(address: Address, { local, settings, transport }: Runtime): boolean {
  if (local === undefined || transport.expects !== undefined) return false;
  return settings.channel.local === "auto" && schemeOf(address) === "tcp";
}

function ownProvider(address: Address, runtime: Runtime): ReadySession | undefined {
  if (schemeOf(address) !== "inproc" && !localWays(address, runtime)) return undefined;
  const where = formatAddress(address);
  const provider = runtime.local?.find(where);
  if (provider === undefined) return undefined;
  const session = provider.accept(currentContext());
  if (session === undefined) throw new Error(messages.cannotConnect(where, messages.inprocRefused));
  return {
    open: (owner) => new InprocClientSession(where, session, runtime.settings.limits, owner),
    onDistrusted: () => {},
    drop: () => session.close(undefined),
  };
}

/** Undefined if it cannot be used, such as when it is another user's: the address is used instead. */
async function connectNear(
  address: Address,
  options: ConnectOptions,
  { transport, log }: Runtime,
): Promise<Connection | undefined> {
  try {
    return await transport.connect(address, { ...options, ownSocket: true });
  } catch (error) {
    if (options.signal?.aborted === true) throw error;
    log.debug(`${formatAddress(address)} is not used: ${textOf(error)}`);
    return undefined;
  }
}
