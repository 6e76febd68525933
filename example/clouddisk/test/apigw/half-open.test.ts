import net, { type AddressInfo } from "node:net";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import type { FastifyInstance } from "fastify";
import { silentLogger } from "mprpc";
import { expect, onTestFinished, test } from "vitest";
import { createHttp, type HttpLimits } from "../../src/common/http.js";
import { IncomingBody, receiving } from "../../src/upload/body.js";
import { fakeHost } from "./fake-host.js";

/** Connections whose client never ends its side: each must be gone once the server has said its last word. */

/** One limit is short in each test, the others as ever: nothing else ends the connection while the test waits. */
async function serve(limits: Partial<HttpLimits>): Promise<{ http: FastifyInstance; port: number }> {
  const http = await createHttp(fakeHost(), silentLogger, limits);
  onTestFinished(() => http.close());
  http.get("/", async () => ({}));
  http.post("/", async () => ({}));
  http.addContentTypeParser("application/octet-stream", (_request, body, done) => done(null, body));
  http.post<{ Body: Readable }>("/stream", async ({ body }) => text(body));
  // As the routes of uploads take bodies.
  http.post("/paced", async (request, reply) =>
    receiving(request, reply, { periodMs: 50, minBytes: 1000 }, () => text(new IncomingBody(request.raw))),
  );
  await http.listen({ host: "127.0.0.1", port: 0 });
  return { http, port: (http.server.address() as AddressInfo).port };
}

/** What the server says to one that sends this, to the end of its side; "" when it was cut off without a word. */
async function say(port: number, request: string): Promise<string> {
  const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  onTestFinished(() => void socket.destroy());
  socket.write(request);
  let reply = "";
  // Read by hand: what reads to the end of a stream destroys it, and these clients keep their side.
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    reply += chunk;
  });
  // A reset is an end too: `once` of node:events would throw it.
  socket.on("error", () => {});
  await new Promise<void>((resolve) => socket.once("end", resolve).once("close", () => resolve()));
  return reply;
}

const post = (path: string, type: string): string =>
  `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/${type}\r\ncontent-length: 9\r\n\r\nabc`;
const get = "GET / HTTP/1.1\r\nhost: x\r\n";

test.each<[when: string, limits: Partial<HttpLimits>, request: string, reply: RegExp]>([
  ["the head comes too late", { headersTimeoutMs: 50 }, "GET / HTTP/1.1\r\n", /^HTTP\/1.1 408 /],
  ["the request is none", {}, "nonsense\r\n\r\n", /^HTTP\/1.1 400 /],
  ["the head is too large", {}, `${get}a: ${"b".repeat(20_000)}\r\n\r\n`, /^HTTP\/1.1 431 /],
  ["it was asked to close", {}, `${get}connection: close\r\n\r\n`, /^HTTP\/1.1 200 /],
  ["no further request comes", { keepAliveMs: 50 }, `${get}\r\n`, /^HTTP\/1.1 200 /],
  ["the rest of a small body comes too late", { smallBodyTimeoutMs: 50 }, post("/", "json"), /^$/],
  ["a streamed body stands still", { idleTimeoutMs: 50 }, post("/stream", "octet-stream"), /^$/],
  ["an upload is too slow", {}, post("/paced", "octet-stream"), /^HTTP\/1.1 408 /],
])("no half of a connection is left when %s", async (_when, limits, request, reply) => {
  const { http, port } = await serve({ lingerMs: 50, ...limits });
  const replies = await Promise.all(Array.from({ length: 10 }, () => say(port, request)));
  for (const said of replies) expect(said).toMatch(reply);
  const open = () => new Promise((resolve) => http.server.getConnections((_error, count) => resolve(count)));
  await expect.poll(open, { timeout: 10_000 }).toBe(0);
});
