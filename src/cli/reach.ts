import { type Address, formatAddress } from "../base/address.js";
import { PeerTimer } from "../base/peer-timer.js";
import { messages } from "../error/messages.js";
import { MprpcClientSession } from "../protocol/mprpc/client-session.js";
import { type App, runtimeOf } from "../runtime/app.js";

/** A provider says its settings as soon as it is met; one of the classic framework waits for a request it understands, ms. */
const answersWithinMs = 1000;

/**
 * Why no provider of ours can be called at `address`; undefined when one answers there, or when nothing listens, which the
 * call itself says better.
 */
export async function whyNotOurs(address: Address, app: App): Promise<string | undefined> {
  const { transport, clock, settings } = runtimeOf("whyNotOurs", app);
  const timeoutMs = settings.channel.connectTimeoutMs;
  const connection = await transport.connect(address, { timeoutMs }).catch(() => undefined);
  if (connection === undefined) return undefined;
  const where = formatAddress(address);
  return new Promise((resolve) => {
    const end = (why: string | undefined): void => {
      timer.cancel();
      resolve(why);
      met.close("the question is answered");
    };
    const silent = `${where} takes connections and says nothing in mprpc within ${answersWithinMs} ms`;
    const timer = new PeerTimer(clock, () => end(silent), answersWithinMs, true);
    const met: MprpcClientSession = new MprpcClientSession(connection, clock, settings, {
      // One that does not serve mprpc says so right behind its settings.
      onWelcome: () => process.nextTick(() => end(undefined)),
      onRoom: () => {},
      onGoingAway: (_session, why) =>
        end(why === messages.mprpcNotServed ? `${where} says: ${why}` : undefined),
      onClosed: (_connection, reason) =>
        end(`${where} closes the connection: ${reason ?? "without giving a reason"}`),
    });
  });
}
