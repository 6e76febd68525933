import { type Address, formatAddress } from "../../src/base/address.js";
import { StaticRegistry } from "../../src/registry/static.js";

/** The registry of a caller that knows its provider's address itself. */
export function staticTo(address: Address | undefined): StaticRegistry {
  return new StaticRegistry(`static://${formatAddress(address as Address)}`);
}
