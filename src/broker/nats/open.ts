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
import type { NatsSettings } from "./driver.js";

export const natsForm: UrlForm = {
  form: "nats://host:4222,host:4222, with ?prefix=mprpc, ?user=NAME, ?passwordfile=/FILE, ?maxage=7d, ?maxlen=N and ?replicas=1",
  defaultPort: 4222,
  options: ["prefix", "user", "passwordfile", "maxage", "maxlen", "replicas"],
};

const week = 7 * 24 * 3_600_000;

/** Throws RpcError INVALID_ARGUMENT for a URL that cannot work. */
export function openNats(url: BrokerUrl): (deps: DriverDeps) => Promise<BrokerDriver> {
  if (url.servers.length === 0) throw url.fail("the server is missing");
  if (url.path !== "") throw url.fail("there is nothing behind the servers");
  const prefix = prefixOption(url, "mprpc");
  if (prefix === "") throw url.fail("prefix= is empty, and subjects need one");
  const settings: NatsSettings = {
    name: url.shown,
    servers: url.servers.map(({ host, port }) =>
      host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`,
    ),
    user: url.options.get("user"),
    prefix,
    maxAgeMs: durationOption(url, "maxage") ?? week,
    maxLength: countOption(url, "maxlen", 1),
    replicas: countOption(url, "replicas", 1, 5) ?? 1,
  };
  return async (deps) => {
    const password = passwordOf(url, deps);
    const packages = "@nats-io/transport-node @nats-io/jetstream";
    const libraries = await loadPeer(url.shown, packages, async () => {
      const [transport, jetstream] = await Promise.all([
        import("@nats-io/transport-node"),
        import("@nats-io/jetstream"),
      ]);
      return { transport, jetstream };
    });
    const { NatsDriver } = await import("./driver.js");
    return new NatsDriver(libraries, { ...settings, password }, deps);
  };
}
