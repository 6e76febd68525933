import type { BrokerDriver, DriverDeps } from "../driver.js";
import { loadPeer } from "../load-peer.js";
import {
  type BrokerUrl,
  countOption,
  durationOption,
  passwordOf,
  prefixOption,
  type UrlForm,
} from "../url.js";
import type { RedisSettings } from "./driver.js";

export const redisForm: UrlForm = {
  form: "redis://host:6379/0, with ?prefix=mprpc, ?user=NAME, ?passwordfile=/FILE, ?keep=0 and ?maxlen=N",
  defaultPort: 6379,
  options: ["prefix", "user", "passwordfile", "keep", "maxlen"],
};

/** Throws RpcError INVALID_ARGUMENT for a URL that cannot work. */
export function openRedis(url: BrokerUrl): (deps: DriverDeps) => Promise<BrokerDriver> {
  const [server, second] = url.servers;
  if (server === undefined) throw url.fail("the server is missing");
  if (second !== undefined) throw url.fail("one server, the primary");
  const database = url.path === "" ? "0" : url.path;
  if (!/^\d{1,5}$/.test(database)) throw url.fail(`${JSON.stringify(database)} is no number of a database`);
  const settings: RedisSettings = {
    name: url.shown,
    ...{ host: server.host, port: server.port, database: Number(database) },
    user: url.options.get("user"),
    prefix: prefixOption(url, "mprpc"),
    keepMs: durationOption(url, "keep") ?? 0,
    maxLength: countOption(url, "maxlen", 1),
  };
  return async (deps) => {
    const password = passwordOf(url, deps);
    const { Redis } = await loadPeer(url.shown, "ioredis", () => import("ioredis"));
    const { RedisDriver } = await import("./driver.js");
    return new RedisDriver(Redis, { ...settings, password }, deps);
  };
}
