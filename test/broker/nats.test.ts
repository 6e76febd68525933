import { brokerConformance } from "./conformance.js";
import { startServer } from "./servers.js";

brokerConformance("nats://", async () => {
  const server = await startServer("nats");
  return { url: `nats://127.0.0.1:${server.port}`, close: () => server.close() };
});
