import { type Address, parseAddress } from "../base/address.js";
import { machineAndUser } from "../base/machine.js";

/** Of an endpoint with a network address: the unix socket it also listens on, and for whom that is of use. */
const unixAttribute = "unix";

/** What a provider publishes of its unix socket `unix:/path`. */
export function unixOffer(address: string): Record<string, string> {
  return { [unixAttribute]: `${machineAndUser()} ${address}` };
}

/** The unix socket of an endpoint, when a process of this machine and user has published it. */
export function offeredUnix(attributes: Readonly<Record<string, string>>): Address | undefined {
  const [machine, text = ""] = (attributes[unixAttribute] ?? "").split(" ");
  return machine === machineAndUser() ? parseAddress(text) : undefined;
}
