import { formatAddress } from "../base/address.js";
import { parsePeer } from "../values/hosts.js";
import { type ConfigProblem, quoteFound } from "./config-error.js";

/** Our keys by what forks of the classic framework call them, without case, `_` and `-`. */
const forkNames: ReadonlyMap<string, string> = new Map([
  ["rpcserverip", "rpcserverip"],
  ["rpcserverport", "rpcserverport"],
  ["rpcip", "rpcserverip"],
  ["rpcport", "rpcserverport"],
  ["zookeeperip", "zookeeperip"],
  ["zookeeperport", "zookeeperport"],
  ["zkip", "zookeeperip"],
  ["zkport", "zookeeperport"],
]);

/** The key of ours that forks spell `rpcserver_ip`, `rpcServerIp`, `zookeeper_ip` or `zkIp`, for instance. */
export function nameInFork(key: string): string | undefined {
  return forkNames.get(key.toLowerCase().replaceAll(/[_-]/g, ""));
}

const nodePattern = /^node(\d{1,4})[_-]?(ip|port)$/i;

interface NodeEntry {
  readonly key: string;
  readonly text: string;
  readonly file: string;
  readonly line: number;
  /** File and line. */
  readonly where: string;
}

/** Providers that a conf lists one by one, as forks without a registry do: `node0ip=`, `node0port=`, `node1ip=` and so on. */
export class NodeList {
  readonly #nodes = new Map<number, { ip?: NodeEntry; port?: NodeEntry }>();

  /** False when it is none of them; the place of an earlier one that it replaces. */
  take(entry: NodeEntry): boolean | { readonly replaces: string } {
    const [, number = "", field] = nodePattern.exec(entry.key) ?? [];
    if (field === undefined) return false;
    const node = this.#nodes.get(Number(number)) ?? {};
    const which = field.toLowerCase() === "ip" ? "ip" : "port";
    const before = node[which];
    node[which] = entry;
    this.#nodes.set(Number(number), node);
    return before === undefined ? true : { replaces: before.where };
  }

  get first(): NodeEntry | undefined {
    const [first] = this.#nodes.values();
    return first?.ip ?? first?.port;
  }

  /**
   * The registry they mean: fixed addresses, on the classic wire, which providers of either kind answer. `problems` are
   * nodes that have no address.
   */
  toRegistry(): { url: string; problems: ConfigProblem[] } {
    const addresses: string[] = [];
    const problems: ConfigProblem[] = [];
    for (const [, { ip, port }] of [...this.#nodes].sort(([a], [b]) => a - b)) {
      const host = ip?.text.includes(":") ? `[${ip.text}]` : ip?.text;
      const address = parsePeer(`${host}:${port?.text}`);
      if (ip !== undefined && port !== undefined && address !== undefined) {
        addresses.push(formatAddress(address));
        continue;
      }
      const { key = "", file = "", line = 0, where = "" } = ip ?? port ?? {};
      const [ipFound, portFound] = [ip, port].map((one) =>
        one === undefined ? "none" : quoteFound(one.text),
      );
      const expected = "an address, and its port, of the same number";
      problems.push({ where, file, line, key, expected, found: `${ipFound} and ${portFound}` });
    }
    return { url: `static://${addresses.join(",")}?protocol=classic`, problems };
  }
}
