import { randomBytes } from "node:crypto";
import { Etcd, EtcdServer } from "./etcd.js";
import { findShared, type Shared } from "./shared.js";

/** For `share`. */
export async function startSharedEtcd(): Promise<Shared> {
  const server = await EtcdServer.start();
  return { found: server.port, close: () => server.stop() };
}

/** The etcd of the whole run, and a prefix that nobody else uses. Other test files are there at the same time. */
export async function sharedEtcd(): Promise<{ server: Etcd; prefix: string }> {
  const server = new Etcd(await findShared<number>("etcd"));
  return { server, prefix: `suite-${randomBytes(6).toString("hex")}` };
}
