import { type Address, formatAddress } from "../base/address.js";
import { PeerTimer } from "../base/peer-timer.js";
import { GrpcClientSession } from "../protocol/grpc/client-session.js";
import { type App, runtimeOf } from "../runtime/app.js";

/** A gRPC server says its settings as soon as it has ours, ms. */
const answersWithinMs = 1000;

/** Whether a gRPC server answers at `address`. */
export async function speaksGrpc(address: Address, app: App): Promise<boolean> {
  const { transport, clock, settings } = runtimeOf("speaksGrpc", app);
  const timeoutMs = settings.channel.connectTimeoutMs;
  const connection = await transport.connect(address, { timeoutMs }).catch(() => undefined);
  if (connection === undefined) return false;
  return new Promise((resolve) => {
    const end = (speaks: boolean): void => {
      timer.cancel();
      resolve(speaks);
      session.close(`${formatAddress(address)} has answered`);
    };
    const timer = new PeerTimer(clock, () => end(false), answersWithinMs, true);
    const { unwrittenMaxBytes, limits } = settings;
    const session: GrpcClientSession = new GrpcClientSession(
      connection,
      clock,
      { http2: {}, bodyMaxBytes: limits.bodyMaxBytes, unwrittenMaxBytes },
      {
        onWelcome: () => end(true),
        onRoom: () => {},
        onGoingAway: () => {},
        onClosed: () => end(false),
      },
      { address, attributes: {}, expected: {} },
      () => {},
    );
  });
}
