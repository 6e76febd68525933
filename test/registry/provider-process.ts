/** A provider of its own process: `provider-process.ts <registry url> <port>`. */
import { openRegistry } from "../../src/registry/open.js";

const [url = "", port = ""] = process.argv.slice(2);
const registry = openRegistry(url, { snapshotFolder: false });
await registry.register({
  service: "fixbug.UserServiceRpc",
  methods: ["Login", "Register"],
  address: { host: "127.0.0.1", port: Number(port) },
});
console.info("registered");
setInterval(() => {}, 60_000);
