import type { Address } from "../../base/address.js";
import type { RegistryDeps } from "../deps.js";
import type { Connect } from "./connection.js";

export interface ZooKeeperRegistryOptions extends RegistryDeps {
  /** At least one; each connection goes to the next of them, in random order. */
  servers: readonly Address[];
  /** All paths are under it, e.g. `/team/app`; created when missing. Default: none. */
  chroot?: string | undefined;
  /** `user:password`: only its holders can then change our znodes (ZooKeeper's digest scheme). */
  auth?: string | undefined;
  /**
   * How long a silent provider stays listed, ms. Default 10,000: longer outlives more pauses and network trouble,
   * shorter drops a killed provider sooner. The server's limits apply (usually 4,000 to 40,000).
   */
  sessionTimeoutMs?: number | undefined;
  /** How long `register` and `list` wait for ZooKeeper, ms. Default 10,000. */
  startTimeoutMs?: number | undefined;
  /** How long an empty list is ignored after a non-empty one, ms. Default 0: used at once. */
  emptyGraceMs?: number | undefined;
  /** Where the last good lists are kept for a start without ZooKeeper; false: nowhere. Default `~/.cache/mprpc`. */
  snapshotFolder?: string | false | undefined;
  /** The ZooKeeper client; default node-zookeeper-client. */
  connect?: Connect | undefined;
}
