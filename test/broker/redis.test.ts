import { brokerConformance } from "./conformance.js";
import { startServer } from "./servers.js";

brokerConformance("redis://", async () => {
  const server = await startServer("redis");
  return { url: `redis://127.0.0.1:${server.port}/0`, close: () => server.close() };
});
