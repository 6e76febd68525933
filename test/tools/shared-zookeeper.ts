import { randomBytes } from "node:crypto";
import { findShared, type Shared } from "./shared.js";
import { ZooKeeper, ZooKeeperServer } from "./zookeeper.js";

/** For `share`. */
export async function startSharedZooKeeper(): Promise<Shared> {
  const server = await ZooKeeperServer.start();
  return { found: server.port, close: () => server.stop() };
}

/** The ZooKeeper of the whole run, and a path that nobody else uses. Other test files are there at the same time. */
export async function sharedZooKeeper(): Promise<{ server: ZooKeeper; chroot: string }> {
  const server = new ZooKeeper(await findShared<number>("zookeeper"));
  return { server, chroot: `/suite-${randomBytes(6).toString("hex")}` };
}
