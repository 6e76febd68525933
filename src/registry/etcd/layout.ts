import { formatAddress } from "../../base/address.js";
import { decodeEntry, encodeEntry, isServiceName, type ProviderEntry, toEndpoint } from "../entry.js";
import type { Endpoint, ServiceListing } from "../registry.js";
import { orderEndpoints } from "../view.js";
import type { KeyValue } from "./gen/rpc.js";

/** One registration as etcd shows it. */
export interface EtcdInstance {
  key: string;
  entry: ProviderEntry;
  /** Of two instances of one address the one with the higher number came later. */
  createRevision: bigint;
}

/** All keys of a service begin with it; with `folder` for `/mprpc/` that is `/mprpc/fixbug.UserServiceRpc/`. */
export function serviceFolder(folder: string, service: string): string {
  return `${folder}${service}/`;
}

/** A key is one instance of one service of one start of a provider. */
export function instanceKey(folder: string, service: string, entry: ProviderEntry): string {
  return `${serviceFolder(folder, service)}${formatAddress(entry.address)}@${entry.incarnation}`;
}

export function instanceValue(entry: ProviderEntry): Buffer {
  return Buffer.from(encodeEntry(entry));
}

/** The keys that begin with `folder`, which ends in a `/`, as the two ends of a range. */
export function rangeOf(folder: string): { key: Buffer; rangeEnd: Buffer } {
  const rangeEnd = Buffer.from(folder);
  rangeEnd[rangeEnd.length - 1] = (rangeEnd.at(-1) ?? 0) + 1;
  return { key: Buffer.from(folder), rangeEnd };
}

/** `undefined` for what is no entry of ours. */
export function readInstance(kv: KeyValue): EtcdInstance | undefined {
  const entry = decodeEntry(Buffer.from(kv.value).toString("utf8"));
  if (entry === undefined) return undefined;
  return { key: Buffer.from(kv.key).toString("utf8"), entry, createRevision: kv.createRevision };
}

/** One endpoint for each address: of several instances of it the latest. */
export function newestEndpoints(instances: Iterable<EtcdInstance>): Endpoint[] {
  const newest = new Map<string, EtcdInstance>();
  for (const instance of instances) {
    const address = formatAddress(instance.entry.address);
    const before = newest.get(address);
    if (before === undefined || instance.createRevision > before.createRevision)
      newest.set(address, instance);
  }
  return [...newest.values()].map(({ entry }) => toEndpoint(entry));
}

/** Every service of ours among all keys of `folder`, and its endpoints. */
export function listServices(folder: string, kvs: readonly KeyValue[]): ServiceListing[] {
  const services = new Map<string, EtcdInstance[]>();
  for (const kv of kvs) {
    const instance = readInstance(kv);
    const [service = "", rest] = (instance?.key ?? "").slice(folder.length).split("/", 2);
    if (instance === undefined || rest === undefined || !isServiceName(service)) continue;
    services.set(service, [...(services.get(service) ?? []), instance]);
  }
  return [...services]
    .map(([service, instances]) => ({ service, endpoints: orderEndpoints(newestEndpoints(instances)) }))
    .sort((a, b) => (a.service < b.service ? -1 : 1));
}
