import type { Address } from "../../base/address.js";
import { fillDeps } from "../deps.js";
import { linkTimes } from "../served/link.js";
import { type ServedDriver, ServedRegistry, type ServedRegistryOptions } from "../served/registry.js";
import { EtcdConnection } from "./connection.js";
import { KV } from "./gen/rpc.js";
import { listServices, rangeOf } from "./layout.js";
import { isDenied } from "./refusal.js";
import { EtcdRegistration } from "./registration.js";
import { EtcdService } from "./service.js";
import { etcdTransport } from "./transport.js";
import { etcdDefaultPrefix, etcdName } from "./url.js";

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

function etcdDriver(options: EtcdRegistryOptions): ServedDriver<EtcdService> {
  const { members, prefix = etcdDefaultPrefix, user, password = "" } = options;
  const deps = fillDeps(options);
  const { ttlMs, requestTimeoutMs, ...pings } = linkTimes(options.ttlMs);
  const folder = `/${prefix}/`;
  const connection = new EtcdConnection({
    ...{ addresses: members, folder, deps, ...pings },
    transport: etcdTransport(options),
    credentials: user === undefined ? undefined : { user, password },
  });
  const own = { connection, folder, requestTimeoutMs };
  return {
    name: etcdName(options),
    authenticated: user !== undefined,
    servers: members,
    ...{ link: connection, deps, ttlMs, isDenied },
    openService: (parts) => new EtcdService(parts, own),
    openRegistration: (parts) => new EtcdRegistration(parts, own),
    list: async () => {
      const { kvs } = await connection.call(KV.methods.range, rangeOf(folder), requestTimeoutMs);
      return listServices(folder, kvs);
    },
  };
}

/** The registry in etcd, which is spoken to in gRPC. Nothing is connected before the first use. */
export class EtcdRegistry extends ServedRegistry<EtcdService> {
  /** Throws RegistryError `invalid` when the files of `ca`, `cert` or `key` cannot be used. */
  constructor(options: EtcdRegistryOptions) {
    super(etcdDriver(options), options);
  }
}
