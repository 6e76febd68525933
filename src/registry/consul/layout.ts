import { formatAddress } from "../../base/address.js";
import type { ProtocolName } from "../../call/peer.js";
import { isHost } from "../../values/hosts.js";
import { decodeEntry, encodeEntry, isWeight, type ProviderEntry, toEndpoint } from "../entry.js";
import type { Endpoint } from "../registry.js";

/** The tags of services that mprpc callers can call; services with neither belong to other programs. */
const protocolTags: readonly ProtocolName[] = ["mprpc", "classic"];
/** The entry is stored in these values of Meta: Consul allows 512 characters in one. */
const entryKeys = ["mprpc-entry", "mprpc-entry-2"] as const;
const metaMaxChars = 512;
/** What Consul allows as a weight. */
const consulWeightMax = 65_535;
/** A service that stays critical for longer is removed by Consul; it takes no shorter time. */
const reapAfter = "1m";

/** One instance of a service as the catalog shows it. */
export interface ConsulInstance {
  id: string;
  endpoint: Endpoint;
  /** Of those that mprpc registered. */
  entry: ProviderEntry | undefined;
  /** Of two instances of one address the one with the higher number is newer. */
  createIndex: number;
  /**
   * `agent-lost`: its agent is no longer reachable, and last reported it as passing. `critical`: it is not passing,
   * such as a provider that did not renew within its ttl.
   */
  health: "passing" | "agent-lost" | "critical";
}

/** The check that every agent has of itself. */
const agentCheckId = "serfHealth";

/** `prefix/fixbug.UserServiceRpc`: the name in Consul, and of its rules. */
export function consulName(prefix: string, service: string): string {
  return prefix + service;
}

/** An id is one instance of one service of one start of a provider; the same at whichever agent. */
export function consulId(prefix: string, service: string, entry: ProviderEntry): string {
  return `${consulName(prefix, service)}@${formatAddress(entry.address)}@${entry.incarnation}`;
}

/** The request body to register at an agent. */
export function consulRegistration(
  prefix: string,
  service: string,
  entry: ProviderEntry,
  ttlMs: number,
): object {
  const { address, weight, attributes } = entry;
  const encoded = encodeEntry(entry);
  const id = consulId(prefix, service, entry);
  const { version } = attributes;
  return {
    ID: id,
    Name: consulName(prefix, service),
    Address: address.host,
    Port: address.port,
    Tags: ["mprpc"],
    Meta: {
      [entryKeys[0]]: encoded.slice(0, metaMaxChars),
      ...(encoded.length > metaMaxChars ? { [entryKeys[1]]: encoded.slice(metaMaxChars) } : {}),
      // Informative; callers read the entry.
      ...(version === undefined ? {} : { version: version.slice(0, metaMaxChars) }),
    },
    Weights: { Passing: Math.min(consulWeightMax, Math.max(1, Math.round(weight))), Warning: 1 },
    Check: {
      CheckID: id,
      Name: "mprpc provider is alive",
      TTL: `${ttlMs}ms`,
      Status: "passing",
      DeregisterCriticalServiceAfter: reapAfter,
    },
  };
}

/** Whether the tags of a service in the catalog say that callers of ours can call it. */
export function isCallable(tags: unknown): boolean {
  return Array.isArray(tags) && protocolTags.some((tag) => tags.includes(tag));
}

interface HealthRow {
  Node?: { Address?: unknown };
  Service?: {
    ID?: unknown;
    Address?: unknown;
    Port?: unknown;
    Tags?: unknown;
    Meta?: Readonly<Record<string, unknown>> | null;
    Weights?: { Passing?: unknown } | null;
    CreateIndex?: unknown;
  };
  Checks?: unknown;
}

/** The instances of an answer of `health/service`; other programs' are ignored. */
export function readInstances(rows: unknown): ConsulInstance[] {
  if (!Array.isArray(rows)) throw new Error("it does not answer with a list of instances");
  return rows.flatMap((row: HealthRow | null) => {
    const instance = row === null || typeof row !== "object" ? undefined : readInstance(row);
    return instance === undefined ? [] : [instance];
  });
}

function readHealth(checks: unknown): ConsulInstance["health"] {
  const failing = (Array.isArray(checks) ? checks : []).filter(
    (check: { Status?: unknown } | null) => check?.Status !== "passing",
  );
  if (failing.length === 0) return "passing";
  return failing.every((check: { CheckID?: unknown } | null) => check?.CheckID === agentCheckId)
    ? "agent-lost"
    : "critical";
}

function readInstance({
  Node: node,
  Service: service,
  Checks: checks,
}: HealthRow): ConsulInstance | undefined {
  if (service === undefined || typeof service.ID !== "string" || !isCallable(service.Tags)) return undefined;
  const meta = service.Meta ?? {};
  const encoded = entryKeys.map((key) => (typeof meta[key] === "string" ? meta[key] : "")).join("");
  const entry = encoded === "" ? undefined : decodeEntry(encoded);
  const endpoint = entry === undefined ? readForeign(service, node?.Address) : toEndpoint(entry);
  if (endpoint === undefined) return undefined;
  const createIndex = Number(service.CreateIndex ?? 0);
  return { id: service.ID, endpoint, entry, createIndex, health: readHealth(checks) };
}

/** An instance registered by hand: its tag is its protocol. */
function readForeign(service: NonNullable<HealthRow["Service"]>, nodeAddress: unknown): Endpoint | undefined {
  const host = service.Address === "" || service.Address === undefined ? nodeAddress : service.Address;
  const { Port: port, Tags: tags } = service;
  if (typeof host !== "string" || !isHost(host)) return undefined;
  if (typeof port !== "number" || port < 1 || port > 65_535) return undefined;
  const protocol = protocolTags.find((tag) => Array.isArray(tags) && tags.includes(tag));
  const given = Number(service.Weights?.Passing ?? 1);
  const attributes = Object.fromEntries(
    Object.entries(service.Meta ?? {}).filter(
      (pair): pair is [string, string] => typeof pair[1] === "string",
    ),
  );
  return { host, port, protocol: protocol ?? "mprpc", weight: isWeight(given) ? given : 1, attributes };
}

/** One endpoint for each address that passes: of several instances of it the latest. */
export function newestEndpoints(instances: readonly ConsulInstance[]): Endpoint[] {
  const newest = new Map<string, ConsulInstance>();
  for (const instance of instances) {
    if (instance.health !== "passing") continue;
    const address = formatAddress(instance.endpoint);
    const before = newest.get(address);
    if (before === undefined || instance.createIndex > before.createIndex) newest.set(address, instance);
  }
  return [...newest.values()].map(({ endpoint }) => endpoint);
}
