import { ZooKeeperServer } from "../../../../test/tools/zookeeper.js";
import { MariadbServer } from "./mariadb.js";
import { RedisServer } from "./redis.js";
import { SwiftServer } from "./swift.js";

export const serverNames = ["ZooKeeper", "MariaDB", "Redis", "Swift"] as const;
export type ServerName = (typeof serverNames)[number];

/** A server that can go down and come up again, with its data. */
export interface Outage {
  down(): Promise<void>;
  up(): Promise<void>;
}

/** Real ZooKeeper, MariaDB, Redis and Swift, on free ports and temp folders. */
export class ProductionServers {
  readonly swift: SwiftServer;
  readonly #zookeeper: ZooKeeperServer;
  readonly #mariadb: MariadbServer;
  readonly #redis: RedisServer;
  readonly #databaseUrl: string;

  private constructor(
    [zookeeper, mariadb, redis, swift]: [ZooKeeperServer, MariadbServer, RedisServer, SwiftServer],
    databaseUrl: string,
  ) {
    this.#zookeeper = zookeeper;
    this.#mariadb = mariadb;
    this.#redis = redis;
    this.swift = swift;
    this.#databaseUrl = databaseUrl;
  }

  static async start(): Promise<ProductionServers> {
    const servers = await Promise.all([
      ZooKeeperServer.start(),
      MariadbServer.start(),
      RedisServer.start(),
      SwiftServer.start(),
    ]);
    return new ProductionServers(servers, await servers[1].createDatabase());
  }

  /** The keys of a conf that name them. */
  conf(): Record<string, string> {
    return {
      broker: `${this.#redis.url}?prefix=clouddisk`,
      registry: `zookeeper://${this.#zookeeper.address}/clouddisk?session=6s`,
      // Several machines in one network, and no secrets in the conf.
      "clouddisk.callers": "any",
      "database.url": this.#databaseUrl,
      "progress.url": this.#redis.url,
      ...this.swift.conf("clouddisk"),
    };
  }

  /** How each of them is ended, as if its machine had lost power, and started again. */
  outage(name: ServerName): Outage {
    const zookeeper = this.#zookeeper;
    if (name === "ZooKeeper") return { down: () => zookeeper.kill(), up: () => zookeeper.start() };
    const server = { MariaDB: this.#mariadb, Redis: this.#redis, Swift: this.swift }[name];
    return { down: () => server.end("SIGKILL"), up: () => server.restart() };
  }

  async close(): Promise<void> {
    const others = [this.#mariadb, this.#redis, this.swift];
    await Promise.all([this.#zookeeper.stop(), ...others.map((one) => one.close())]);
  }
}
