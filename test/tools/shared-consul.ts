import { randomBytes } from "node:crypto";
import { Consul, ConsulServer } from "./consul.js";
import { findShared, type Shared } from "./shared.js";

/** For `share`. */
export async function startSharedConsul(): Promise<Shared> {
  const server = await ConsulServer.start();
  return { found: server.port, close: () => server.stop() };
}

/** The Consul of the whole run, and a prefix that nobody else uses. Other test files are there at the same time. */
export async function sharedConsul(): Promise<{ server: Consul; prefix: string }> {
  const server = new Consul(await findShared<number>("consul"));
  return { server, prefix: `suite-${randomBytes(6).toString("hex")}` };
}
