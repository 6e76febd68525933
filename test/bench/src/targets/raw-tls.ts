import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import tls from "node:tls";
import type { Target } from "../target.js";
import { writeCertificate } from "../tls/certificates.js";

/** Sockets of node:tls and nothing else, for what one of them takes at rest and how many are made in a second. */
export const target: Target = {
  async startProvider() {
    const folder = mkdtempSync(path.join(tmpdir(), "mprpc-bench-"));
    await writeCertificate(folder);
    const cert = readFileSync(path.join(folder, "cert.pem"));
    const server = tls.createServer({ cert, key: readFileSync(path.join(folder, "key.pem")) });
    server.on("secureConnection", (socket) => {
      socket.on("error", () => {});
      socket.on("data", (bytes) => socket.write(bytes));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", 4096, resolve));
    const { port } = server.address() as { port: number };
    return {
      endpoint: `${port} ${folder}`,
      served: () => 0,
      async close() {
        server.close();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  },
  async startCaller(endpoint) {
    const [port, folder = ""] = endpoint.split(" ");
    const ca = readFileSync(path.join(folder, "cert.pem"));
    const sockets: tls.TLSSocket[] = [];
    return {
      drive: () => Promise.reject(new Error("a bare TLS socket makes no calls")),
      async openIdle(count) {
        const secureContext = tls.createSecureContext({ ca });
        for (let i = 0; i < count; i += 1) {
          const socket = tls.connect({ host: "127.0.0.1", port: Number(port), secureContext });
          sockets.push(socket);
          await new Promise((resolve, reject) => {
            socket.once("error", reject);
            socket.once("data", resolve);
            socket.once("secureConnect", () => socket.write("x"));
          });
        }
      },
      async close() {
        for (const socket of sockets) socket.destroy();
      },
    };
  },
};
