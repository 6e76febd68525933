import { fillDeps } from "../deps.js";
import { linkTimes } from "../served/link.js";
import { type ServedDriver, ServedRegistry } from "../served/registry.js";
import { ConsulAgents } from "./agents.js";
import { isDenied } from "./answers.js";
import { ConsulCatalog } from "./catalog.js";
import { ConsulHttp } from "./http.js";
import type { ConsulRegistryOptions } from "./options.js";
import { ConsulRegistration } from "./registration.js";
import { ConsulService } from "./service.js";
import { consulName } from "./url.js";

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
