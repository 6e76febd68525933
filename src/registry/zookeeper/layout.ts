import { type Address, formatAddress, parseAddress } from "../../base/address.js";
import { shortServiceName } from "../registry.js";
import { hasCode } from "./connection.js";
import type { ZooKeeperSession } from "./session.js";

/**
 * /mprpc/<Service>/providers/<entry>                 ours, ephemeral: the name carries everything (see entry.ts)
 * /mprpc/<Service>/classic/<incarnation>-NNNNNNNNNN  ours, ephemeral: who writes the classic znodes
 * /<ShortName>                                       classic, persistent
 * /<ShortName>/<Method>                              classic, ephemeral: "ip:port"
 * /<ShortName>/<Method>/<instance>                   some forks, ephemeral under a persistent method: named "ip:port", or
 *                                                    with it as data
 */
export const rootPath = "/mprpc";

export const providersPath = (service: string): string => `${rootPath}/${service}/providers`;
export const electionPath = (service: string): string => `${rootPath}/${service}/classic`;
export const classicPath = (service: string): string => `/${shortServiceName(service)}`;

/** Short names whose classic path would be something else's. */
const takenNames: ReadonlySet<string> = new Set(["mprpc", "zookeeper"]);

export function hasClassicPath(service: string): boolean {
  return !takenNames.has(shortServiceName(service));
}

/** The C++ caller hands the host to `inet_addr`, which knows numeric IPv4 only. */
export function isNumericIPv4(host: string): boolean {
  return /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/.test(host);
}

/** The C++ caller reads it into 64 uninitialised bytes as a C string, so the NUL must be part of the data. */
export function encodeClassicAddress(address: Address): Buffer {
  return Buffer.from(`${formatAddress(address)}\0`);
}

/** Some forks pad with NULs; what is not `ipv4:port` is no provider. */
export function decodeClassicAddress(data: Buffer): Address | undefined {
  const end = data.indexOf(0);
  const address = parseAddress(data.toString("latin1", 0, end === -1 ? data.length : end));
  return address !== undefined && address.port > 0 && isNumericIPv4(address.host) ? address : undefined;
}

/** `undefined` instead of NO_NODE. */
export async function orMissing<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation;
  } catch (error) {
    if (hasCode(error, "NO_NODE")) return undefined;
    throw error;
  }
}

/** Creates the persistent znodes of `path` that are missing. Those under `/mprpc` belong to the holders of our credentials. */
export async function makePath(session: ZooKeeperSession, path: string): Promise<void> {
  if ((await session.exists("/")) === undefined) await session.createChroot();
  const parts = path.split("/").slice(1);
  const paths = parts.map((_, i) => `/${parts.slice(0, i + 1).join("/")}`);
  const missing = await firstMissing(session, paths);
  for (const one of paths.slice(missing)) {
    const access = one === rootPath || one.startsWith(`${rootPath}/`) ? "owned" : "open";
    try {
      await session.create(one, { access });
    } catch (error) {
      if (!hasCode(error, "NODE_EXISTS")) throw error;
    }
  }
}

/** Looks before it creates: without the right to create in a parent, even what exists is answered with NO_AUTH. */
async function firstMissing(session: ZooKeeperSession, paths: readonly string[]): Promise<number> {
  const stats = await Promise.all(paths.map((path) => session.exists(path)));
  const index = stats.indexOf(undefined);
  return index === -1 ? paths.length : index;
}

/** The child names of `path`, or none; the watch is left either way, also where no znode is yet. */
export async function watchChildren(session: ZooKeeperSession, path: string): Promise<string[]> {
  for (;;) {
    const names = await orMissing(session.children(path, true));
    if (names !== undefined) return names;
    // Created between the two: then the exists watch says nothing of children, so read again.
    if ((await session.exists(path, true)) === undefined) return [];
  }
}
