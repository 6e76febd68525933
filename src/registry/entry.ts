import { type Address, formatAddress, isReachable, parseAddress, schemeOf } from "../base/address.js";
import { RegistryError } from "./errors.js";
import type { Endpoint, Registration } from "./registry.js";

/** One provider's registration as it is stored. */
export interface ProviderEntry {
  address: Address;
  weight: number;
  /** When the provider registered, ms since the Unix epoch. Informative only: clocks may step back, so nothing depends on it. */
  startedAtMs: number;
  /** Distinguishes two registrations of one address. */
  incarnation: string;
  /** Registrations of one address with the same group do not replace each other. */
  group?: string;
  attributes: Readonly<Record<string, string>>;
}

/** Reserved keys of the query part; `version` is so common that it is written as `v`. */
const weightKey = "w";
const startedKey = "t";
const incarnationKey = "i";
const versionKey = "v";
const groupKey = "g";
const reservedKeys: ReadonlySet<string> = new Set([
  weightKey,
  startedKey,
  incarnationKey,
  versionKey,
  groupKey,
]);

/** An entry is one znode name, and a list of them must fit ZooKeeper's 1 MiB packet even for a thousand providers. */
const entryMaxChars = 1000;
const weightMax = 1_000_000;
const namePattern = /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$/;
/** Leaves room for the registry's own suffixes within the 255 bytes file systems allow a name. */
const nameMaxChars = 200;
const attributeKeyPattern = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;

/** Whether `text` can be a full service name or a method name. */
export function isServiceName(text: string): boolean {
  return text.length <= nameMaxChars && namePattern.test(text);
}

/** Whether the weight is usable: with an infinite one the other endpoints would get no calls. */
export function isWeight(weight: number): boolean {
  return weight > 0 && weight <= weightMax;
}

export function isGroup(group: unknown): group is string {
  return typeof group === "string" && /^[\w-]{1,64}$/.test(group);
}

/** Throws RegistryError `invalid` unless `service` is a protobuf full name. */
export function checkServiceName(service: string): void {
  if (isServiceName(service)) return;
  throw new RegistryError(
    "invalid",
    `service name ${JSON.stringify(service)} is not valid: parts of A-Z, a-z, 0-9 and "_" joined by ".", at most ${nameMaxChars} characters`,
  );
}

/** Throws RegistryError `invalid` for a registration no driver can publish. */
export function checkRegistration(registration: Registration): void {
  const { service, methods, address, weight = 1, attributes = {}, group = "g" } = registration;
  checkServiceName(service);
  const fail = (text: string) => new RegistryError("invalid", `cannot register ${service}: ${text}`);
  for (const method of methods) {
    if (!isServiceName(method)) throw fail(`method name ${JSON.stringify(method)} is not valid`);
  }
  const hasPort = schemeOf(address) === "tcp";
  if (hasPort && (address.port < 1 || address.port > 65_535 || !Number.isInteger(address.port))) {
    throw fail(`port ${address.port} is not one callers can connect to (1..65535)`);
  }
  if (parseAddress(formatAddress(address)) === undefined) {
    throw fail(`host ${JSON.stringify(address.host)} is not a host name or a numeric address`);
  }
  if (/^(0\.0\.0\.0|[0:]*:[0:]*)$/.test(address.host)) {
    throw fail(
      `${formatAddress(address)} is a wildcard that callers cannot connect to; set advertiseaddress to one they can`,
    );
  }
  if (!isGroup(group)) throw fail(`group ${JSON.stringify(group)} is not 1 to 64 of A-Z, a-z, 0-9, "_", "-"`);
  if (!isWeight(weight)) throw fail(`weight ${weight} is outside 0 < weight <= ${weightMax}`);
  for (const [key, value] of Object.entries(attributes)) {
    if (!attributeKeyPattern.test(key) || reservedKeys.has(key)) {
      throw fail(
        `attribute ${JSON.stringify(key)} is not valid: 1 to 64 of A-Z, a-z, 0-9, "_", ".", "-"; not ${[...reservedKeys].join(", ")}`,
      );
    }
    if (typeof value !== "string") throw fail(`attribute ${key} is not a string`);
  }
}

/** The entry of a checked registration. Throws RegistryError `invalid` when its attributes are too long together. */
export function makeEntry(
  registration: Registration,
  incarnation: string,
  startedAtMs: number,
): ProviderEntry {
  const { address, weight = 1, attributes = {}, group } = registration;
  const entry: ProviderEntry = { address, weight, startedAtMs, incarnation, attributes };
  if (group !== undefined) entry.group = group;
  const chars = encodeEntry(entry).length;
  if (chars > entryMaxChars) {
    throw new RegistryError(
      "invalid",
      `cannot register ${registration.service}: its entry is ${chars} characters long, the limit is ${entryMaxChars}; shorten its attributes`,
    );
  }
  return entry;
}

/** `encodeURIComponent("ip:port?w=1&t=<start>&i=<incarnation>&v=...")`: all that consumers need, in the name of a znode. */
export function encodeEntry({
  address,
  weight,
  startedAtMs,
  incarnation,
  group,
  attributes,
}: ProviderEntry): string {
  const query = new URLSearchParams([
    [weightKey, String(weight)],
    [startedKey, String(startedAtMs)],
    [incarnationKey, incarnation],
  ]);
  if (group !== undefined) query.append(groupKey, group);
  for (const [key, value] of Object.entries(attributes)) {
    query.append(key === "version" ? versionKey : key, value);
  }
  return encodeURIComponent(`${formatAddress(address)}?${query}`);
}

/** `undefined` for a name that is not an entry, or lacks required parts. */
export function decodeEntry(name: string): ProviderEntry | undefined {
  let text: string;
  try {
    text = decodeURIComponent(name);
  } catch {
    return undefined;
  }
  const [host = "", search = ""] = text.split(/\?(.*)/s);
  const address = parseAddress(host);
  const query = new URLSearchParams(search);
  const weight = Number(query.get(weightKey) ?? 1);
  const incarnation = query.get(incarnationKey) ?? "";
  if (address === undefined || !isReachable(address) || incarnation === "" || !isWeight(weight))
    return undefined;
  const attributes: Record<string, string> = {};
  for (const [key, value] of query) {
    if (key === versionKey) attributes.version = value;
    else if (!reservedKeys.has(key)) attributes[key] = value;
  }
  const startedAtMs = Number(query.get(startedKey) ?? 0);
  const entry: ProviderEntry = { address, weight, startedAtMs, incarnation, attributes };
  const group = query.get(groupKey);
  if (isGroup(group)) entry.group = group;
  return entry;
}

/** Whether the two share their address: neither replaces the other. */
export function isSameGroup(a: ProviderEntry, b: ProviderEntry): boolean {
  return a.group !== undefined && a.group === b.group;
}

/** Callers see a group as one instance, whichever of its members are registered. */
export function toEndpoint({ address, weight, incarnation, group, attributes }: ProviderEntry): Endpoint {
  const { host, port } = address;
  const protocol = attributes.protocol === "grpc" ? "grpc" : "mprpc";
  return { host, port, protocol, weight, incarnation: group ?? incarnation, attributes };
}

/** 64 random bits as hex: unique among the providers of a cluster. */
export function makeIncarnation(random: () => number): string {
  const half = () =>
    Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, "0");
  return half() + half();
}
