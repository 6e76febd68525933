/** A provider of its own process: `provider-process.ts <registry url> <port>`. It prints warnings, errors and every list it sees. */
import { silentLogger } from "../../src/log/logger.js";
import { openRegistry } from "../../src/registry/open.js";

const [url = "", port = ""] = process.argv.slice(2);
const warn = (text: string, fields?: object) => console.info(`${text} ${JSON.stringify(fields)}`);
const registry = openRegistry(url, { snapshotFolder: false, log: { ...silentLogger, warn, error: warn } });
await registry.register({
  service: "fixbug.UserServiceRpc",
  methods: ["Login", "Register"],
  address: { host: "127.0.0.1", port: Number(port) },
});
console.info("registered");
registry.watch("fixbug.UserServiceRpc", ({ endpoints, stale }) => {
  console.info(`${stale ? "stale" : "fresh"} ${endpoints.map((endpoint) => endpoint.port).join()}`);
});
setInterval(() => {}, 60_000);
