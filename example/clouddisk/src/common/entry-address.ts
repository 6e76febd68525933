import type { FastifyInstance } from "fastify";
import { formatAddress } from "mprpc";
import type { Host } from "./part.js";

/** Where browsers reach the HTTP server of a service. */
export interface EntryAddress {
  /** Told by `routes()`: the server they are on. */
  servedBy(http: FastifyInstance): void;
  /** `http://host:port`; empty when it is the gateway's own server, under whatever name that is reached. */
  url(): string;
  /** The same, never empty: for clients of other nodes. */
  reachable(): string;
}

export function entryAddress({ services, settings }: Host, service: "upload" | "download"): EntryAddress {
  let server: FastifyInstance["server"] | undefined;
  const reachable = (): string => {
    const { publicUrl } = settings[service];
    if (publicUrl !== undefined) return publicUrl;
    const bound = server?.address();
    if (bound === null || bound === undefined || typeof bound === "string") {
      throw new Error(`${service} listens on no port`);
    }
    // Nobody can connect to "all interfaces"; with several machines publicurl says the name.
    const { host } = settings[services.includes("apigw") ? "apigw" : service];
    const address = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
    return `http://${formatAddress({ host: address, port: bound.port })}`;
  };
  return {
    servedBy(http) {
      server = http.server;
    },
    url: () => {
      const own = settings[service].publicUrl === undefined && services.includes("apigw");
      return own ? "" : reachable();
    },
    reachable,
  };
}
