import type { Address } from "../../base/address.js";
import type { ServedRegistryOptions } from "../served/registry.js";

export interface ConsulRegistryOptions extends ServedRegistryOptions {
  /** HTTP APIs of agents; at least one. One at a time is used, the first by chance. */
  agents: readonly Address[];
  /** Names in Consul begin with it and a `/`. Default: none. */
  prefix?: string | undefined;
  /** The ACL token. Default: none. */
  token?: string | undefined;
  /** Default: that of the agent. */
  datacenter?: string | undefined;
  /** HTTPS. Default false. */
  tls?: boolean | undefined;
  /** Certificates of the authorities to trust with `tls`, PEM. Default: the system's. */
  ca?: string | undefined;
  /** How long a silent provider stays listed, ms. Default 15,000. A provider renews three times in it. */
  ttlMs?: number | undefined;
}
