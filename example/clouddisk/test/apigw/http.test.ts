import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import type { FastifyInstance } from "fastify";
import { type LogFields, type Logger, RpcError, Status, silentLogger } from "mprpc";
import { afterEach, expect, test } from "vitest";
import { Code, Refusal } from "../../src/common/codes.js";
import { createHttp, type HttpLimits } from "../../src/common/http.js";
import { currentTraceId, tracedLogger } from "../../src/common/trace.js";
import { fakeHost } from "./fake-host.js";

const servers: FastifyInstance[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

interface Line extends LogFields {
  text: string;
}

async function serve(
  routes: (http: FastifyInstance) => void,
  limits: Partial<HttpLimits> = {},
): Promise<{ http: FastifyInstance; url: string; port: number; lines: Line[] }> {
  const lines: Line[] = [];
  const keep = (line: string, fields?: LogFields): void => void lines.push({ text: line, ...fields });
  const log: Logger = { ...silentLogger, info: keep, warn: keep, error: keep };
  const http = await createHttp(fakeHost(), tracedLogger(log, "test"), limits);
  servers.push(http);
  routes(http);
  await http.listen({ host: "127.0.0.1", port: 0 });
  const { port } = http.server.address() as AddressInfo;
  return { http, url: `http://127.0.0.1:${port}`, port, lines };
}

/** Sends `request` as it stands and gives all that comes back until the server ends the connection. */
async function raw(port: number, request: string): Promise<string> {
  const socket = net.connect(port, "127.0.0.1");
  socket.write(request);
  return text(socket);
}

test("a well-formed trace id is taken over, kept through body parsing, and logged; any other is replaced", async () => {
  const { url, lines } = await serve((http) => {
    http.post("/echo", async (request) => ({ traceId: currentTraceId(), body: request.body }));
  });
  const post = (traceId: string): Promise<Response> =>
    fetch(`${url}/echo?token=secret`, {
      method: "POST",
      headers: { "x-trace-id": traceId, "content-type": "application/json" },
      body: JSON.stringify({ a: 1 }),
    });
  const reply = await post("0123456789abcdef");
  expect(reply.headers.get("x-trace-id")).toBe("0123456789abcdef");
  expect(await reply.json()).toEqual({ traceId: "0123456789abcdef", body: { a: 1 } });
  const other = await post("not one!");
  expect(other.headers.get("x-trace-id")).toMatch(/^[0-9a-f]{16}$/);
  await expect.poll(() => lines.length).toBe(2);
  expect(lines[0]).toMatchObject({
    text: "request",
    method: "POST",
    path: "/echo",
    status: 200,
    traceId: "0123456789abcdef",
  });
  expect(JSON.stringify(lines)).not.toContain("secret");
});

test("whatever a handler throws becomes code and msg", async () => {
  const errors: Record<string, () => unknown> = {
    refusal: () => new Refusal(Code.CONFLICT, "taken", { name: "a" }),
    away: () => new RpcError(Status.UNAVAILABLE, "10.0.0.1 is down"),
    late: () => new RpcError(Status.DEADLINE_EXCEEDED, "late"),
    internal: () => new RpcError(Status.INTERNAL, "SELECT * FROM secret"),
    bug: () => new TypeError("x is undefined"),
    full: () => Object.assign(new Error("write"), { code: "ENOSPC" }),
  };
  const { url } = await serve((http) => {
    http.get<{ Params: { name: string } }>("/throw/:name", async ({ params }) => {
      throw errors[params.name]?.();
    });
  });
  const get = async (path: string): Promise<[number, unknown, string | null]> => {
    const reply = await fetch(url + path);
    return [reply.status, await reply.json(), reply.headers.get("retry-after")];
  };
  const away = { code: 10002, msg: "a service is not available at the moment; try again in a few seconds" };
  const failed = { code: 10002, msg: "the server failed; its log says why" };
  expect(await get("/throw/refusal")).toEqual([409, { code: 10008, msg: "taken", name: "a" }, null]);
  expect(await get("/throw/away")).toEqual([503, away, "1"]);
  expect(await get("/throw/late")).toEqual([503, away, "1"]);
  expect(await get("/throw/internal")).toEqual([500, failed, null]);
  expect(await get("/throw/bug")).toEqual([500, failed, null]);
  expect(await get("/throw/full")).toEqual([
    507,
    { code: 10002, msg: "the server's disk is full ([clouddisk] data)" },
    null,
  ]);
  expect(await get("/nowhere")).toEqual([404, { code: 10007, msg: "there is no such route" }, null]);
  expect((await get("/%ff"))[0]).toBe(400);
});

test("bodies: JSON and forms, too large ones, broken ones, unknown kinds", async () => {
  const { url, port } = await serve((http) => {
    http.post("/", async (request) => request.body);
  });
  const post = async (type: string, body: string): Promise<[number, unknown]> => {
    const reply = await fetch(url, { method: "POST", headers: { "content-type": type }, body });
    return [reply.status, await reply.json()];
  };
  expect(await post("application/json", '{"a":"b"}')).toEqual([200, { a: "b" }]);
  expect(await post("application/x-www-form-urlencoded", "a=b+c&d=%E5%BC%A0")).toEqual([
    200,
    { a: "b c", d: "张" },
  ]);
  expect((await post("application/json", "{"))[0]).toBe(400);
  expect((await post("application/json", '{"__proto__":{"admin":true}}'))[0]).toBe(400);
  expect((await post("text/plain", "a"))[0]).toBe(415);
  expect(await post("application/json", JSON.stringify("x".repeat(300_000)))).toEqual([
    413,
    { code: 10009, msg: expect.any(String) },
  ]);
  expect(await raw(port, "NONSENSE\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 .*"code":10001/s);
});

test("every reply forbids sniffing, framing and caching, and allows scripts nothing", async () => {
  const { url } = await serve((http) => http.get("/", async () => ({})));
  const { headers } = await fetch(url);
  expect(headers.get("x-content-type-options")).toBe("nosniff");
  expect(headers.get("x-frame-options")).toBe("DENY");
  expect(headers.get("referrer-policy")).toBe("no-referrer");
  expect(headers.get("cache-control")).toBe("no-store");
  expect(headers.get("content-security-policy")).toContain("default-src 'none'");
});

test("CORS lets the machine's own pages in, without credentials, and nobody else", async () => {
  const { url, port } = await serve((http) => http.get("/", async () => ({})));
  const preflight = (origin: string): Promise<Response> =>
    fetch(url, {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-ticket",
      },
    });
  const own = await preflight("http://localhost:8080");
  expect(own.status).toBe(204);
  expect(own.headers.get("access-control-allow-origin")).toBe("http://localhost:8080");
  expect(own.headers.get("access-control-allow-headers")).toContain("x-ticket");
  expect(own.headers.has("access-control-allow-credentials")).toBe(false);
  const foreign = await fetch(url, { headers: { origin: "http://evil.example" } });
  expect(foreign.headers.has("access-control-allow-origin")).toBe(false);
  const opaque = { headers: { origin: "null" } };
  expect((await fetch(url, opaque)).headers.has("access-control-allow-origin")).toBe(false);
  const redirected = await fetch(`${url}?ticket=of-another-node`, opaque);
  expect(redirected.headers.get("access-control-allow-origin")).toBe("null");
  expect(port).toBeGreaterThan(0);
});

test("a head or a small body that does not arrive in time ends the connection", async () => {
  const { port, lines } = await serve((http) => http.post("/", async () => ({})), {
    headersTimeoutMs: 50,
    smallBodyTimeoutMs: 50,
  });
  expect(await raw(port, "GET / HTTP/1.1\r\n")).toMatch(/^HTTP\/1\.1 408 /);
  const head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n";
  expect(await raw(port, `${head}{`)).toBe("");
  await expect.poll(() => lines).toEqual([expect.objectContaining({ text: "request", aborted: true })]);
});

test("a streamed body that stands still ends the connection; a server at work does not", async () => {
  const idleTimeoutMs = 50;
  const { http, port } = await serve(
    (server) => {
      server.addContentTypeParser("application/octet-stream", (_request, payload, done) =>
        done(null, payload),
      );
      server.post<{ Body: NodeJS.ReadableStream }>("/body", async ({ body }) => text(body));
      server.get("/work", async (request) => {
        // Twice: the timer was set anew.
        await once(request.raw.socket, "timeout");
        await once(request.raw.socket, "timeout");
        return { done: true };
      });
    },
    { idleTimeoutMs },
  );
  const head =
    "POST /body HTTP/1.1\r\nhost: x\r\ncontent-type: application/octet-stream\r\ncontent-length: 10\r\n\r\n";
  expect(await raw(port, `${head}abc`)).toBe("");
  expect(await raw(port, "GET /work HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).toMatch(
    /"done":true/,
  );
  expect(http.server.listening).toBe(true);
});

test("a request under way is finished while the server closes, and its connection ended", async () => {
  const { http, port } = await serve((server) => {
    server.get("/", async () => {
      server.server.emit("arrived");
      await once(server.server, "release");
      return { done: true };
    });
  });
  const arrived = once(http.server, "arrived");
  const reply = raw(port, "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  await arrived;
  const closed = http.close();
  await expect.poll(() => http.server.listening).toBe(false);
  http.server.emit("release");
  expect(await reply).toMatch(/connection: close.*\{"done":true\}$/is);
  await closed;
});

test("a request that never ends does not keep the server from closing", async () => {
  const { http, port } = await serve(
    (server) => {
      server.get("/", async () => {
        server.server.emit("arrived");
        return new Promise(() => {});
      });
    },
    { drainTimeoutMs: 50 },
  );
  const arrived = once(http.server, "arrived");
  const reply = raw(port, "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  await arrived;
  await http.close();
  expect(await reply).toBe("");
});

test.each([
  ["br", "br"],
  ["gzip", "gzip"],
  ["gzip, br", "br"],
  ["identity", null],
])(
  "text is compressed as the client takes it (%s), bytes and short answers never",
  async (accepts, expected) => {
    const { url } = await serve((http) => {
      http.get("/long", async () => ({ text: "long ".repeat(1000) }));
      http.get("/short", async () => ({}));
      http.get("/bytes", async (_request, reply) =>
        reply.type("application/octet-stream").send(Buffer.alloc(5000)),
      );
    });
    const get = (path: string) => fetch(url + path, { headers: { "accept-encoding": accepts } });
    const long = await get("/long");
    expect(long.headers.get("content-encoding")).toBe(expected);
    expect(long.headers.get("vary") ?? "").toMatch(expected === null ? /^/ : /accept-encoding/i);
    expect(await long.json()).toEqual({ text: "long ".repeat(1000) });
    for (const path of ["/short", "/bytes"])
      expect((await get(path)).headers.get("content-encoding")).toBeNull();
  },
);

test("who is refused is not asked for the body", async () => {
  const { port } = await serve((http) => {
    http.post("/refused", {
      onRequest: async () => {
        throw new Refusal(Code.TOKEN, "no");
      },
      handler: async () => ({}),
    });
    http.post("/taken", async (request) => request.body);
  });
  const head = (path: string): string =>
    `POST ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n`;
  expect(await raw(port, head("/refused"))).toMatch(/^HTTP\/1\.1 401 /);
  expect(await raw(port, `${head("/taken")}{}`)).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /);
});

test.each([
  ["two of them", "host: a\r\nhost: b"],
  ["markup", "host: a/<script>"],
  ["a user's name", "host: somebody@a"],
  ["two words", "host: a b"],
  ["nothing", "host: "],
])("a host that readers would understand differently is refused: %s", async (_what, host) => {
  const { port } = await serve((http) => http.get("/", async (request) => ({ host: request.host })));
  expect(await raw(port, `GET / HTTP/1.1\r\n${host}\r\nconnection: close\r\n\r\n`)).toMatch(
    /^HTTP\/1\.1 400 .*"code":10001/s,
  );
});

test.each(["a", "a:80", "127.0.0.1:8080", "[::1]:8080", "my_disk.example", "xn--7qv63i.example"])(
  "%s is a host",
  async (host) => {
    const { port } = await serve((http) => http.get("/", async (request) => ({ host: request.host })));
    const reply = await raw(port, `GET / HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
    expect(reply).toMatch(/^HTTP\/1\.1 200 /);
  },
);

test.each([
  ["http://elsewhere.example/where?a=b", "/where?a=b"],
  ["HTTPS://somebody@elsewhere.example:81/where", "/where"],
  ["http://elsewhere.example?a=b", "/?a=b"],
  ["/where?a=http://elsewhere.example/", "/where?a=http://elsewhere.example/"],
  ["//elsewhere.example/where", "//elsewhere.example/where"],
])("of an address with its host, %s, the path counts alone: %s", async (target, expected) => {
  const { port } = await serve((http) => {
    const handler = async ({ url }: { url: string }) => ({ url });
    http.get("/", handler);
    http.get("/where", handler);
    http.get("//elsewhere.example/where", handler);
  });
  const reply = await raw(port, `GET ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
  expect(JSON.parse(reply.slice(reply.indexOf("{")))).toEqual({ url: expected });
});
