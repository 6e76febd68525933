import { once } from "node:events";
import net from "node:net";
import { serveRequests, takeMark, takeMemory } from "../serve.js";
import type { ProviderRequest } from "./protocol.js";
import { rawFrameBytes } from "./raw.js";

/** What `provider.js` is measured beside: sockets that give back what they get. `raw-provider.js PORT`. */

const [port = "0"] = process.argv.slice(2);
let bytes = 0;
let connections = 0;
const server = net.createServer({ noDelay: true }, (socket) => {
  connections += 1;
  socket.on("data", (chunk) => {
    bytes += chunk.length;
    socket.write(chunk);
  });
  socket.on("error", () => socket.destroy());
  socket.on("close", () => {
    connections -= 1;
  });
});
server.listen({ port: Number(port), host: "0.0.0.0", backlog: 4096 });
await once(server, "listening");

serveRequests<ProviderRequest>(port, async ({ kind }) => {
  switch (kind) {
    case "mark":
      return takeMark(bytes / rawFrameBytes);
    case "memory":
      return { ...(await takeMemory()), connections };
    case "close":
      return null;
  }
});
