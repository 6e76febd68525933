/** A provider in a worker thread: workerData is a registry URL and a port. It says so when it is registered. */
import { parentPort, workerData } from "node:worker_threads";
import { openRegistry } from "../../src/registry/open.js";

const { url, port } = workerData as { url: string; port: number };
const address = { host: "127.0.0.1", port };
await openRegistry(url).register({ service: "fixbug.UserServiceRpc", methods: ["Login"], address });
parentPort?.postMessage("registered");
// A port that is listened to keeps the thread alive.
parentPort?.on("message", () => {});
