/** A provider of its own process: `provider-process.ts <registry url> <port> [registration as JSON]`. */
import { openRegistry } from "../../src/registry/open.js";

const [url = "", port = "", more = "{}"] = process.argv.slice(2);
const registry = openRegistry(url, { snapshotFolder: false });
await registry.register({
  service: "fixbug.UserServiceRpc",
  methods: ["Login", "Register"],
  address: { host: "127.0.0.1", port: Number(port) },
  ...(JSON.parse(more) as object),
});
console.info("registered");
setInterval(() => {}, 60_000);
