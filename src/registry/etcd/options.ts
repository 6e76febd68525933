import type { Address } from "../../base/address.js";
import type { ServedRegistryOptions } from "../served/registry.js";

export interface EtcdRegistryOptions extends ServedRegistryOptions {
  /** Client ports of members; at least one. One at a time is used, the first by chance. */
  members: readonly Address[];
  /** Keys begin with `/`, it and another `/`. Default `mprpc`. */
  prefix?: string | undefined;
  /** Who we are, where etcd has access control. Default: nobody. */
  user?: string | undefined;
  /** The password of `user`. */
  password?: string | undefined;
  /** TLS. Default false. */
  tls?: boolean | undefined;
  /** A file with certificates of the authorities to trust with `tls`, PEM. Default: Node's. */
  ca?: string | undefined;
  /** A file with our own certificate, PEM, for an etcd that asks for one; with `key`. */
  cert?: string | undefined;
  key?: string | undefined;
  /** How long a silent provider stays listed, ms, in whole seconds. Default 15,000; etcd itself takes no less than 2,000. A provider is heard three times in it. */
  ttlMs?: number | undefined;
}
