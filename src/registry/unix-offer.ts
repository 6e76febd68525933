import { type Address, parseAddress } from "../base/address.js";
import { machineAndUser } from "../base/machine.js";

/** The unix socket of an endpoint with a network address, and the machine and user that can use it. */
const unixAttribute = "unix";

/** The attribute a provider publishes for its unix socket `unix:/path`. */
export function unixOffer(address: string): Record<string, string> {
  return { [unixAttribute]: `${machineAndUser()} ${address}` };
}

/** The unix socket of an endpoint, when a process of this machine and user has published it. */
export function offeredUnix(attributes: Readonly<Record<string, string>>): Address | undefined {
  const [machine, text = ""] = (attributes[unixAttribute] ?? "").split(" ");
  return machine === machineAndUser() ? parseAddress(text) : undefined;
}
