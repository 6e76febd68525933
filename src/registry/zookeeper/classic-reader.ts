import { type Address, formatAddress } from "../../base/address.js";
import { isServiceName } from "../entry.js";
import type { Endpoint } from "../registry.js";
import { decodeClassicAddress, orMissing, watchChildren } from "./layout.js";
import type { ZooKeeperSession } from "./session.js";

/** Instances of one method that are read; far beyond any fleet; it bounds the cost of a foreign tree. */
const instancesMax = 1000;

/** The C++ providers under `/<ShortName>`, one endpoint per address with the methods it is named for. */
export async function readClassic(
  session: ZooKeeperSession,
  path: string,
  watch: boolean,
): Promise<Endpoint[]> {
  const methods = (await childNames(session, path, watch)).filter(isServiceName).sort();
  const addresses = await Promise.all(
    methods.map((method) => readMethod(session, `${path}/${method}`, watch)),
  );
  const found = new Map<string, Endpoint & { methods: string[] }>();
  for (const [i, method] of methods.entries()) {
    for (const address of addresses[i] ?? []) {
      const key = formatAddress(address);
      const endpoint = found.get(key) ?? {
        ...{ ...address, protocol: "classic" as const, weight: 1, attributes: {}, methods: [] },
      };
      if (endpoint.methods.at(-1) !== method) endpoint.methods.push(method);
      found.set(key, endpoint);
    }
  }
  return [...found.values()];
}

/** The address in the znode of a method; in one that is persistent also those of its children, as some forks write them. */
async function readMethod(session: ZooKeeperSession, path: string, watch: boolean): Promise<Address[]> {
  const node = await orMissing(session.getData(path, watch));
  if (node === undefined) return [];
  const own = decodeClassicAddress(node.data);
  if (node.stat.ephemeralOwner !== 0n) return own === undefined ? [] : [own];
  const names = (await childNames(session, path, watch)).sort().slice(0, instancesMax);
  const instances = await Promise.all(names.map((name) => readInstance(session, `${path}/${name}`, watch)));
  return [own, ...instances].filter((address) => address !== undefined);
}

/** A child is named `ip:port`, or holds it. */
async function readInstance(
  session: ZooKeeperSession,
  path: string,
  watch: boolean,
): Promise<Address | undefined> {
  const named = decodeClassicAddress(Buffer.from(path.slice(path.lastIndexOf("/") + 1)));
  if (named !== undefined) return named;
  const node = await orMissing(session.getData(path, watch));
  return node === undefined ? undefined : decodeClassicAddress(node.data);
}

async function childNames(session: ZooKeeperSession, path: string, watch: boolean): Promise<string[]> {
  return watch ? watchChildren(session, path) : ((await orMissing(session.children(path))) ?? []);
}
