import { fillDeps } from "../deps.js";
import { linkTimes } from "../served/link.js";
import { type ServedDriver, ServedRegistry } from "../served/registry.js";
import { EtcdConnection } from "./connection.js";
import { KV } from "./gen/rpc.js";
import { listServices, rangeOf } from "./layout.js";
import type { EtcdRegistryOptions } from "./options.js";
import { isDenied } from "./refusal.js";
import { EtcdRegistration } from "./registration.js";
import { EtcdService } from "./service.js";
import { etcdTransport } from "./transport.js";
import { etcdDefaultPrefix, etcdName } from "./url.js";

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
