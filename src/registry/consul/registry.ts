import type { Address } from "../../base/address.js";
import { fillDeps } from "../deps.js";
import { linkTimes } from "../served/link.js";
import { type ServedDriver, ServedRegistry, type ServedRegistryOptions } from "../served/registry.js";
import { ConsulAgents } from "./agents.js";
import { isDenied } from "./answers.js";
import { ConsulCatalog } from "./catalog.js";
import { ConsulHttp } from "./http.js";
import { ConsulRegistration } from "./registration.js";
import { ConsulService } from "./service.js";
import { consulName } from "./url.js";

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

function consulDriver(options: ConsulRegistryOptions): ServedDriver<ConsulService> {
  const { agents: addresses, prefix, token, datacenter, tls = false, ca } = options;
  const deps = fillDeps(options);
  const { ttlMs, requestTimeoutMs, ...pings } = linkTimes(options.ttlMs);
  const http = new ConsulHttp({ clock: deps.clock, token, datacenter, tls, ca });
  const agents = new ConsulAgents({ addresses, http, deps, ...pings });
  const catalog = new ConsulCatalog({
    ...{ agents, deps, requestTimeoutMs },
    prefix: prefix === undefined ? "" : `${prefix}/`,
  });
  return {
    name: consulName(options),
    authenticated: token !== undefined,
    servers: addresses,
    ...{ link: agents, deps, ttlMs, isDenied },
    openService: (parts) => new ConsulService(parts, catalog),
    openRegistration: (parts) => new ConsulRegistration(parts, { catalog, agents, requestTimeoutMs }),
    list: () => catalog.list(),
    onServices: (count) => catalog.setReaders(count),
  };
}

/** The registry in Consul. Nothing is connected before the first use. */
export class ConsulRegistry extends ServedRegistry<ConsulService> {
  constructor(options: ConsulRegistryOptions) {
    super(consulDriver(options), options);
  }
}
