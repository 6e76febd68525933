import { tlsTransport } from "../../transport/tls/tls-transport.js";
import type { Transport } from "../../transport/transport.js";
import { fillDeps } from "../deps.js";
import { RegistryError, reasonOf } from "../errors.js";
import type { EtcdRegistryOptions } from "./options.js";
import { etcdName } from "./url.js";

/** TCP, secured if `tls` says so. Throws RegistryError `invalid` when the files of `ca`, `cert` or `key` cannot be used. */
export function etcdTransport(options: EtcdRegistryOptions): Transport {
  const { tls = false, ca, cert, key } = options;
  const { clock, log } = fillDeps(options);
  try {
    return tlsTransport({ clock, log }, tls ? { mode: "required", ca, cert, key } : {});
  } catch (error) {
    throw new RegistryError("invalid", `registry ${etcdName(options)}: ${reasonOf(error)}`, error);
  }
}
