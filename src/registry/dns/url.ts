import type { Address } from "../../base/address.js";
import { parseDurationMs } from "../../values/duration.js";
import { parseHostAndPort, parsePeer } from "../../values/hosts.js";
import { redactUrl } from "../../values/url-text.js";
import { isServiceName } from "../entry.js";
import { RegistryError } from "../errors.js";
import { anyService, endpointKind } from "../static.js";
import type { DnsName, DnsResolverOptions } from "./resolver.js";

export const dnsForms =
  "dns://name:port, dns:///name:port or dns://Service=name:port,Other=name:port, with ?refresh=30s, ?server=127.0.0.1:53, ?srv=1 (then without ports), ?tls=required, ?protocol=grpc or ?protocol=classic and &dialect=";

const refreshMinMs = 100;

/** Whether `url` could be one. */
export function isDnsUrl(url: string): boolean {
  return /^dns:\/\/\/?[^/?]+/.test(url);
}

/** What the URL says over `options`. Throws RegistryError `invalid`. */
export function dnsOptions(url: string, options: Omit<DnsResolverOptions, "names">): DnsResolverOptions {
  const fail = (text: string) =>
    new RegistryError("invalid", `registry ${JSON.stringify(redactUrl(url))}: ${text}; allowed: ${dnsForms}`);
  const [, list = "", search = ""] = /^dns:\/\/\/?([^/?]*)\/?(?:\?(.*))?$/s.exec(url) ?? [];
  if (list === "") throw fail("it names nothing to look up; the name server is given as server=host:port");
  const query = new URLSearchParams(search);
  const known = ["refresh", "server", "srv", "tls", "protocol", "dialect"];
  const unknown = [...query.keys()].find((key) => !known.includes(key));
  if (unknown !== undefined)
    throw fail(`unknown option ${JSON.stringify(unknown)} (known: ${known.join(", ")})`);
  const srv = query.get("srv") ?? "0";
  if (srv !== "0" && srv !== "1") throw fail(`srv=${srv} is not 0 or 1`);
  const { protocol, attributes } = endpointKind(query, fail);
  const tls = query.get("tls");
  if (tls !== null && tls !== "required" && tls !== "optional")
    throw fail(`tls=${tls} is not required or optional`);
  const result: DnsResolverOptions = {
    ...options,
    names: readNames(list, srv === "1", fail),
    srv: srv === "1",
    // A zone cannot say that its servers speak TLS, and a channel that wants TLS calls no others.
    kind: { protocol, attributes: tls === null ? attributes : { ...attributes, tls } },
  };
  const refresh = query.get("refresh");
  if (refresh !== null) {
    const refreshMs = parseDurationMs(refresh);
    if (refreshMs === undefined || refreshMs < refreshMinMs)
      throw fail(`refresh=${refresh} is not a time of ${refreshMinMs}ms or more`);
    result.refreshMs = refreshMs;
  }
  const server = query.get("server");
  if (server !== null) result.server = readServer(server, fail);
  return result;
}

function readNames(
  list: string,
  srv: boolean,
  fail: (text: string) => RegistryError,
): ReadonlyMap<string, DnsName> {
  const names = new Map<string, DnsName>();
  for (const item of list.split(",")) {
    const [, service = anyService, text = ""] = /^(?:([^=]*)=)?(.*)$/s.exec(item.trim()) ?? [];
    if (service !== anyService && !isServiceName(service))
      throw fail(`${JSON.stringify(service)} is not a service name`);
    if (names.has(service)) {
      const whose = service === anyService ? "every service" : service;
      throw fail(`${whose} has two names; one name has all its instances`);
    }
    const name = parseHostAndPort(text);
    if (name === undefined) throw fail(`${JSON.stringify(text)} is not ${srv ? "a name" : "name:port"}`);
    if (srv && name.port !== undefined)
      throw fail(`with srv=1 the port comes from the SRV records: write ${name.host}`);
    if (!srv && name.port === undefined)
      throw fail(`${JSON.stringify(text)} has no port; with srv=1 it comes from the SRV records`);
    names.set(service, { host: name.host, port: name.port ?? 0 });
  }
  return names;
}

function readServer(text: string, fail: (text: string) => RegistryError): Address {
  const server = parsePeer(text) ?? parsePeer(`${text}:53`);
  if (server === undefined || !/^[\d.]+$|:/.test(server.host))
    throw fail(`server=${text} is not the numeric address of a name server, such as 127.0.0.1:53`);
  return server;
}
